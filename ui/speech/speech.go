// Package speech contains the texts of Waxseal's window and tray in each language, and
// translates the engine's texts, which come as identifiers and values.
//
// The English text is the key in the code and in the files, so that the code shows
// what people will read.
package speech

import (
	"embed"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/lang"

	"github.com/waxseal/waxseal/proxy/api"
)

//go:embed translation
var translations embed.FS

var (
	mu       sync.Mutex
	language = "none"
)

// Use loads the texts of a language ("de"); "" and "system" are the system's language, or
// English if there are no texts in it. The caller makes sure that nobody reads texts
// meanwhile.
func Use(name string) error {
	mu.Lock()
	defer mu.Unlock()
	if name == "" || name == "system" {
		name = system()
	}
	if language == name {
		return nil
	}
	language = name
	data, err := translations.ReadFile("translation/" + name + ".json")
	if err != nil {
		return err
	}
	// lang only uses the system's locale, so that locale gets the texts.
	locale := lang.SystemLocale()
	if err := lang.AddTranslationsForLocale(data, locale); err != nil {
		return err
	}
	return lang.AddTranslationsForLocale(data, fyne.Locale(locale.LanguageString()))
}

// system is the system's language, if there are texts in it.
func system() string {
	name, _, _ := strings.Cut(lang.SystemLocale().LanguageString(), "-")
	if _, err := translations.Open("translation/" + name + ".json"); err != nil {
		return "en"
	}
	return name
}

// Capital is a text with a capital first letter.
func Capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// Say translates a text of the engine's into the person's language.
func Say(t api.Text) string {
	if t.IsZero() {
		return ""
	}
	return lang.L(t.Key, t.Values)
}

// Package speech holds what Waxseal's window and tray say, in the languages that they
// speak, and words what the engine says as identifiers and values.
//
// The English text is the key, in the code and in the files: whoever reads the code
// sees what the person will see.
package speech

import (
	"embed"
	"sync"

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

// Use loads the texts of a language ("de"), or of the system's for "".
func Use(name string) error {
	mu.Lock()
	defer mu.Unlock()
	if language == name {
		return nil
	}
	language = name
	if name == "" {
		return lang.AddTranslationsFS(translations, "translation")
	}
	data, err := translations.ReadFile("translation/" + name + ".json")
	if err != nil {
		return err
	}
	// lang goes by the system's locale and nothing else, so that locale gets
	// the texts.
	locale := lang.SystemLocale()
	if err := lang.AddTranslationsForLocale(data, locale); err != nil {
		return err
	}
	return lang.AddTranslationsForLocale(data, fyne.Locale(locale.LanguageString()))
}

// Say is what the engine says, in the person's language.
func Say(t api.Text) string {
	if t.IsZero() {
		return ""
	}
	return lang.L(t.Key, t.Values)
}

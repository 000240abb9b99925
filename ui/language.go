package ui

import (
	"embed"
	"sync"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/lang"
)

// The English text is the key, in the code and in the files: who reads the code
// sees what the person will see.
//
//go:embed translation
var translations embed.FS

var (
	spoken   sync.Mutex
	language = "none"
)

// speak loads the texts: those of a language, or of the system's for "".
func speak(name string) error {
	spoken.Lock()
	defer spoken.Unlock()
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

// values fill the places of a text: {{.Name}}.
type values map[string]string

// tr is a text in the person's language.
func tr(text string, v ...values) string {
	if len(v) == 0 {
		return lang.L(text)
	}
	return lang.L(text, v[0])
}

// trn is a text about n things, which stand as {{.N}} in it.
func trn(text string, n int64, v ...values) string {
	all := values{"N": number(n)}
	for _, more := range v {
		for k, s := range more {
			all[k] = s
		}
	}
	return lang.N(text, int(n), all)
}

package ui

import (
	"fyne.io/fyne/v2/lang"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/ui/speech"
)

// values are the values of a text's places, such as {{.Name}}.
type values map[string]string

// tr translates a text into the person's language.
func tr(text string, v ...values) string {
	if len(v) == 0 {
		return lang.L(text)
	}
	return lang.L(text, v[0])
}

// trn translates a text about n things, whose number is {{.N}} in it.
func trn(text string, n int64, v ...values) string {
	all := values{"N": number(n)}
	for _, more := range v {
		for k, s := range more {
			all[k] = s
		}
	}
	return lang.N(text, int(n), all)
}

// say translates a text of the engine's. Its values may be another server's words.
func say(t api.Text) string { return clean(speech.Say(t)) }

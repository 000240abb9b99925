package ui

import (
	"fyne.io/fyne/v2/lang"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/ui/speech"
)

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

// say is what the engine says, in the person's language. Its values may be another
// server's words.
func say(t api.Text) string { return clean(speech.Say(t)) }

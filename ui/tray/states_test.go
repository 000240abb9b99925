package tray

import (
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

// Every state of an account has an icon, a line in the menu and, where it needs
// somebody, a notification, in both languages.
func TestEveryStateIsShown(t *testing.T) { everyStateIsShown(t, account1) }

// The state of reading alone is shown as that of sending is.
func TestEveryStateOfReadingIsShown(t *testing.T) {
	everyStateIsShown(t, func(state api.State) api.AccountStatus {
		a := account1(api.Unused)
		a.Reading = []api.ReadStatus{{Protocol: api.IMAP, State: api.Unused}, {Protocol: api.POP, State: state}}
		return a
	})
}

func everyStateIsShown(t *testing.T, account func(api.State) api.AccountStatus) {
	defer english(t)
	icons := map[api.Severity]icon{api.Fine: fine, api.Busy: fine, api.Passing: waiting, api.NeedsSomebody: attention}
	inEnglish := map[api.State][]string{}
	for _, name := range []string{"en", "de"} {
		language(t, name)
		for _, state := range api.States {
			s := after(0, serving(func(s *State) { s.Accounts = []api.AccountStatus{account(state)} }))
			m := menuOf(s)
			if want := icons[state.Severity()]; m.icon != want {
				t.Errorf("%s: the icon is %s, want %s", state, m.icon, want)
			}
			words := []string{strings.TrimPrefix(m.accounts[0].label, "me@x.example · ")}
			if (len(m.faults) > 0) != (state.Severity() == api.Passing) {
				t.Errorf("%s: the menu says %+v", state, m.faults)
			}
			for _, f := range m.faults {
				words = append(words, f.label)
			}
			notices, told := Told{}.Notices(s)
			if (len(notices) == 1) != (state.Severity() == api.NeedsSomebody) {
				t.Errorf("%s: %d notifications", state, len(notices))
			}
			for _, n := range notices {
				title, body := n.text()
				if !strings.Contains(title, "me@x.example") || n.Page() == "overview" {
					t.Errorf("%s: %q leads to %s", state, title, n.Page())
				}
				words = append(words, title, body)
			}
			if again, _ := told.Notices(s); len(again) > 0 {
				t.Errorf("%s is told twice", state)
			}
			for i, w := range words {
				if w == "" || name == "de" && w == inEnglish[state][i] {
					t.Errorf("%s, %s: %q", name, state, w)
				}
			}
			inEnglish[state] = words
		}
	}
}

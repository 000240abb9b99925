package tray

import (
	"fmt"
	"os"
	"reflect"
	"testing"

	"fyne.io/fyne/v2/lang"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
)

func account1(state string) api.AccountStatus {
	return api.AccountStatus{Address: "me@x.example", State: state}
}

func serving(change func(*State)) State {
	s := State{Snapshot: api.Snapshot{State: "serving"}}
	if change != nil {
		change(&s)
	}
	return s
}

// english has the texts as they are in the code, whatever the system speaks.
func english(t *testing.T) { language(t, "en_US.UTF-8") }

func language(t *testing.T, locale string) {
	t.Helper()
	t.Setenv("LC_ALL", locale)
	t.Setenv("LANGUAGE", "")
	if err := lang.AddTranslationsFS(translation, "translation"); err != nil {
		t.Fatal(err)
	}
}

func TestMenuOf(t *testing.T) {
	english(t)
	for name, tc := range map[string]struct {
		state State
		want  menu
	}{
		"empty": {serving(nil), menu{icon: fine, status: "0 accounts · 0 connections · 0 messages"}},
		"one of each": {serving(func(s *State) {
			s.Accounts = []api.AccountStatus{account1("ready")}
			s.Connections, s.Messages, s.Accounts[0].Messages = 1, 1, 1
		}), menu{icon: working, status: "1 account · 1 connection · 1 message",
			accounts: []account{{"me@x.example · sending", "me@x.example"}}}},
		"many": {serving(func(s *State) {
			s.Accounts = []api.AccountStatus{account1("unknown"), account1("keystore"), account1("needs_consent"), account1("attention")}
			s.Connections = 5000
		}), menu{icon: attention, status: "4 accounts · 5000 connections · 0 messages", accounts: []account{
			{"me@x.example · not used yet", "me@x.example"}, {"me@x.example · keychain cannot be read", "me@x.example"},
			{"me@x.example · must sign in", "me@x.example"}, {"me@x.example · needs attention", "me@x.example"}}}},
		"paused":   {serving(func(s *State) { s.State = "paused" }), menu{icon: paused, status: "Paused", paused: true}},
		"starting": {serving(func(s *State) { s.State = "starting" }), menu{icon: down, status: "Starting…"}},
		"stopping": {serving(func(s *State) { s.State = "stopping" }), menu{icon: down, status: "Not accepting mail"}},
		"port": {State{Snapshot: api.Snapshot{State: "starting", PortTaken: &api.PortTakenError{}}},
			menu{icon: down, status: "Not accepting mail", faults: []entry{{"A port is taken. Choose another…", "settings"}}}},
		"everything wrong": {serving(func(s *State) {
			s.WindowFailed, s.Keystore.Error = true, "locked"
			s.Breakers = []breaker.Status{{Name: "a"}, {Name: "b", State: breaker.Open}}
		}), menu{icon: attention, status: "0 accounts · 0 connections · 0 messages", faults: []entry{
			{"The keychain cannot be read…", "settings"}, {"A provider cannot be reached…", "overview"},
			{"The window could not be opened. Try again…", "overview"}}}},
		"a breaker that tries again calls nobody": {serving(func(s *State) {
			s.Breakers = []breaker.Status{{Name: "b", State: breaker.HalfOpen}}
		}), menu{icon: fine, status: "0 accounts · 0 connections · 0 messages"}},
	} {
		if got := menuOf(tc.state); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, tc.want)
		}
	}
}

// The accounts that need somebody are never among the "more".
func TestMenuOfManyAccounts(t *testing.T) {
	english(t)
	s := serving(func(s *State) {
		for i := range 40 {
			a := api.AccountStatus{Address: fmt.Sprintf("a%d@x.example", i), State: "ready"}
			if i >= 38 {
				a.State = "needs_consent"
			}
			s.Accounts = append(s.Accounts, a)
		}
	})
	m := menuOf(s)
	if len(m.accounts) != maxAccounts || m.more != "… and 25 more" {
		t.Fatalf("%d accounts, %q", len(m.accounts), m.more)
	}
	for i, want := range []string{"a38@x.example", "a39@x.example", "a0@x.example"} {
		if m.accounts[i].address != want {
			t.Errorf("account %d is %s, want %s", i, m.accounts[i].address, want)
		}
	}
	if s.Accounts[0].Address != "a0@x.example" {
		t.Error("the snapshot's own accounts were sorted")
	}
}

// Each text of the code is in the German file, and each of the file in the code.
func TestGermanIsComplete(t *testing.T) {
	language(t, "de_DE.UTF-8")
	defer english(t)
	s := serving(func(s *State) { s.Accounts, s.Connections = []api.AccountStatus{account1("needs_consent")}, 2 })
	m := menuOf(s)
	if m.status != "1 Konto · 2 Verbindungen · 0 Nachrichten" || m.accounts[0].label != "me@x.example · muss sich anmelden" {
		t.Errorf("got %q, %q", m.status, m.accounts[0].label)
	}
	var code string
	for _, f := range []string{"menu.go", "draw.go", "notice.go"} {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		code += string(data)
	}
	german := keys(t, "translation/de.json")
	used := textsIn(code)
	for text := range used {
		if !german[text] {
			t.Errorf("no German for %q", text)
		}
	}
	for text := range german {
		if !used[text] {
			t.Errorf("nobody says %q", text)
		}
	}
}

func TestLiteral(t *testing.T) {
	if got := literal("a_b & c"); got != "a__b & c" && got != "a_b && c" && got != "a_b & c" {
		t.Errorf("got %q", got)
	}
}

package tray

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/ui/speech"
)

func account1(state api.State) api.AccountStatus {
	return api.AccountStatus{Address: "me@x.example", Provider: "x", Name: "X", State: state}
}

func serving(change func(*State)) State {
	s := State{Snapshot: api.Snapshot{State: api.Serving}}
	if change != nil {
		change(&s)
	}
	return s
}

// locked is what the engine says of a locked keychain.
var locked = &api.Problem{State: api.KeystoreLocked, What: api.Say("The keychain is locked."), Do: api.Unlock}

func english(t *testing.T) { language(t, "en") }

func language(t *testing.T, name string) {
	t.Helper()
	if err := speech.Use(name); err != nil {
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
			s.Accounts = []api.AccountStatus{account1(api.Ready)}
			s.Connections, s.Messages, s.Accounts[0].Messages = 1, 1, 1
		}), menu{icon: working, status: "1 account · 1 connection · 1 message",
			accounts: []account{{"me@x.example · sending", "me@x.example"}}}},
		"many": {serving(func(s *State) {
			s.Accounts = []api.AccountStatus{account1(api.Unused), account1(api.KeystoreFailed), account1(api.NeedsConsent), account1(api.SMTPDisabled)}
			s.Connections = 5000
		}), menu{icon: attention, status: "4 accounts · 5000 connections · 0 messages", accounts: []account{
			{"me@x.example · keystore unavailable", "me@x.example"}, {"me@x.example · sign-in needed", "me@x.example"},
			{"me@x.example · SMTP switched off", "me@x.example"}, {"me@x.example · not used yet", "me@x.example"}}}},
		"paused": {serving(func(s *State) { s.State = api.Paused }), menu{icon: paused, status: "Paused", paused: true}},
		"paused for an hour": {serving(func(s *State) { s.State, s.PausedUntil = api.Paused, time.Date(2026, 3, 12, 15, 4, 0, 0, time.Local) }),
			menu{icon: paused, status: "Paused until 15:04", paused: true}},
		"starting": {serving(func(s *State) { s.State = api.Starting }), menu{icon: down, status: "Starting…"}},
		"draining": {serving(func(s *State) { s.State = api.Draining }), menu{icon: fine, status: "Stopping…"}},
		"stopping": {serving(func(s *State) { s.State = api.Stopping }), menu{icon: down, status: "Not accepting mail"}},
		"port": {State{Snapshot: api.Snapshot{State: api.Starting, PortTaken: &api.PortTakenError{}}},
			menu{icon: down, status: "Not accepting mail", faults: []entry{{"A port is taken. Choose another…", "settings"}}}},
		"everything wrong": {serving(func(s *State) {
			s.WindowFailed, s.Keystore.Problem = true, locked
			s.Breakers = []api.Breaker{{Name: "a", State: api.Closed}, {Name: "b", Provider: "X", Mail: true, State: api.Open}}
		}), menu{icon: attention, status: "0 accounts · 0 connections · 0 messages", unlock: "Unlock keychain", retry: true, faults: []entry{
			{"The keychain is locked…", "settings"}, {"X isn’t responding…", "overview"},
			{"The window could not be opened. Try again…", "overview"}}}},
		"recent failures": {serving(func(s *State) {
			s.Now = morning
			s.Failures = []api.Activity{
				{Kind: api.Login, Time: morning.Add(-time.Minute), Account: "me@x.example", Times: 12, Result: api.Refused, Problem: &api.Problem{What: api.Say("Wrong local password.")}},
				{Kind: api.Login, Time: morning.Add(-2 * time.Minute), Result: api.Refused, Reply: "535 <script>", Problem: &api.Problem{State: api.NeedsConsent, What: api.Say("The consent has expired.")}},
				{Kind: api.Test, Time: morning.Add(-3 * time.Minute), Account: "me@x.example", Result: api.Failed},
				{Kind: api.Message, Time: morning.Add(-4 * time.Minute), Account: "me@x.example", Result: api.Refused, Reply: "550 no"},
				{Kind: api.Message, Time: morning.Add(-5 * time.Minute), Account: "me@x.example", Result: api.Unclear},
				{Kind: api.Message, Time: morning.Add(-6 * time.Minute), Account: "me@x.example", Result: api.Deferred},
			}
		}), menu{icon: fine, status: "0 accounts · 0 connections · 0 messages", failures: []string{
			"08:59 · me@x.example · Wrong local password (12 times)", "08:58 · Sign-in needed", "08:57 · me@x.example · Test not sent",
			"08:56 · me@x.example · Refused", "08:55 · me@x.example · May have been delivered"}}},
		"a breaker that tries again calls nobody": {serving(func(s *State) {
			s.Breakers = []api.Breaker{{Name: "b", State: api.HalfOpen}}
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
			a := api.AccountStatus{Address: fmt.Sprintf("a%d@x.example", i), State: api.Ready}
			if i >= 38 {
				a.State = api.NeedsConsent
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

func TestMenuSpeaksGerman(t *testing.T) {
	language(t, "de")
	defer english(t)
	s := serving(func(s *State) { s.Accounts, s.Connections = []api.AccountStatus{account1(api.NeedsConsent)}, 2 })
	m := menuOf(s)
	if m.status != "1 Konto · 2 Verbindungen · 0 Nachrichten" || m.accounts[0].label != "me@x.example · Anmeldung nötig" {
		t.Errorf("got %q, %q", m.status, m.accounts[0].label)
	}
}

func TestLiteral(t *testing.T) {
	if got := literal("a_b & c"); got != "a__b & c" && got != "a_b && c" && got != "a_b & c" {
		t.Errorf("got %q", got)
	}
}

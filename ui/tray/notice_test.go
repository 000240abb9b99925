package tray

import (
	"reflect"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
)

// TestNotices tells a story a line; each State follows the one before.
func TestNotices(t *testing.T) {
	accounts := func(states ...string) State {
		return serving(func(s *State) {
			for i, state := range states {
				s.Accounts = append(s.Accounts, api.AccountStatus{Address: string(rune('a' + i)), State: state})
			}
		})
	}
	breakers := func(states ...breaker.State) State {
		return serving(func(s *State) {
			for i, state := range states {
				s.Breakers = append(s.Breakers, breaker.Status{Name: string(rune('a' + i)), State: state})
			}
		})
	}
	with := func(change func(*State)) State { return serving(change) }
	type step struct {
		state State
		want  []Notice
	}
	for name, story := range map[string][]step{
		"consent": {
			{accounts("ready", "needs_consent"), []Notice{{Consent, "b"}}},
			{accounts("ready", "needs_consent"), nil},
			{accounts("ready", "unknown"), nil}, // it is being tried
			{accounts("ready", "needs_consent"), nil},
			{accounts("needs_consent", "needs_consent"), []Notice{{Consent, "a"}}},
			{accounts("ready", "ready"), nil},
			{accounts("ready", "needs_consent"), []Notice{{Consent, "b"}}},
			{accounts("ready"), nil}, // removed
		},
		"all at once are one": {{accounts("needs_consent", "needs_consent", "needs_consent"), []Notice{{Consent, "a"}}}},
		"breaker": {
			{breakers(breaker.Closed), nil},
			{breakers(breaker.Open), []Notice{{Kind: ProviderLost}}},
			{breakers(breaker.HalfOpen), nil},
			{breakers(breaker.Open), nil},
			{breakers(breaker.Open, breaker.Open), nil},
			{breakers(breaker.Closed, breaker.HalfOpen), nil},
			{breakers(breaker.Closed, breaker.Closed), []Notice{{Kind: ProviderBack}}},
			{breakers(breaker.HalfOpen, breaker.Closed), nil},
		},
		"what lasts": {
			{with(func(s *State) {
				s.PortTaken, s.WindowFailed, s.Keystore.Error = &api.PortTakenError{}, true, "locked"
			}),
				[]Notice{{Kind: KeychainFault}, {Kind: PortLost}, {Kind: WindowFault}}},
			{with(func(s *State) {
				s.PortTaken, s.WindowFailed, s.Keystore.Error = &api.PortTakenError{}, true, "locked still"
			}), nil},
			{serving(nil), nil},
			{with(func(s *State) { s.WindowFailed = true }), []Notice{{Kind: WindowFault}}},
		},
	} {
		var told Told
		for i, st := range story {
			var got []Notice
			got, told = told.Notices(st.state)
			if !reflect.DeepEqual(got, st.want) {
				t.Errorf("%s, step %d: got %v, want %v", name, i+1, got, st.want)
			}
		}
	}
}

func TestNoticesLeadSomewhere(t *testing.T) {
	english(t)
	for kind, page := range map[Kind]string{
		Consent: "add", ProviderLost: "overview", ProviderBack: "overview", PortLost: "settings",
		KeychainFault: "settings", WindowFault: "overview", TestSent: "activity", TestFailed: "activity",
	} {
		n := Notice{Kind: kind}
		title, body := n.text()
		if n.Page() != page || title == "Waxseal" || body == "" {
			t.Errorf("%s: page %q, says %q, %q", kind, n.Page(), title, body)
		}
	}
}

package tray

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

var morning = time.Date(2026, 3, 12, 9, 0, 0, 0, time.UTC)

// after is a State some time into a story.
func after(d time.Duration, s State) State {
	s.Now = morning.Add(d)
	return s
}

// TestNotices tells a story a line; each State follows the one before.
func TestNotices(t *testing.T) {
	accounts := func(states ...api.State) State {
		return serving(func(s *State) {
			for i, state := range states {
				s.Accounts = append(s.Accounts, api.AccountStatus{Address: string(rune('a' + i)), Name: "X", State: state})
			}
		})
	}
	breakers := func(states ...api.BreakerState) State {
		return serving(func(s *State) {
			for i, state := range states {
				s.Breakers = append(s.Breakers, api.Breaker{Name: string(rune('a' + i)), Provider: "X", Mail: true, State: state})
			}
			s.Accounts = []api.AccountStatus{account1(api.Ready)}
		})
	}
	with := func(change func(*State)) State { return serving(change) }
	release := func(version string, sinceStart time.Duration) State {
		return with(func(s *State) {
			s.Started = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			s.Update = &api.Release{Version: version, Found: s.Started.Add(sinceStart)}
		})
	}
	keychain := func(states ...api.State) State {
		s := accounts(states...)
		s.Keystore.Problem = locked
		return s
	}
	consent := func(who string) Notice {
		return Notice{Kind: AccountFault, Account: who, State: api.NeedsConsent, Provider: "X"}
	}
	three := consent("a")
	three.Others = 2
	outage := func(state api.State) []Notice { return []Notice{{Kind: ProviderLost, Provider: "X", State: state}} }
	type step struct {
		state State
		want  []Notice
	}
	min := time.Minute
	lost, back := outage(api.MailServerDown), []Notice{{Kind: ProviderBack, Provider: "X"}}
	for name, story := range map[string][]step{
		"consent": {
			{accounts(api.Ready, api.NeedsConsent), []Notice{consent("b")}},
			{accounts(api.Ready, api.NeedsConsent), nil},
			{accounts(api.Ready, api.Unused), nil}, // it is being tried
			{accounts(api.Ready, api.NeedsConsent), nil},
			{accounts(api.NeedsConsent, api.NeedsConsent), []Notice{consent("a")}},
			{accounts(api.Ready, api.Ready), nil},
			{accounts(api.Ready, api.NeedsConsent), []Notice{consent("b")}},
			{accounts(api.Ready), nil}, // removed
		},
		"all at once are one": {{accounts(api.NeedsConsent, api.NeedsConsent, api.NeedsConsent), []Notice{three}}},
		"another trouble of the same account": {
			{accounts(api.RegistrationRefused), []Notice{{Kind: AccountFault, Account: "a", State: api.RegistrationRefused, Provider: "X"}}},
			{accounts(api.Refreshing), nil},
			{accounts(api.RegistrationRefused), nil},
			{accounts(api.SMTPDisabled), []Notice{{Kind: AccountFault, Account: "a", State: api.SMTPDisabled, Provider: "X"}}},
			{accounts(api.MailServerDown), nil},
			{accounts(api.SMTPDisabled), nil},
		},
		"a breaker": {
			{after(0, breakers(api.Closed)), nil},
			{after(min, breakers(api.Open)), nil}, // it may pass
			{after(2*min, breakers(api.HalfOpen)), nil},
			{after(9*min, breakers(api.Open)), nil},
			{after(11*min, breakers(api.Open)), lost},
			{after(12*min, breakers(api.Open, api.Open)), nil},
			{after(30*min, breakers(api.Closed, api.HalfOpen)), nil},
			{after(31*min, breakers(api.Closed, api.Closed)), back},
			{after(32*min, breakers(api.HalfOpen, api.Closed)), nil},
		},
		"what passes at once is never told": {
			{after(0, accounts(api.ProviderBusy)), nil},
			{after(9*min, accounts(api.ProviderBusy)), nil},
			{after(10*min-1, accounts(api.Ready)), nil},
			{after(11*min, accounts(api.ProviderBusy)), nil},
			{after(21*min, accounts(api.ProviderBusy)), outage(api.ProviderBusy)},
			{after(22*min, accounts(api.Ready)), back},
		},
		"what needs somebody in the end is not back": {
			{after(0, accounts(api.MailServerDown)), nil},
			{after(11*min, accounts(api.MailServerDown)), lost},
			{after(12*min, accounts(api.NeedsConsent)), []Notice{consent("a")}},
		},
		"a message that was not sent is told by its mail program": {
			{after(0, accounts(api.LastUnsent)), nil},
			{after(11*min, accounts(api.LastUnsent)), nil},
			{after(12*min, accounts(api.LastUnsent, api.MailServerDown)), nil},
			{after(23*min, accounts(api.LastUnsent, api.MailServerDown)), lost},
			{after(24*min, accounts(api.LastUnsent, api.Ready)), back},
		},
		"no network is no news to whoever sits there": {
			{after(0, accounts(api.Offline)), nil},
			{after(60*min, accounts(api.Offline)), nil},
			{after(61*min, accounts(api.Ready)), nil},
		},
		"what lasts": {
			{with(func(s *State) {
				s.PortTaken, s.WindowFailed, s.Keystore.Problem = &api.PortTakenError{Address: "127.0.0.1:1587", Owner: "x; calc"}, true, locked
			}),
				[]Notice{{Kind: KeychainFault, State: api.KeystoreLocked}, {Kind: PortLost, Address: "127.0.0.1:1587"}, {Kind: WindowFault}}},
			{with(func(s *State) {
				s.PortTaken, s.WindowFailed, s.Keystore.Problem = &api.PortTakenError{}, true, &api.Problem{State: api.KeystoreFailed}
			}), nil},
			{serving(nil), nil},
			{with(func(s *State) { s.WindowFailed = true }), []Notice{{Kind: WindowFault}}},
		},
		"a newer release is told once": {
			{release("1.2.0", min), []Notice{{Kind: NewRelease, Version: "1.2.0"}}},
			{serving(nil), nil},
			{release("1.2.0", min), nil},
			{release("1.3.0", 2*min), []Notice{{Kind: NewRelease, Version: "1.3.0"}}},
		},
		"a release that was told before this start is not told again": {
			{release("1.2.0", -min), nil},
		},
		"a locked keychain is told once, not for every account": {
			{keychain(api.KeystoreLocked, api.KeystoreLocked), []Notice{{Kind: KeychainFault, State: api.KeystoreLocked}}},
			{keychain(api.KeystoreLocked, api.KeystoreLocked), nil},
			{accounts(api.Ready, api.Ready), nil},
			{keychain(api.KeystoreLocked, api.Ready), []Notice{{Kind: KeychainFault, State: api.KeystoreLocked}}},
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
	for n, page := range map[Notice]string{
		{Kind: AccountFault, State: api.NeedsConsent}:        "add",
		{Kind: AccountFault, State: api.RegistrationRefused}: "register",
		{Kind: AccountFault, State: api.SMTPDisabled}:        "setup",
		{Kind: ProviderLost}:                                 "overview",
		{Kind: ProviderBack}:                                 "overview",
		{Kind: PortLost}:                                     "settings",
		{Kind: KeychainFault, State: api.KeystoreLocked}:     "settings",
		{Kind: KeychainFault, State: api.KeystoreFailed}:     "settings",
		{Kind: WindowFault}:                                  "overview",
		{Kind: NewRelease, Version: "1.2.0"}:                 "about",
		{Kind: TestSent}:                                     "activity",
		{Kind: TestFailed}:                                   "activity",
	} {
		title, body := n.text()
		if n.Page() != page || title == "Waxseal" || body == "" {
			t.Errorf("%v: page %q, says %q, %q", n, n.Page(), title, body)
		}
	}
}

// Notifications were about "this account" and "a provider".
func TestNoticesNameAccountAndProvider(t *testing.T) {
	english(t)
	for want, n := range map[string]Notice{
		"Sign in again: a@x.example|X accepts no mail from this account until you have signed in. Click to sign in.": {Kind: AccountFault, Account: "a@x.example", Provider: "X", State: api.NeedsConsent},
		"Sign in again: a@x.example (and 1 more account)|X accepts no mail":                                          {Kind: AccountFault, Account: "a@x.example", Provider: "X", State: api.NeedsConsent, Others: 1},
		"a@x.example can’t send mail|The reason: SMTP switched off (X). Click to see what to do.":                    {Kind: AccountFault, Account: "a@x.example", Provider: "X", State: api.SMTPDisabled},
		"X asks to slow down|Waxseal keeps trying.":                                                                  {Kind: ProviderLost, Provider: "X", State: api.ProviderBusy},
		"Sending through X works again|":                                                                             {Kind: ProviderBack, Provider: "X"},
		"Test message sent: a@x.example|X has accepted it.":                                                          {Kind: TestSent, Account: "a@x.example", Provider: "X"},
		"Test message not sent: a@x.example|It did not go through X. Click to see why.":                              {Kind: TestFailed, Account: "a@x.example", Provider: "X"},
		"Waxseal can’t accept mail|Another program uses 127.0.0.1:1587. Click to choose another port.":               {Kind: PortLost, Address: "127.0.0.1:1587"},
	} {
		if title, body := n.text(); !strings.HasPrefix(title+"|"+body, want) {
			t.Errorf("got %q, %q; want %q", title, body, want)
		}
	}
}

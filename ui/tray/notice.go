package tray

import (
	"maps"
	"slices"
	"time"

	"fyne.io/fyne/v2/lang"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/ui/speech"
)

// Kind is what a notification is about.
type Kind string

const (
	AccountFault  Kind = "account fault"  // an account needs somebody
	ProviderLost  Kind = "provider lost"  // trouble that should pass has lasted for long
	ProviderBack  Kind = "provider back"  // it has passed
	PortLost      Kind = "port lost"      // the server accepts no mail
	KeychainFault Kind = "keychain fault" // secrets cannot be read
	WindowFault   Kind = "window fault"   // the window could not be opened
	Revived       Kind = "revived"        // the program died and was started again
	NewRelease    Kind = "new release"    // there is a newer Waxseal
	TestSent      Kind = "test sent"      // what Actions.SendTest was asked for
	TestFailed    Kind = "test failed"
)

// patience is how long passing trouble is only shown before a notification tells it.
const patience = 10 * time.Minute

// Notice is one notification. Its text is Waxseal's own, with addresses and names
// from the configuration: another server's words never get into it, because Windows
// passes it through a script.
type Notice struct {
	Kind     Kind
	Account  string    // that the page is about, if any
	Others   int       // with AccountFault: how many more accounts have the same trouble
	State    api.State // of the account, the provider or the keystore
	Provider string    // of the account, or the one that has trouble
	Reading  bool      // it is about reading mail; with ProviderBack: some account there reads
	Address  string    // with PortLost: where no mail is accepted
	Version  string    // with NewRelease; letters, digits, dots and hyphens only, see package updates
}

// Page is the page of the window that a click on the notification opens.
func (n Notice) Page() string {
	switch n.Kind {
	case AccountFault:
		switch n.State.Action() {
		case api.SignIn:
			return "add"
		case api.Register:
			return "register"
		}
		return "setup"
	case PortLost, KeychainFault:
		return "settings"
	case TestSent, TestFailed:
		return "activity"
	case Revived:
		return "check"
	case NewRelease:
		return "about"
	}
	return "overview"
}

// text is what the notification says.
func (n Notice) text() (title, body string) {
	words.RLock()
	defer words.RUnlock()
	names := map[string]any{"Account": n.Account, "Provider": n.Provider, "Address": n.Address, "N": n.Others, "Version": n.Version, "State": speech.Say(n.State.Label())}
	switch n.Kind {
	case AccountFault:
		return n.faultText(names)
	case ProviderLost:
		return speech.Say(n.State.Headline(n.Provider)), lang.L("Waxseal keeps trying. Mail programs are told to try again later.")
	case ProviderBack:
		if n.Reading {
			return lang.L("{{.Provider}} works again", names), lang.L("Mail programs can send waiting messages and read mail now.")
		}
		return lang.L("Sending through {{.Provider}} works again", names), lang.L("Mail programs can send waiting messages now.")
	case PortLost:
		return lang.L("Waxseal can’t accept mail"), lang.L("Another program uses {{.Address}}. Click to choose another port.", names)
	case KeychainFault:
		if n.State == api.KeystoreLocked {
			return lang.L("The keychain is locked"), lang.L("Mail can’t be sent until it is unlocked. Click for details.")
		}
		return lang.L("The keystore is unavailable"), lang.L("Mail can’t be sent until Waxseal can read it. Click for details.")
	case WindowFault:
		return lang.L("The window could not be opened"), lang.L("Mail is still being sent. The log has details.")
	case Revived:
		return lang.L("Waxseal has been restarted"), lang.L("It had ended unexpectedly. Click to save a report for the developers.")
	case NewRelease:
		return lang.L("Waxseal {{.Version}} is available", names), lang.L("Click to see where to get it.")
	case TestSent:
		return lang.L("Test message sent: {{.Account}}", names), lang.L("{{.Provider}} has accepted it.", names)
	case TestFailed:
		return lang.L("Test message not sent: {{.Account}}", names), lang.L("It did not go through {{.Provider}}. Click to see why.", names)
	}
	return "Waxseal", ""
}

// faultText is the text about an account that needs somebody.
func (n Notice) faultText(names map[string]any) (title, body string) {
	title = lang.L("{{.Account}} can’t send mail", names)
	body = lang.L("The reason: {{.State}} ({{.Provider}}). Click to see what to do.", names)
	if n.Reading {
		title = lang.L("{{.Account}} can’t read mail", names)
	}
	if n.State == api.NeedsConsent {
		title = lang.L("Sign in again: {{.Account}}", names)
		body = lang.L("{{.Provider}} accepts no mail from this account until you have signed in. Click to sign in.", names)
		if n.Reading {
			body = lang.L("Mail programs can’t read this account’s mail at {{.Provider}} until you have signed in. Click to sign in.", names)
		}
	}
	if n.Others > 0 {
		title += " (" + lang.N("and {{.N}} more accounts", n.Others, names) + ")"
	}
	return title, body
}

// Told is what notifications have told and is not over. The zero value is the start.
type Told struct {
	accounts map[string]api.State // by address
	passing  time.Time            // when trouble that should pass began; zero without any
	lost     string               // the provider that was told to have it; "" if none was
	lasting  map[Kind]bool
	release  string // the newer version that was told
}

// Notices returns what is new in a State, at most one notice per state of accounts,
// and the Told that results. What is over can be told again. Trouble is not over while
// an account or a breaker is merely being tried again.
func (t Told) Notices(s State) ([]Notice, Told) {
	next := Told{accounts: map[string]api.State{}, lasting: map[Kind]bool{}, release: t.release}
	out := next.faults(t, s)
	out = append(out, next.outages(t, s)...)
	// A release that an earlier start has found was told then.
	if u := s.Update; u != nil && u.Found.After(s.Started) && u.Version != t.release {
		next.release = u.Version
		out = append(out, Notice{Kind: NewRelease, Version: u.Version})
	}
	for kind, lasts := range map[Kind]bool{
		PortLost:      s.PortTaken != nil,
		KeychainFault: s.Keystore.Problem != nil,
		WindowFault:   s.WindowFailed,
	} {
		if lasts {
			next.lasting[kind] = true
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(next.lasting)) {
		if !t.lasting[kind] {
			n := Notice{Kind: kind}
			switch kind {
			case KeychainFault:
				n.State = s.Keystore.Problem.State
			case PortLost:
				n.Address = s.PortTaken.Address
			}
			out = append(out, n)
		}
	}
	return out, next
}

// faults are the notices about accounts that need somebody. A keystore that can't be
// read is told once for all accounts.
func (next *Told) faults(t Told, s State) (out []Notice) {
	for _, a := range s.Accounts {
		before, told := t.accounts[a.Address]
		state, _, protocol := a.Overall()
		switch {
		case needsSomebody(a):
			next.accounts[a.Address] = state
		case told && state != api.Ready:
			next.accounts[a.Address] = before
			continue
		default:
			continue
		}
		keystore := s.Keystore.Problem != nil && (state == api.KeystoreLocked || state == api.KeystoreFailed)
		if before == state || keystore {
			continue
		}
		if i := slices.IndexFunc(out, func(n Notice) bool { return n.State == state && n.Reading == protocol.Reads() }); i >= 0 {
			out[i].Others++
			continue
		}
		out = append(out, Notice{Kind: AccountFault, Account: a.Address, State: state, Provider: a.Name, Reading: protocol.Reads()})
	}
	return out
}

// outages are the notices about passing trouble that has lasted for patience. A
// missing network is not told: whoever uses the computer knows. Nor is a message that
// was not sent: its mail program has told.
func (next *Told) outages(t Told, s State) []Notice {
	state, provider, troubled := s.Passing()
	if state.OfMessages() {
		troubled = false
	}
	trying := slices.ContainsFunc(s.Breakers, func(b api.Breaker) bool { return b.State == api.HalfOpen })
	switch {
	case !troubled && !(trying && !t.passing.IsZero()):
		works := func(a api.AccountStatus) bool { return a.Name == t.lost && a.Severity() <= api.Busy }
		reads := func(a api.AccountStatus) bool { return a.Name == t.lost && a.Reads() }
		if t.lost != "" && slices.ContainsFunc(s.Accounts, works) {
			return []Notice{{Kind: ProviderBack, Provider: t.lost, Reading: slices.ContainsFunc(s.Accounts, reads)}}
		}
		return nil
	case t.passing.IsZero():
		next.passing = s.Now
	default:
		next.passing = t.passing
	}
	next.lost = t.lost
	if next.lost == "" && troubled && state != api.Offline && s.Now.Sub(next.passing) >= patience {
		next.lost = provider
		return []Notice{{Kind: ProviderLost, Provider: provider, State: state}}
	}
	return nil
}

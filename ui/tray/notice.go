package tray

import (
	"maps"
	"slices"

	"fyne.io/fyne/v2/lang"

	"github.com/waxseal/waxseal/proxy/breaker"
)

// Kind is what a notification tells.
type Kind string

const (
	Consent       Kind = "consent"        // an account must sign in again
	ProviderLost  Kind = "provider lost"  // a breaker opened
	ProviderBack  Kind = "provider back"  // all breakers have closed again
	PortLost      Kind = "port lost"      // the server accepts no mail
	KeychainFault Kind = "keychain fault" // secrets cannot be read
	WindowFault   Kind = "window fault"   // the window could not be opened
	TestSent      Kind = "test sent"      // what Actions.SendTest was asked for
	TestFailed    Kind = "test failed"
)

// Notice is one notification. Its text is fixed: a provider's words never get
// into it, because Windows passes it through a script.
type Notice struct {
	Kind    Kind
	Account string // that the page opens with, where one is meant
}

// Page is the page of the window that a click on the notification opens.
func (n Notice) Page() string {
	switch n.Kind {
	case Consent:
		return "add"
	case PortLost, KeychainFault:
		return "settings"
	case TestSent, TestFailed:
		return "activity"
	}
	return "overview"
}

// text is what the notification says.
func (n Notice) text() (title, body string) {
	switch n.Kind {
	case Consent:
		return lang.L("An account must sign in again"), lang.L("Mail from it waits until you have signed in. Click to do so.")
	case ProviderLost:
		return lang.L("A provider cannot be reached"), lang.L("Waxseal keeps trying. Mail programs are told to try again later.")
	case ProviderBack:
		return lang.L("The provider can be reached again"), lang.L("Mail goes out again.")
	case PortLost:
		return lang.L("Waxseal accepts no mail"), lang.L("Another program has its port. Click to choose another one.")
	case KeychainFault:
		return lang.L("The keychain cannot be read"), lang.L("Unlock it, and mail goes out again.")
	case WindowFault:
		return lang.L("The window could not be opened"), lang.L("Mail goes on. The log says more.")
	case TestSent:
		return lang.L("The test message was sent"), lang.L("The provider has accepted it.")
	case TestFailed:
		return lang.L("The test message was not sent"), lang.L("Click to see why.")
	}
	return "Waxseal", ""
}

// Told is what has been told and lasts. The zero value is the start, when
// nothing has been.
type Told struct {
	consent  map[string]bool // by address
	breakers map[string]bool // by name
	lasting  map[Kind]bool
}

// Notices says what a State has that has not been told, at most one of a kind,
// and what is told then. A condition that passes may be told again; one that
// merely is not known for a while, a breaker that tries or an account that
// nothing is known of, has not passed.
func (t Told) Notices(s State) ([]Notice, Told) {
	var out []Notice
	next := Told{consent: map[string]bool{}, breakers: map[string]bool{}, lasting: map[Kind]bool{}}
	for _, a := range s.Accounts {
		needed := a.State == "needs_consent"
		if needed || t.consent[a.Address] && a.State != "ready" {
			next.consent[a.Address] = true
		}
		if needed && !t.consent[a.Address] && !slices.ContainsFunc(out, Notice.isConsent) {
			out = append(out, Notice{Kind: Consent, Account: a.Address})
		}
	}
	for _, b := range s.Breakers {
		if b.State == breaker.Open || t.breakers[b.Name] && b.State != breaker.Closed {
			next.breakers[b.Name] = true
		}
	}
	switch {
	case len(t.breakers) == 0 && len(next.breakers) > 0:
		out = append(out, Notice{Kind: ProviderLost})
	case len(t.breakers) > 0 && len(next.breakers) == 0:
		out = append(out, Notice{Kind: ProviderBack})
	}
	for kind, lasts := range map[Kind]bool{
		PortLost:      s.PortTaken != nil,
		KeychainFault: s.Keystore.Error != "",
		WindowFault:   s.WindowFailed,
	} {
		if lasts {
			next.lasting[kind] = true
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(next.lasting)) {
		if !t.lasting[kind] {
			out = append(out, Notice{Kind: kind})
		}
	}
	return out, next
}

func (n Notice) isConsent() bool { return n.Kind == Consent }

package mailbox

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/signin"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// explainScope explains that a part of what the account does was not granted, while the rest was.
func explainScope(s subject, err error) *api.Problem {
	e, ok := errors.AsType[*oauth.ScopeError](err)
	if !ok {
		return nil
	}
	p := s.lasting(api.ReadingNotGranted, "5.7.8", "Permission to read mail with {{.Protocols}} was not granted (missing: {{.Scopes}}).",
		"Sign in again and allow reading mail.", "Protocols", e.Protocols(), "Scopes", strings.Join(e.Missing, " "))
	if slices.Contains(e.Uses, string(api.SMTP)) {
		p.What = s.say("Permission to send mail was not granted (missing: {{.Scopes}}).", "Scopes", strings.Join(e.Missing, " "))
		p.State, p.Cure = api.NeedsConsent, s.say("Sign in again and allow sending mail.")
	}
	p.Said = e.Description
	switch e.Reason.Class() {
	case oauth.ByAdmin:
		p.State, p.Cure = api.NeedsAdmin, api.Say(sentence(e.Reason.Cure()))
		if s.adminConsent != "" && e.Reason == oauth.AdminConsent {
			p.Cure, p.Copy = api.Say("Send an administrator this link, and sign in again once they have agreed."), s.adminConsent
		}
	case oauth.ByRegistration:
		p.State, p.Cure = api.RegistrationRefused, api.Say(sentence(e.Reason.Cure()))
	}
	p.Do = p.State.Action()
	return p
}

// explainToken explains why there is no access token.
func explainToken(s subject, err error) *api.Problem {
	if open, ok := errors.AsType[*breaker.OpenError](err); ok {
		return explainBreaker(s, open)
	}
	if errors.Is(err, oauth.ErrClosed) || errors.Is(err, upstream.ErrClosed) {
		return s.passing("", "4.7.0", "{{.Account}} is being changed in Waxseal.", "Try again.")
	}
	reason := oauth.ReasonOf(err)
	if reason == "" {
		return nil
	}
	p := &api.Problem{Account: s.account, Lasting: true, Code: "5.7.8", What: api.Say(sentence(reason.What())), Cure: api.Say(sentence(reason.Cure())), Said: oauth.SaidIn(err)}
	switch reason.Class() {
	case oauth.ByUser:
		p.State = api.NeedsConsent
	case oauth.ByAdmin:
		p.State = api.NeedsAdmin
		if reason == oauth.AdminConsent && s.adminConsent != "" {
			p.Cure, p.Copy = api.Say("Send an administrator this link, and sign in again once they have agreed."), s.adminConsent
		}
	case oauth.ByRegistration:
		p.State = api.RegistrationRefused
	default:
		p.State, p.Lasting, p.Code = api.SignInDown, false, "4.7.0"
		via, proxied := dial.ProxyOf(err)
		switch {
		case proxied:
			p.What, p.Cure = s.say("{{.Provider}}’s sign-in server can’t be reached through the proxy {{.Proxy}}.", "Proxy", via), api.Say(ProxyCure)
		case offline(err):
			return s.offline()
		case s.untrusted(err) != nil:
			return s.untrusted(err)
		case reason == oauth.WebPage:
			p.What = s.say("A web page or a redirect came instead of an answer from {{.Provider}}’s sign-in server.")
			p.Cure = api.Say("If this network asks you to sign in, do so in a browser. Otherwise check the address of the provider’s sign-in server in the configuration.")
		default:
			p.What, p.Cure = s.say("{{.Provider}}’s sign-in server isn’t responding as it should."), api.Say("Nothing is wrong with your password. Try again in a minute.")
		}
	}
	p.Do = p.State.Action()
	return p
}

// explainSignIn explains why a sign-in has ended that the provider did not refuse.
func explainSignIn(s subject, err error) *api.Problem {
	switch {
	case errors.Is(err, signin.ErrCancelled):
		return s.passing("", "", "The sign-in was cancelled.", "")
	case errors.Is(err, signin.ErrStopping):
		return s.passing("", "", "Waxseal is stopping.", "")
	case errors.Is(err, oauth.ErrNoApproval):
		return s.passing("", "", "Nobody approved the sign-in within 10 minutes.", "Sign in again.")
	}
	return nil
}

// ProxyCure is what to do where an HTTP proxy does not lead to a provider.
const ProxyCure = "Check the proxy in Waxseal’s settings, or HTTPS_PROXY and NO_PROXY, and that the proxy lets mail through."

// explainBreaker explains an answer that an open breaker gave. What opened it says
// more than that it is open.
func explainBreaker(s subject, open *breaker.OpenError) *api.Problem {
	state, what := api.SignInDown, "{{.Provider}}’s sign-in server isn’t responding."
	if IsMailBreaker(open.Name) {
		state, what = api.MailServerDown, "{{.Provider}}’s mail server isn’t responding."
	}
	p := s.passing(state, "4.7.0", what, "")
	p.Cure = api.Say("Waxseal tries again in {{.Seconds}} seconds.", "Seconds", strconv.Itoa(open.Seconds()))
	if open.Seconds() == 1 {
		p.Cure = api.Say("Waxseal tries again in 1 second.")
	}
	p.Said = open.Cause
	return p
}

// explainKeystore explains why a secret cannot be read or stored.
func explainKeystore(_ subject, err error) *api.Problem {
	if !errors.Is(err, keystore.ErrUnavailable) {
		return nil
	}
	reason := keystore.ReasonOf(err)
	p := &api.Problem{State: api.KeystoreFailed, Code: "4.7.0", What: api.Say(keystoreWords[reason]), Cure: api.Say(keystore.Cure(err))}
	if p.What.IsZero() {
		p.What = api.Say("The keystore can’t be read.")
	}
	if reason == keystore.ReasonLocked {
		p.State = api.KeystoreLocked
	}
	p.Do = p.State.Action()
	if reason == keystore.ReasonNoKeyring {
		p.Do = api.MakeKeyring
	}
	return p
}

var keystoreWords = map[keystore.Reason]string{
	keystore.ReasonLocked:       "The keychain is locked.",
	keystore.ReasonNoKeyring:    "The keychain has no default keyring yet.",
	keystore.ReasonNoService:    "No keychain service is running.",
	keystore.ReasonDenied:       "Access to the keystore was denied.",
	keystore.ReasonTimeout:      "The keystore did not answer in time.",
	keystore.ReasonDamaged:      "A secret in the keystore is damaged.",
	keystore.ReasonNoPassphrase: "The passphrase of the keystore is missing.",
	keystore.ReasonFull:         "etcd has no space left.",
	keystore.ReasonNoEtcd:       "This program was built without etcd.",
	keystore.ReasonBusy:         "Secrets are being moved to another keystore.",
}

package ui

import (
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// troubles are the problems that need somebody, each as the engine makes it.
func troubles(account string) map[api.State]*api.Problem {
	reason := func(state api.State, r oauth.Reason) *api.Problem {
		return problem(state, account, "5.7.8", engines(r.What()), "", engines(r.Cure()))
	}
	said := func(state api.State, what, cure string) *api.Problem {
		return problem(state, account, "5.7.8", what, "535 5.7.8 no", cure, "Host", "smtp.office365.com")
	}
	all := []*api.Problem{
		consentExpired(account), smtpDisabled(account), readingDisabled(account), readingNotGranted(account), wrongIdentity(account), secretExpired(account), noPassword(account), keychainLocked(),
		reason(api.NeedsAdmin, oauth.PolicyBlocks),
		said(api.NotRegistered, "Waxseal isn’t registered with {{.Provider}}: there is no client ID.", "Register it, and enter the client ID."),
		said(api.PasswordsRetired, "{{.Provider}} no longer accepts passwords and did not take the access token.", "Check the account’s provider."),
		said(api.NotAuthenticated, "{{.Provider}} did not count the sign-in.", "Sign in again, and check that the provider’s smtp is the server for mail programs."),
		said(api.TokenRefused, "{{.Provider}} refuses the access token of {{.Account}}.", "Sign in again and allow sending mail."),
		said(api.Unusable, "{{.Provider}}’s mail server {{.Host}} offers no sign-in with OAuth.", "Check that {{.Key}} in the configuration is the server for mail programs."),
		problem(api.KeystoreFailed, "", "4.7.0", "No keychain service is running.", "", "Start a keychain service such as GNOME Keyring or KeePassXC in this desktop session, or choose the encrypted file with --keystore file."),
		offline(account), mailServerDown(account), limitReached(account), problem(api.LastUnsent, account, "", "The mailbox has reached its sending limit for today.", "550 5.4.5 Daily user sending limit exceeded", "Try again tomorrow."),
	}
	by := map[api.State]*api.Problem{}
	for _, p := range all {
		by[p.State] = p
	}
	return by
}

// Every state of an account has words in the window and on the command line, in both
// languages. One that needs somebody says what to do, with a button that leads to a
// page.
func TestEveryStateIsShown(t *testing.T) {
	const me = "ada@corp.example"
	english := map[api.State][]string{}
	for _, language := range []string{"en", "de"} {
		s := newStage(t, busyOffice(), staging{language: language})
		quiet := view{snapshot: base().snapshot, known: true}
		quiet.snapshot.Accounts = []api.AccountStatus{account(me, "Microsoft 365")}
		calmly, _ := headline(quiet)
		for _, state := range api.States {
			severity := state.Severity()
			real := troubles(me)[state]
			if severity == api.NeedsSomebody && real == nil {
				t.Errorf("%s: no problem of the engine's is known", state)
			}
			for _, p := range []*api.Problem{nil, real} {
				a := account(me, "Microsoft 365")
				a.State, a.Problem = state, p
				badge, mood := accountState(a)
				v := view{snapshot: base().snapshot, known: true}
				v.snapshot.Accounts = []api.AccountStatus{a}
				title, above := headline(v)
				card := accountText(a, noon)
				trouble := accountTrouble(a)
				words := []string{badge}
				switch severity {
				case api.Fine, api.Busy:
					if title != calmly || above != good || trouble != (explained{}) {
						t.Errorf("%s %s: the headline is %q, the trouble %+v", language, state, title, trouble)
					}
				case api.Passing:
					if title == calmly || above != care || mood != care {
						t.Errorf("%s %s: the headline is %q", language, state, title)
					}
					words = append(words, title)
				case api.NeedsSomebody:
					if title == calmly || above != care || mood != bad {
						t.Errorf("%s %s: the headline is %q", language, state, title)
					}
					if trouble.do.label == "" || s.w.pages[trouble.do.page.Name] == nil && !trouble.do.unlock {
						t.Errorf("%s %s: %+v does nothing about it", language, state, trouble.do)
					}
					words = append(words, trouble.do.label)
				}
				if severity >= api.Passing {
					if trouble.words == "" || card.trouble == "" || !strings.HasPrefix(trouble.words, card.trouble) {
						t.Errorf("%s %s: the card says %q, the page %q", language, state, card.trouble, trouble.words)
					}
					words = append(words, trouble.words)
				}
				if p != nil {
					if trouble.cure == "" || p.Remedy() == "" || p.Summary() == "" {
						t.Errorf("%s %s: says no cure: %+v, %q", language, state, trouble, p.Remedy())
					}
					words = append(words, trouble.cure)
				}
				if card.state != badge || a.State.Label().String() == "" {
					t.Errorf("%s %s: the card's badge is %q, on the command line %q", language, state, card.state, a.State.Label())
				}
				if language == "en" {
					english[state] = append(english[state], words...)
					continue
				}
				for _, w := range words {
					if w == "" || w == english[state][0] {
						t.Errorf("%s: German says %q, English too", state, w)
					}
					english[state] = english[state][1:]
				}
			}
		}
	}
}

package proxy

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// apart is a provider with a permission for each protocol, as Microsoft has them.
func apart(o providertest.Options) rigOptions {
	o.Scopes = map[providertest.Protocol]string{providertest.SMTP: "mail.send", providertest.IMAP: "mail.imap", providertest.POP: "mail.pop"}
	return rigOptions{provider: o, config: func(c *config.Config) {
		c.Providers[0].IMAPScopes, c.Providers[0].POPScopes = []string{"mail.imap"}, []string{"mail.pop"}
	}}
}

// sendsOnly has the account me consent to sending.
func (r *rig) sendsOnly() {
	r.t.Helper()
	if _, err := r.server.hall.Mailbox(me).Grant.Accept(r.t.Context(), r.provider.GrantScope(me, "mail.send")); err != nil {
		r.t.Fatal(err)
	}
	r.sends()
}

// sends sends a message.
func (r *rig) sends() {
	r.t.Helper()
	if got := r.login(me).message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		r.t.Errorf("sending: %q", got)
	}
}

// consent asks for reading, and does as told with the provider's page. pages are those that were shown.
func (r *rig) consent(protocols []api.Protocol, decide func(page string) error) (pages []string, failed []api.Check, consented bool, err error) {
	consented, err = r.server.Authorize(r.t.Context(), api.ConsentRequest{Account: api.Account{Address: me}, Protocols: protocols}, func(p api.Prompt) error {
		if p.Check != nil && !p.Check.OK {
			failed = append(failed, *p.Check)
		}
		if p.URL == "" {
			return nil
		}
		pages = append(pages, p.URL)
		return decide(p.URL)
	})
	return pages, failed, consented, err
}

func (r *rig) approve(page string) error { _, err := r.provider.Approve(page, me); return err }

func (r *rig) deny(page string) error { _, err := r.provider.Deny(page); return err }

// scopeOf is what a page asks for.
func scopeOf(t *testing.T, page string) []string {
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(u.Query().Get("scope"))
}

var sendAndRead = []api.Protocol{api.SMTP, api.IMAP, api.POP}

// TestReadingIsAddedWithoutAsking where a wider refresh is enough.
func TestReadingIsAddedWithoutAsking(t *testing.T) {
	for name, o := range map[string]rigOptions{"an administrator has agreed": apart(providertest.Options{Wider: providertest.WiderGranted}), "one permission for all": {}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, o)
			if o.config != nil {
				r.sendsOnly()
			} else if _, err := r.server.hall.Mailbox(me).Grant.Accept(t.Context(), r.provider.GrantScope(me, "mail.send")); err != nil {
				t.Fatal(err)
			}
			pages, failed, consented, err := r.consent(sendAndRead, r.approve)
			if len(pages)+len(failed) != 0 || !consented || err != nil {
				t.Fatalf("asked %q, failed %+v, %t, %v", pages, failed, consented, err)
			}
			bothWays(t, func(t *testing.T, p api.Protocol) { r.reading(p, me) })
			r.sends()
			if text := readText(t, r.config); !strings.Contains(text, `protocols = ["smtp", "imap", "pop"]`) {
				t.Errorf("the file is\n%s", text)
			}
		})
	}
}

// TestReadingIsAsked: only what the account does is asked for, and sending goes on whatever the answer is.
func TestReadingIsAsked(t *testing.T) {
	for _, wider := range []providertest.Wider{providertest.WiderConsent, providertest.WiderRefused, providertest.WiderIgnored} {
		r := newRig(t, apart(providertest.Options{Wider: wider}))
		r.sendsOnly()
		before := readText(t, r.config)

		pages, _, consented, err := r.consent([]api.Protocol{api.SMTP, api.IMAP}, r.deny)
		if len(pages) != 1 || consented || err == nil {
			t.Fatalf("%v, declined: %q, %t, %v", wider, pages, consented, err)
		}
		if got := scopeOf(t, pages[0]); !slices.Contains(got, "mail.send") || !slices.Contains(got, "mail.imap") || slices.Contains(got, "mail.pop") {
			t.Errorf("%v: asked for %q", wider, got)
		}
		_, account := r.readStatus(api.IMAP)
		if account.State.Severity() != api.Fine || !slices.Equal(account.Protocols, []api.Protocol{api.SMTP}) || r.at(api.IMAP, false) != "" {
			t.Errorf("%v, declined: %s (%v), does %v", wider, account.State, account.Problem, account.Protocols)
		}
		if after := readText(t, r.config); after != before {
			t.Errorf("%v, declined: the file was\n%s\nand is\n%s", wider, before, after)
		}
		r.sends()

		pages, failed, consented, err := r.consent([]api.Protocol{api.SMTP, api.IMAP}, r.approve)
		if len(pages) != 1 || len(failed) != 0 || !consented || err != nil {
			t.Fatalf("%v, approved: %q, %+v, %t, %v", wider, pages, failed, consented, err)
		}
		r.reading(api.IMAP, me)
		r.sends()
		// The next one asks nobody, and what was granted is still known after a restart.
		if pages, _, consented, err := r.consent([]api.Protocol{api.SMTP, api.IMAP}, r.deny); len(pages) != 0 || !consented || err != nil {
			t.Errorf("%v, again: %q, %t, %v", wider, pages, consented, err)
		}
	}
}

// TestPartOfReadingIsGranted: sending works, and reading says what is missing.
func TestPartOfReadingIsGranted(t *testing.T) {
	r := newRig(t, apart(providertest.Options{Wider: providertest.WiderConsent}))
	r.sendsOnly()
	r.provider.SetFaults(providertest.Faults{Consent: func(string, string) string { return "mail.send mail.pop" }})
	pages, failed, consented, err := r.consent(sendAndRead, r.approve)
	if len(pages) != 1 || len(failed) != 1 || !consented || err == nil || !strings.Contains(err.Error(), "does not let me@corp.test read mail yet") {
		t.Errorf("%q, %+v, %t, %v", pages, failed, consented, err)
	}
	if len(failed) == 1 && (failed[0].Protocol != api.IMAP || !strings.Contains(failed[0].Problem.Error(), "permission to read mail with IMAP was not granted")) {
		t.Errorf("failed: %+v, %v", failed[0], failed[0].Problem)
	}
	r.sends()
	r.reading(api.POP, me)
	if got := r.read(api.IMAP).login(me, password); !strings.HasPrefix(got, "NO [UNAVAILABLE] The password is correct. Permission to read mail with IMAP was not granted") {
		t.Errorf("told %q", got)
	}
	imap, account := r.readStatus(api.IMAP)
	pop, _ := r.readStatus(api.POP)
	if imap.State != api.ReadingNotGranted || pop.State != api.Ready || account.State != api.Ready || imap.Problem == nil || imap.Problem.Do != api.SignIn {
		t.Errorf("IMAP %s, POP %s, the account %s (%v)", imap.State, pop.State, account.State, account.Problem)
	}
	if r.provider.Counts().IMAP.Connections != 0 {
		t.Error("the provider was bothered with a token that cannot read")
	}
}

// TestNobodysConsentGrows: an account without protocols is asked for sending alone.
func TestNobodysConsentGrows(t *testing.T) {
	r := newRig(t, apart(providertest.Options{}))
	var pages []string
	_, err := r.server.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: me}}, func(p api.Prompt) error {
		if p.URL == "" {
			return nil
		}
		pages = append(pages, p.URL)
		return r.approve(p.URL)
	})
	if err != nil || len(pages) != 1 || !slices.Equal(scopeOf(t, pages[0]), []string{"mail.send"}) {
		t.Errorf("%q, %v", pages, err)
	}
	if s := r.server.Snapshot(); s.Reading != nil || s.Accounts[0].Reading != nil || len(s.Listeners) != 2 {
		t.Errorf("%+v", s)
	}
}

// TestProgramsOwnRightToRead: with client_credentials nobody signs in, and Microsoft's token says which roles an
// administrator has given.
func TestProgramsOwnRightToRead(t *testing.T) {
	o := rigOptions{noAccount: true, provider: providertest.Options{ClientID: "waxseal-test", ClientSecret: "app-secret"}, config: func(c *config.Config) {
		c.Providers[0].Grant, c.Providers[0].ConsentDays = oauth.ClientCredentials, 0
	}}
	add := func(t *testing.T) (r *rig, password string) {
		r = newRig(t, o)
		password, err := r.server.Add(t.Context(), api.Account{Address: me, Protocols: []api.Protocol{api.IMAP}}, "app-secret")
		if err != nil {
			t.Fatal(err)
		}
		return r, password
	}
	t.Run("with the role", func(t *testing.T) {
		r, password := add(t)
		pages, failed, consented, err := r.consent(nil, r.approve)
		if len(pages)+len(failed) != 0 || !consented || err != nil {
			t.Errorf("%q, %+v, %t, %v", pages, failed, consented, err)
		}
		x := r.read(api.IMAP)
		if got := x.login(me, password); !x.ok(got) {
			t.Errorf("told %q", got)
		}
		if _, account := r.readStatus(api.IMAP); account.State != api.Ready {
			t.Errorf("%s (%v)", account.State, account.Problem)
		}
	})
	t.Run("without it", func(t *testing.T) {
		r, password := add(t)
		jwt := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"roles":["SMTP.SendAsApp"]}`)) + ".x"
		r.provider.SetFaults(providertest.Faults{Token: func(*http.Request) providertest.TokenFault {
			return providertest.TokenFault{Status: 200, Body: fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, jwt)}
		}})
		if got := r.read(api.IMAP).login(me, password); !strings.HasPrefix(got, "NO [UNAVAILABLE] The password is correct. ") || !strings.Contains(got, "IMAP.AccessAsApp") || !strings.Contains(got, "dministrator") {
			t.Errorf("told %q", got)
		}
		if st, _ := r.readStatus(api.IMAP); st.State != api.NeedsAdmin {
			t.Errorf("%s (%v)", st.State, st.Problem)
		}
	})
}

package oauth

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore"
)

const (
	sendScope = "https://outlook.example/SMTP.Send"
	imapScope = "https://outlook.example/IMAP.AccessAsUser.All"
)

// reader is the configuration of an account that sends and reads.
func reader(c *Config) {
	c.Scopes = []string{sendScope, "offline_access", imapScope}
	c.Needs = map[string][]string{"smtp": {sendScope}, "imap": {imapScope}}
}

// readerRig is newRig for an account that reads.
func readerRig(t testing.TB) *rig {
	r := newRig(t)
	reader(&r.cfg)
	return r
}

// grants makes the endpoint grant scopes, to refresh tokens that are the newest only: refused is its
// answer to a request that names another scope.
func (r *rig) grants(t testing.TB, scopes, refused string) {
	newest := 1
	r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
		if got := req.PostForm.Get("refresh_token"); got != fmt.Sprint("refresh-", newest) {
			t.Errorf("%s was used again, the newest is refresh-%d", got, newest)
		}
		for _, s := range strings.Fields(req.PostForm.Get("scope")) {
			if forMail(s) && !slices.Contains(strings.Fields(scopes), s) {
				answers(400, refused)(w, req)
				return
			}
		}
		newest++
		fmt.Fprintf(w, `{"access_token":"access-%d","refresh_token":"refresh-%d","expires_in":3600,"scope":%q}`, newest, newest, cmp.Or(req.PostForm.Get("scope"), scopes))
	})
}

func TestStoredScopes(t *testing.T) {
	for text, want := range map[string]stored{
		"token":                              {value: "token"},
		"token\norigin":                      {value: "token", origin: "origin"},
		"token\n\nmail.send":                 {value: "token", scopes: []string{"mail.send"}},
		"token\norigin\nnamed a b":           {value: "token", origin: "origin", scopes: []string{"a", "b"}, named: true},
		"token\norigin\nhttps://x.example/a": {value: "token", origin: "origin", scopes: []string{"https://x.example/a"}},
	} {
		if got := parseStored(text); got.String() != text || fmt.Sprint(got) != fmt.Sprint(want) || got.named != want.named || !slices.Equal(got.scopes, want.scopes) {
			t.Errorf("%q: %+v", text, got)
		}
	}
	// What an older version makes of it: all behind the first line end is the hash, which it keeps.
	value, rest, _ := strings.Cut(stored{value: "token", scopes: []string{"a"}}.String(), "\n")
	if got := parseStored(value + "2\n" + rest); got.value != "token2" || !slices.Equal(got.scopes, []string{"a"}) {
		t.Errorf("%+v", got)
	}
}

// TestGrantedScopesAreKept: what an answer grants is known after a restart, even where later answers do
// not say.
func TestGrantedScopesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := readerRig(t)
		if err := r.Allows("imap"); err != nil {
			t.Errorf("before anything is known: %v", err)
		}
		r.grants(t, sendScope, "")
		wantToken(t, r.Grant, "access-2")
		again, _ := r.grantWith(t, me, reader)
		r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) { writeToken(w, "access-3", "refresh-3", 3600) })
		wantToken(t, again, "access-3")
		for _, g := range []*Grant{r.Grant, again} {
			if got := g.Scopes(); !slices.Equal(got, []string{sendScope}) {
				t.Errorf("granted are %q", got)
			}
			err := g.Allows("imap")
			e, ok := errors.AsType[*ScopeError](err)
			if !ok || !errors.Is(err, ErrScope) || isConsent(err) || ReasonOf(err) != ScopeMissing || !slices.Equal(e.Missing, []string{imapScope}) {
				t.Errorf("IMAP: %v", err)
			}
			if want := "sign in again with `waxseal account reauthorize me@corp.example`: permission to read mail with IMAP was not granted (not granted: " + imapScope + ")"; fmt.Sprint(err) != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if err := g.Allows("smtp"); err != nil {
				t.Errorf("SMTP: %v", err)
			}
		}
	})
}

// TestWiden: what an administrator has granted for everybody works without the user, and every later
// refresh names it.
func TestWiden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := readerRig(t)
		r.grants(t, sendScope+" "+imapScope, "")
		if err := r.Widen(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		all := sendScope + " offline_access " + imapScope
		if got := r.endpoint.last().Get("scope"); got != all {
			t.Errorf("it asked for %q", got)
		}
		wantToken(t, r.Grant, "access-2")
		if err := r.Allows("imap"); err != nil {
			t.Error(err)
		}
		if err := r.Widen(t.Context(), nil); err != nil {
			t.Error(err)
		}
		r.endpoint.wantRequests(t, 1) // it is granted already
		time.Sleep(time.Hour)
		again, _ := r.grantWith(t, me, reader)
		wantToken(t, again, "access-3")
		if got := r.endpoint.last().Get("scope"); got != all {
			t.Errorf("a refresh after it names %q", got)
		}
		if err := again.Widen(t.Context(), nil); err != nil {
			t.Error(err)
		}
		r.endpoint.wantRequests(t, 2)
	})
}

// TestWidenRefused: whatever the provider says to it, the account goes on sending.
func TestWidenRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		reason Reason
		words  string
	}{
		"Microsoft":            {`{"error":"invalid_grant","suberror":"consent_required","error_description":"AADSTS65001: The user or administrator has not consented to use the application.","error_codes":[65001]}`, ConsentMissing, "sign in again"},
		"an administrator":     {`{"error":"invalid_grant","error_description":"AADSTS90094: The grant requires administrator permission."}`, AdminConsent, "an administrator must act for me@corp.example: permission to read mail with IMAP"},
		"consent_required":     {`{"error":"consent_required"}`, ConsentMissing, "sign in again"},
		"interaction_required": {`{"error":"interaction_required"}`, ConsentMissing, "sign in again"},
		"invalid_scope":        {`{"error":"invalid_scope"}`, ScopeRefused, "check the provider's scopes"},
		"invalid_grant":        {`{"error":"invalid_grant"}`, ConsentMissing, "sign in again"},
		"not registered":       {`{"error":"invalid_client","error_description":"AADSTS65005: Misconfigured application."}`, ScopeRefused, "check the provider's scopes"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := readerRig(t)
				r.grants(t, sendScope, tt.answer)
				wantToken(t, r.Grant, "access-2")
				err := r.Widen(t.Context(), nil)
				e, ok := errors.AsType[*ScopeError](err)
				if !ok || isConsent(err) || errors.Is(err, ErrAdmin) || e.Reason != tt.reason || !slices.Equal(e.Uses, []string{"imap"}) || !slices.Equal(e.Missing, []string{imapScope}) {
					t.Errorf("Widen = %#v", err)
				}
				if !strings.Contains(fmt.Sprint(err), tt.words) || !strings.Contains(fmt.Sprint(err), imapScope) {
					t.Errorf("Widen = %v", err)
				}
				wantState(t, r.Grant, Ready, "")
				wantToken(t, r.Grant, "access-2")
				time.Sleep(time.Hour)
				wantToken(t, r.Grant, "access-3") // at once, with the same refresh token
				if got := r.endpoint.last().Get("scope"); got != "" {
					t.Errorf("a plain refresh names %q", got)
				}
				if got := r.results(); got != "ok ok" {
					t.Errorf("OnRefresh heard %q", got)
				}
			})
		})
	}
}

// TestWidenWithLess: a provider that gives less than it was asked for is believed, and its new refresh
// token is kept.
func TestWidenWithLess(t *testing.T) {
	r := readerRig(t)
	r.endpoint.says(answers(200, `{"access_token":"a","refresh_token":"refresh-2","expires_in":3600,"scope":"SMTP.Send"}`))
	err := r.Widen(t.Context(), nil)
	if e, ok := errors.AsType[*ScopeError](err); !ok || e.Reason != ScopeMissing {
		t.Errorf("Widen = %v", err)
	}
	r.wantKept(t, "refresh-2")
	wantToken(t, r.Grant, "a")
	if r.Allows("smtp") != nil || r.Allows("imap") == nil {
		t.Errorf("granted: %q", r.Scopes())
	}
}

// TestWidenSilent: an answer that names no scope has granted all.
func TestWidenSilent(t *testing.T) {
	r := readerRig(t)
	if err := r.Widen(t.Context(), nil); err != nil || r.Allows("imap") != nil || len(r.Scopes()) != 2 {
		t.Errorf("Widen = %v, %q", err, r.Scopes())
	}
}

// TestWidenFaults: what is no answer to the question is told as it is.
func TestWidenFaults(t *testing.T) {
	r := readerRig(t)
	r.endpoint.says(answers(400, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`))
	if err := r.Widen(t.Context(), nil); ReasonOf(err) != WrongSecret || errors.Is(err, ErrScope) {
		t.Errorf("Widen = %v", err)
	}
	r.endpoint.says(drop)
	if err := r.Widen(t.Context(), nil); ReasonOf(err).Class() != ByTime || errors.Is(err, ErrScope) {
		t.Errorf("Widen = %v", err)
	}
	r.secrets.Fail(keystore.ErrLocked)
	if err := r.Widen(t.Context(), nil); !errors.Is(err, keystore.ErrLocked) {
		t.Errorf("Widen = %v", err)
	}
	r.secrets.Fail(nil)
	other, _ := r.grantWith(t, "other@corp.example", reader)
	if err := other.Widen(t.Context(), nil); !isConsent(err) {
		t.Errorf("Widen = %v", err)
	}
}

// TestWidenBesideRefreshes: one request at a time, whoever asks for what; nobody who wants to send hears
// of a refusal.
func TestWidenBesideRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := readerRig(t)
		r.grants(t, sendScope, `{"error":"invalid_grant"}`)
		inner := r.endpoint.answer
		var one sync.Mutex
		r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
			if !one.TryLock() {
				t.Error("two requests at once")
			}
			defer one.Unlock()
			time.Sleep(time.Second)
			inner(w, req)
		})
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				if err := r.Widen(t.Context(), nil); !errors.Is(err, ErrScope) {
					t.Errorf("Widen = %v", err)
				}
			})
			all.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				if _, err := r.Token(t.Context()); err != nil {
					t.Errorf("Token = %v", err)
				}
			})
		}
		all.Wait()
		if n := r.endpoint.requests(); n > 3 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestNamedScopesTakenBack: when what was granted by being named is taken back, sending goes on.
func TestNamedScopesTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := readerRig(t)
		r.grants(t, sendScope+" "+imapScope, "")
		if err := r.Widen(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
			if req.PostForm.Get("scope") != "" {
				answers(400, `{"error":"invalid_grant","error_description":"AADSTS65001: not consented"}`)(w, req)
				return
			}
			fmt.Fprintf(w, `{"access_token":"plain","expires_in":3600,"scope":%q}`, sendScope)
		})
		time.Sleep(time.Hour)
		wantToken(t, r.Grant, "plain")
		wantState(t, r.Grant, Ready, "")
		if r.Allows("smtp") != nil || r.Allows("imap") == nil {
			t.Errorf("granted: %q", r.Scopes())
		}
		n := r.endpoint.requests()
		time.Sleep(time.Hour)
		wantToken(t, r.Grant, "plain")
		r.endpoint.wantRequests(t, n+1) // nothing is named any more
		r.wantKept(t, "refresh-2")
	})
}

// TestRefreshScopeIsWhatIsGranted: where the provider wants the scope named, a refresh names no more.
func TestRefreshScopeIsWhatIsGranted(t *testing.T) {
	g := New(Config{}, me, Deps{Secrets: keystore.Memory()})
	reader(&g.cfg)
	for _, tt := range []struct {
		granted []string
		want    string
	}{
		{nil, sendScope + " offline_access"}, // a token from before scopes were kept
		{[]string{"SMTP.Send"}, sendScope + " offline_access"},
		{[]string{"SMTP.Send", "IMAP.AccessAsUser.All"}, sendScope + " offline_access " + imapScope},
		{[]string{"IMAP.AccessAsUser.All"}, "offline_access " + imapScope},
	} {
		if got := g.refreshScope(stored{scopes: tt.granted}); got != tt.want {
			t.Errorf("%q: %q", tt.granted, got)
		}
	}
	delete(g.cfg.Needs, "smtp")
	if got := g.refreshScope(stored{}); !strings.Contains(got, imapScope) {
		t.Errorf("an account that only reads names %q", got)
	}
}

// TestPartOfAConsent: sending must be granted, and the rest is taken as far as it is.
func TestPartOfAConsent(t *testing.T) {
	for _, tt := range []struct {
		does, scope string
		missing     string // the error's
	}{
		{"smtp imap", "SMTP.Send IMAP.AccessAsUser.All", ""},
		{"smtp imap", "SMTP.Send", ""},
		{"smtp imap", "", ""}, // all
		{"smtp imap", "IMAP.AccessAsUser.All", "permission to send mail was not granted (not granted: " + sendScope + ")"},
		{"smtp imap", "openid", "permission to send mail, and to read it with IMAP, was not granted (not granted: " + imapScope + " " + sendScope + ")"},
		{"imap", "SMTP.Send", "permission to read mail with IMAP was not granted (not granted: " + imapScope + ")"},
		{"imap", "IMAP.AccessAsUser.All", ""},
		{"imap pop", "IMAP.AccessAsUser.All", ""},
	} {
		g := New(Config{Scopes: []string{sendScope, imapScope}, Needs: map[string][]string{}}, me, Deps{Secrets: keystore.Memory()})
		for _, use := range strings.Fields(tt.does) {
			g.cfg.Needs[use] = map[string][]string{"smtp": {sendScope}, "imap": {imapScope}, "pop": {"POP.AccessAsUser.All"}}[use]
		}
		err := g.take(t.Context(), answer{access: "a", refresh: "r", life: time.Hour, scopes: strings.Fields(tt.scope)}, "")
		switch {
		case tt.missing == "" && err != nil, tt.missing != "" && (!isConsent(err) || !strings.Contains(err.Error(), tt.missing)):
			t.Errorf("%s, granted %q: %v", tt.does, tt.scope, err)
		case err == nil && tt.scope == "SMTP.Send" && (g.Allows("imap") == nil || g.Allows("smtp") != nil):
			t.Errorf("%s, granted %q: IMAP %v", tt.does, tt.scope, g.Allows("imap"))
		}
		g.Close(t.Context())
	}
}

// A provider with one permission for everything, which its answers name otherwise than it is asked for, was not let read.
func TestScopesOfOtherNames(t *testing.T) {
	for _, tt := range []struct {
		asked, granted string
		allowed        bool
	}{
		{"mail-w", "mail-w", true}, {"mail-w", "https://mail.provider.test/", true}, {imapScope, sendScope, false}, {imapScope, "https://mail.provider.test/", false},
	} {
		g := New(Config{Scopes: []string{tt.asked}, Needs: map[string][]string{"imap": {tt.asked}}}, me, Deps{Secrets: keystore.Memory()})
		g.granted = []string{tt.granted}
		if err := g.Allows("imap"); (err == nil) != tt.allowed {
			t.Errorf("asked for %s, granted %s: %v", tt.asked, tt.granted, err)
		}
		g.Close(t.Context())
	}
}

// TestRoles: Microsoft writes into a program's token what an administrator has granted it.
func TestRoles(t *testing.T) {
	token := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
	}
	for _, tt := range []struct{ access, imap, smtp string }{
		{token(`{"roles":["SMTP.SendAsApp","IMAP.AccessAsApp"]}`), "", ""},
		{token(`{"roles":["SMTP.SendAsApp"]}`), "IMAP.AccessAsApp", ""},
		{token(`{"roles":["IMAP.AccessAsApp"]}`), "", "SMTP.SendAsApp"},
		{token(`{}`), "", ""}, {token(`x`), "", ""}, {"opaque", "", ""}, {"a.!.c", "", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.cfg.GrantType, r.cfg.Scopes = ClientCredentials, []string{"https://outlook.office365.com/.default"}
			r.cfg.Needs = map[string][]string{"smtp": r.cfg.Scopes, "imap": r.cfg.Scopes}
			r.put(t, clientKey, "client-secret")
			r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) { writeToken(w, tt.access, "", 3600) })
			wantToken(t, r.Grant, tt.access)
			for use, missing := range map[string]string{"imap": tt.imap, "smtp": tt.smtp} {
				err := r.Allows(use)
				if (missing == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "an administrator must act") || ReasonOf(err) != RoleMissing) {
					t.Errorf("%s with %s: %v", use, tt.access, err)
				}
			}
			if err := r.Widen(t.Context(), nil); (err == nil) != (tt.imap+tt.smtp == "") {
				t.Errorf("Widen with %s: %v", tt.access, err)
			}
		})
	}
}

// TestAcceptWithScopes: an import knows what its token was issued for.
func TestAcceptWithScopes(t *testing.T) {
	r := readerRig(t)
	if _, err := r.Accept(t.Context(), "refresh-9", sendScope, "offline_access"); err != nil {
		t.Fatal(err)
	}
	wantToken(t, r.Grant, "access-1")
	if r.Allows("smtp") != nil || r.Allows("imap") == nil {
		t.Errorf("granted: %q", r.Scopes())
	}
	r.wantKept(t, "refresh-9")
	if another, err := r.Accept(t.Context(), "refresh-9"); another || err != nil {
		t.Errorf("the same again: %v, %v", another, err)
	}
}

// TestYoung: a session gets a token that lasts, where there is one.
func TestYoung(t *testing.T) {
	for _, tt := range []struct{ life, young time.Duration }{
		{time.Hour, 30 * time.Minute}, {90 * time.Minute, time.Hour}, {10 * time.Minute, 5 * time.Minute}, {24 * time.Hour, 23*time.Hour + 30*time.Minute},
	} {
		t.Run(tt.life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				n := 0
				r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
					n++
					writeToken(w, fmt.Sprint("access-", n), "", int(tt.life/time.Second))
				})
				want := func(value string) {
					t.Helper()
					if token, err := r.Young(t.Context()); err != nil || token.Value != value {
						t.Errorf("Young = %q, %v; want %s", token.Value, err, value)
					}
				}
				want("access-1")
				time.Sleep(tt.young - time.Nanosecond)
				want("access-1")
				time.Sleep(time.Nanosecond)
				wantToken(t, r.Grant, "access-1")
				want("access-2")
				wantToken(t, r.Grant, "access-2")
			})
		})
	}
}

// TestYoungFallsBack: an old token is better than none, and is not waited for long.
func TestYoungFallsBack(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"down": answers(503, ""), "slow": hang, "refused": answers(400, `{"error":"invalid_client"}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				wantToken(t, r.Grant, "access-1")
				time.Sleep(40 * time.Minute)
				r.endpoint.says(answer)
				start := time.Now()
				token, err := r.Young(t.Context())
				if err != nil || token.Value != "access-1" || time.Since(start) > 4*time.Second {
					t.Errorf("Young = %q, %v after %s", token.Value, err, time.Since(start))
				}
				time.Sleep(30 * time.Minute)
				if token, err := r.Young(t.Context()); err == nil {
					t.Errorf("Young = %q after its end", token.Value)
				}
			})
		})
	}
}

package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/providertest"
)

func startProvider(t *testing.T, o providertest.Options) *providertest.Provider {
	t.Helper()
	p, err := providertest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// grantAt is a Grant at the provider, with its issuer known, changed by edit.
func grantAt(t *testing.T, p *providertest.Provider, edit func(*Config)) (*Grant, *keystore.Store) {
	t.Helper()
	cfg := Config{
		Provider: "corp", ClientID: clientID, AuthURL: p.AuthURL(), TokenURL: p.TokenURL(), DeviceURL: p.DeviceURL(),
		RevokeURL: p.RevokeURL(), Scopes: []string{"mail.send"}, Issuer: p.URL,
	}
	if edit != nil {
		edit(&cfg)
	}
	secrets, http := keystore.Memory(), HTTPClient(nil, nil)
	g := New(cfg, me, Deps{Secrets: secrets, HTTP: http})
	t.Cleanup(func() {
		g.Close(context.Background())
		http.CloseIdleConnections()
	})
	return g, secrets
}

// as gives an opener whose user signs in as who.
func as(p *providertest.Provider, who string) func(string) error {
	return func(address string) error {
		go p.Approve(address, who) // the Grant says what came of it
		return nil
	}
}

func wantNothingKept(t *testing.T, secrets *keystore.Store) {
	t.Helper()
	if _, err := secrets.Get(t.Context(), "refresh/"+me); !errors.Is(err, keystore.ErrNotFound) {
		t.Errorf("a refresh token was stored (%v)", err)
	}
}

func TestIdentity(t *testing.T) {
	elsewhere := startProvider(t, providertest.Options{})
	broken := httptest.NewServer(answers(200, page200))
	t.Cleanup(broken.Close) // after the parallel ones
	claim := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) { c[name] = value }
	}
	without := func(names ...string) func(map[string]any) {
		return func(c map[string]any) {
			for _, n := range names {
				delete(c, n)
			}
		}
	}
	noInfo := func(c *Config) { c.UserinfoURL = broken.URL } // fails if it is asked
	for _, tt := range []struct {
		name   string
		user   string
		config func(*Config)
		claims func(map[string]any)
		want   string // in the error; "" when the consent is good
	}{
		{name: "the same", user: me, config: noInfo},
		{name: "in other case", user: "ME@Corp.Example", config: noInfo},
		{name: "another", user: "you@corp.example", want: "you signed in as you@corp.example, but this account is " + me},
		{name: "the login", user: "boss@corp.example", config: func(c *Config) { c.Login = "boss@corp.example" }},
		{name: "not the login", user: me, config: func(c *Config) { c.Login = "boss@corp.example" }, want: "this account is boss@corp.example"},
		{name: "by preferred_username", user: me, config: noInfo, claims: func(c map[string]any) {
			delete(c, "email")
			c["preferred_username"] = me
		}},
		{name: "email of another, username the same", user: me, claims: func(c map[string]any) {
			c["email"], c["preferred_username"] = "alias@corp.example", me
		}},
		{name: "by userinfo, token without names", user: me, claims: without("email")},
		{name: "by userinfo, another", user: "you@corp.example", claims: without("email"), want: "you signed in as you@corp.example"},
		{name: "by userinfo, without issuer", user: "you@corp.example", config: func(c *Config) {
			c.Issuer, c.UserinfoURL = "", c.Issuer+"/userinfo"
		}, want: "you signed in as you@corp.example"},
		{name: "userinfo names somebody else than the token", user: me, claims: func(c map[string]any) {
			delete(c, "email")
			c["sub"] = "x"
		}, want: "two users at once"},
		{name: "an address that is not verified, of another", user: "you@corp.example", claims: claim("email_verified", false), want: "you signed in as you@corp.example"},
		{name: "an address that is not verified, as a string", user: "you@corp.example", claims: claim("email_verified", "false"), want: "you signed in as you@corp.example"},
		{name: "one that is not verified does not count beside another name", user: me, claims: func(c map[string]any) {
			c["email_verified"], c["preferred_username"] = false, "you@corp.example"
		}, want: "you signed in as"},
		{name: "not told", user: "you@corp.example", config: func(c *Config) { c.Issuer = "" }},
		{name: "for another program", user: me, claims: claim("aud", "other"), want: "audience"},
		{name: "expired", user: me, claims: claim("exp", time.Now().Add(-time.Hour).Unix()), want: "expired"},
		{name: "of another sign-in", user: me, claims: claim("nonce", "x"), want: "not made for this sign-in"},
		{name: "without nonce", user: me, claims: without("nonce"), want: "not made for this sign-in"},
		{name: "of another issuer", user: me, claims: claim("iss", "https://evil.example"), want: "different provider"},
		{name: "signed by another", user: me, config: func(c *Config) { c.Issuer = elsewhere.URL }, want: "signature"},
		{name: "the issuer is not a provider", user: me, config: func(c *Config) { c.Issuer = broken.URL }, want: "identity endpoint 127.0.0.1"},
		{name: "issuer not by https", user: me, config: func(c *Config) { c.Issuer = "http://login.example" }, want: "is not https"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startProvider(t, providertest.Options{})
			p.SetFaults(providertest.Faults{Identity: tt.claims})
			g, secrets := grantAt(t, p, tt.config)
			err := g.Consent(t.Context(), as(p, tt.user), nil)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				wantState(t, g, Ready, "")
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Consent = %v, want %q", err, tt.want)
			}
			wantNothingKept(t, secrets)
			wantState(t, g, Unknown, "")
			if _, err := g.Token(t.Context()); !isConsent(err) {
				t.Errorf("Token = %v, want that nobody has signed in", err)
			}
		})
	}
}

func TestIdentityErrorNamesBoth(t *testing.T) {
	p := startProvider(t, providertest.Options{})
	g, _ := grantAt(t, p, nil)
	var wrong *IdentityError
	if err := g.Consent(t.Context(), as(p, "you@corp.example"), nil); !errors.As(err, &wrong) || wrong.Want != me || wrong.Got != "you@corp.example" {
		t.Errorf("Consent = %#v", err)
	}
}

// A consent of another user leaves the existing one alone.
func TestIdentityKeepsTheOldConsent(t *testing.T) {
	p := startProvider(t, providertest.Options{})
	g, secrets := grantAt(t, p, nil)
	if err := g.Consent(t.Context(), as(p, me), nil); err != nil {
		t.Fatal(err)
	}
	kept, _ := secrets.Get(t.Context(), "refresh/"+me)
	if err := g.Consent(t.Context(), as(p, "you@corp.example"), nil); err == nil {
		t.Fatal("another user was let in")
	}
	if now, _ := secrets.Get(t.Context(), "refresh/"+me); now != kept || kept == "" {
		t.Error("the refresh token was replaced")
	}
	if err := g.Renew(t.Context()); err != nil {
		t.Errorf("Renew = %v", err)
	}
}

// Microsoft's addresses for many tenants: the issuer in the metadata has a place for the tenant, and the
// token names it.
func TestIdentityOfManyTenants(t *testing.T) {
	for _, tt := range []struct{ name, issuer, want string }{
		{"the tenant's", "/T1/v2.0", ""},
		{"another tenant's", "/T2/v2.0", "an ID token of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startProvider(t, providertest.Options{})
			var site *httptest.Server
			site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/common/v2.0/.well-known/openid-configuration" {
					http.NotFound(w, r)
					return
				}
				answers(200, `{"issuer":"`+site.URL+`/{tenantid}/v2.0","jwks_uri":"`+p.URL+`/keys"}`)(w, r)
			}))
			defer site.Close()
			p.SetFaults(providertest.Faults{Identity: func(c map[string]any) { c["iss"], c["tid"] = site.URL+tt.issuer, "T1" }})
			g, _ := grantAt(t, p, func(c *Config) { c.Issuer = site.URL + "/common/v2.0" })
			err := g.Consent(t.Context(), as(p, me), nil)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Consent = %v, want %q", err, tt.want)
			}
		})
	}
}

// Microsoft's mail tokens do not open userinfo; that is not the user's fault.
func TestIdentityNotForThisToken(t *testing.T) {
	p := startProvider(t, providertest.Options{})
	closed := httptest.NewServer(answers(401, ""))
	defer closed.Close()
	p.SetFaults(providertest.Faults{Identity: func(c map[string]any) { delete(c, "email") }})
	g, _ := grantAt(t, p, func(c *Config) { c.UserinfoURL = closed.URL })
	if err := g.Consent(t.Context(), as(p, me), nil); err != nil {
		t.Error(err)
	}
}

func TestIdentityWithoutIDToken(t *testing.T) {
	p := newConsentProvider(t) // gives none
	b := newBrowser(t)
	oidcSite := startProvider(t, providertest.Options{})
	g := p.grant(t, me, keystore.Memory())
	g.cfg.Issuer = oidcSite.URL
	g.cfg.UserinfoURL = p.URL + "/userinfo"
	p.Config.Handler.(*http.ServeMux).HandleFunc("GET /userinfo", answers(200, `{"sub":"1","email":"you@corp.example"}`))
	if _, ok := errors.AsType[*IdentityError](g.Consent(t.Context(), b.open, nil)); !ok {
		t.Error("another user was let in")
	}
	if page := <-b.pages; !strings.Contains(page, "Somebody else signed in") || !strings.Contains(page, "you@corp.example") || !strings.Contains(page, me) {
		t.Errorf("the browser shows %s", page)
	}
	if got := p.asked.Get("scope"); got != "mail.send offline_access openid email" {
		t.Errorf("scope %q", got)
	}
	if p.asked.Get("nonce") == "" {
		t.Error("no nonce was sent")
	}
}

// TestSignedIn: the mail server may know the user by another name than the account's address. The
// provider tells it, at the consent and with each refresh.
func TestSignedIn(t *testing.T) {
	const upn = "jdoe01@id.corp.example"
	t.Run("at the consent", func(t *testing.T) {
		p := startProvider(t, providertest.Options{})
		p.SetFaults(providertest.Faults{Identity: func(c map[string]any) { c["preferred_username"] = upn }})
		g, _ := grantAt(t, p, nil)
		if err := g.Consent(t.Context(), as(p, me), nil); err != nil {
			t.Fatal(err)
		}
		if got := g.Status().SignedIn; got != upn {
			t.Errorf("signed in as %q, want %s", got, upn)
		}
		if err := g.Forget(t.Context()); err != nil || g.Status().SignedIn != "" {
			t.Errorf("after Forget: %q, %v", g.Status().SignedIn, err)
		}
	})
	t.Run("with a refresh", func(t *testing.T) {
		r := newRig(t)
		payload, _ := json.Marshal(map[string]string{"email": me, "preferred_username": upn})
		r.endpoint.says(answers(200, `{"access_token":"a","expires_in":60,"id_token":"e30.`+base64.RawURLEncoding.EncodeToString(payload)+`.x"}`))
		wantToken(t, r.Grant, "a")
		if got := r.Status().SignedIn; got != upn {
			t.Errorf("signed in as %q, want %s", got, upn)
		}
	})
	for _, tt := range []struct {
		claims claims
		want   string
	}{
		{claims{}, ""},
		{claims{Email: me}, me},
		{claims{Email: me, Username: "me"}, me},
		{claims{Username: "me"}, "me"},
		{claims{Email: me, Username: "a@x.example", UPN: upn}, upn},
		{claims{UPN: "evil\u202e\nname@x.example"}, "evil name@x.example"},
		{claims{UPN: "4f2c9a7e1b3d5f6a8c0e2b4d6f8a1c3e@x.example"}, "4f2c9a7e1b3d5f6a8c0e2b4d6f8a1c3e@x.example"},
		{claims{UPN: strings.Repeat("a", 400) + "@x.example", Email: me}, me},
	} {
		if got := tt.claims.login(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.claims, got, tt.want)
		}
	}
	for _, odd := range []string{"", "a.b", "a.!.c", "a.e30.c", "a.bnVsbA.c", "a.W10.c"} {
		if got := unverified(odd).login(); got != "" {
			t.Errorf("%q: %q", odd, got)
		}
	}
}

// TestWrongClock: a desktop whose clock is off is told so, and not that its token has expired.
func TestWrongClock(t *testing.T) {
	for _, tt := range []struct {
		off  time.Duration // of the provider's clock
		want string
	}{
		{-2 * time.Hour, "this computer's clock is 2 h 0 min ahead of the provider's"},
		{2*time.Hour + 30*time.Minute, "this computer's clock is 2 h 30 min behind the provider's"},
		{4 * time.Minute, ""},
	} {
		p := startProvider(t, providertest.Options{})
		p.SetFaults(providertest.Faults{Identity: func(c map[string]any) {
			now := time.Now().Add(tt.off)
			c["iat"], c["nbf"], c["exp"] = now.Unix(), now.Unix(), now.Add(time.Hour).Unix()
		}})
		g, secrets := grantAt(t, p, nil)
		inner := g.endpoint.http.Transport
		g.endpoint.http.Transport = dated{inner, tt.off}
		err := g.Consent(t.Context(), as(p, me), nil)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%v: %v", tt.off, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || ReasonOf(err) != ClockWrong || ClockOff(err).Round(time.Minute) != -tt.off {
			t.Errorf("%v: Consent = %v, %v", tt.off, err, ClockOff(err))
		}
		wantNothingKept(t, secrets)
	}
}

// dated is a transport to a provider whose clock is off.
type dated struct {
	inner http.RoundTripper
	off   time.Duration
}

func (d dated) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := d.inner.RoundTrip(r)
	if err == nil {
		res.Header.Set("Date", time.Now().Add(d.off).UTC().Format(http.TimeFormat))
	}
	return res, err
}

func TestClockOff(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for date, want := range map[string]time.Duration{
		"":                              0,
		"soon":                          0,
		"Fri, 02 Jan 2026 03:00:00 GMT": 0,
		"Fri, 02 Jan 2026 03:05:30 GMT": 0, // while the answer took its time
		"Fri, 02 Jan 2026 02:55:00 GMT": 0,
		"Fri, 02 Jan 2026 01:00:00 GMT": 2 * time.Hour,
		"Fri, 02 Jan 2026 03:10:00 GMT": -9 * time.Minute,
	} {
		if got := clockOff(http.Header{"Date": {date}}, now, now.Add(time.Minute)); got != want {
			t.Errorf("%q: %v, want %v", date, got, want)
		}
	}
}

// TestTrusted: what a provider names must be https, unless the provider is on this machine itself: no
// other may have a bearer token sent to a port here.
func TestTrusted(t *testing.T) {
	for _, tt := range []struct {
		address, by string
		want        bool
	}{
		{"https://login.example/keys", "https://login.example", true},
		{"https://keys.example/", "http://127.0.0.1:1", true},
		{"http://127.0.0.1:9/keys", "http://127.0.0.1:1", true},
		{"http://localhost:9/keys", "http://[::1]:1", true},
		{"http://127.0.0.1:9/keys", "https://login.example", false},
		{"http://localhost:9/keys", "https://127.0.0.1", false},
		{"http://[::1]:9/keys", "", false},
		{"http://login.example/keys", "http://127.0.0.1:1", false},
		{"https://user@login.example/", "https://login.example", false},
		{"ftp://127.0.0.1/", "http://127.0.0.1:1", false},
		{"", "https://login.example", false},
	} {
		if got := trusted(tt.address, tt.by); got != tt.want {
			t.Errorf("trusted(%q, %q) = %v", tt.address, tt.by, got)
		}
	}
}

// TestSigningKeySizes: a key of 960,000 bits cost 5.6 s.
func TestSigningKeySizes(t *testing.T) {
	key := func(bits int) json.RawMessage {
		n := make([]byte, bits/8)
		n[0], n[len(n)-1] = 0x80, 1
		return json.RawMessage(`{"kty":"RSA","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(n) + `"}`)
	}
	for bits, want := range map[int]bool{2048: true, 4096: true, 8200: false, 960_000: false} {
		if got := signingKey(key(bits)) != nil; got != want {
			t.Errorf("%d bits: %v", bits, got)
		}
	}
}

// TestFoldingIsBounded: IDNA takes time in proportion to the square of a label's length.
func TestFoldingIsBounded(t *testing.T) {
	for _, domain := range []string{
		strings.Repeat("ü", 32<<10) + ".example",
		strings.Repeat("ü.", 32<<10) + "example",
		"xn--" + strings.Repeat("a", 64<<10) + ".example",
		strings.Repeat("ü。", 20<<10) + strings.Repeat("é", 10<<10),
	} {
		if foldable(domain) {
			t.Errorf("%d bytes are given to IDNA", len(domain))
		}
		if !sameUser("me@"+domain, "ME@"+domain) || sameUser("me@"+domain, "you@"+domain) {
			t.Error("a name is not itself")
		}
	}
}

func TestSameUser(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"me@corp.example", "ME@CORP.example ", true},
		{"me@bücher.example", "me@xn--bcher-kva.example", true},
		{"first.last@gmail.com", "firstlast@googlemail.com", true},
		{"first.last@corp.example", "firstlast@corp.example", false},
		{"me@corp.example", "you@corp.example", false},
		{"me", "me@corp.example", false},
		{"CORP\\me", "corp\\me", true},
	} {
		if got := sameUser(tt.a, tt.b); got != tt.want {
			t.Errorf("sameUser(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}

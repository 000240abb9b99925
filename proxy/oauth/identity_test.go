package oauth

import (
	"context"
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
		go p.Approve(address, who) // what it saw is the Grant's to tell
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
	defer broken.Close()
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
		{name: "not told", user: "you@corp.example", config: func(c *Config) { c.Issuer = "" }},
		{name: "for another program", user: me, claims: claim("aud", "other"), want: "audience"},
		{name: "expired", user: me, claims: claim("exp", time.Now().Add(-time.Hour).Unix()), want: "expired"},
		{name: "of another sign-in", user: me, claims: claim("nonce", "x"), want: "not made for this sign-in"},
		{name: "without nonce", user: me, claims: without("nonce"), want: "not made for this sign-in"},
		{name: "of another issuer", user: me, claims: claim("iss", "https://evil.example"), want: "different provider"},
		{name: "signed by another", user: me, config: func(c *Config) { c.Issuer = elsewhere.URL }, want: "signature"},
		{name: "issuer is no provider", user: me, config: func(c *Config) { c.Issuer = broken.URL }, want: "identity endpoint 127.0.0.1"},
		{name: "issuer not by https", user: me, config: func(c *Config) { c.Issuer = "http://login.example" }, want: "is not https"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startProvider(t, providertest.Options{})
			p.SetFaults(providertest.Faults{Identity: tt.claims})
			g, secrets := grantAt(t, p, tt.config)
			err := g.Consent(t.Context(), as(p, tt.user))
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
	if err := g.Consent(t.Context(), as(p, "you@corp.example")); !errors.As(err, &wrong) || wrong.Want != me || wrong.Got != "you@corp.example" {
		t.Errorf("Consent = %#v", err)
	}
}

// A consent of another user leaves the one that is there.
func TestIdentityKeepsWhatThereIs(t *testing.T) {
	p := startProvider(t, providertest.Options{})
	g, secrets := grantAt(t, p, nil)
	if err := g.Consent(t.Context(), as(p, me)); err != nil {
		t.Fatal(err)
	}
	kept, _ := secrets.Get(t.Context(), "refresh/"+me)
	if err := g.Consent(t.Context(), as(p, "you@corp.example")); err == nil {
		t.Fatal("another user was let in")
	}
	if now, _ := secrets.Get(t.Context(), "refresh/"+me); now != kept || kept == "" {
		t.Error("the refresh token was replaced")
	}
	if err := g.Renew(t.Context()); err != nil {
		t.Errorf("Renew = %v", err)
	}
}

// Microsoft's addresses for many tenants: the issuer of the metadata has a place
// for the tenant, and the token names it.
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
			err := g.Consent(t.Context(), as(p, me))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Consent = %v, want %q", err, tt.want)
			}
		})
	}
}

// Microsoft's mail tokens open no userinfo; that is not the user's fault.
func TestIdentityNotForThisToken(t *testing.T) {
	p := startProvider(t, providertest.Options{})
	closed := httptest.NewServer(answers(401, ""))
	defer closed.Close()
	p.SetFaults(providertest.Faults{Identity: func(c map[string]any) { delete(c, "email") }})
	g, _ := grantAt(t, p, func(c *Config) { c.UserinfoURL = closed.URL })
	if err := g.Consent(t.Context(), as(p, me)); err != nil {
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
	if _, ok := errors.AsType[*IdentityError](g.Consent(t.Context(), b.open)); !ok {
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

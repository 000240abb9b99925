package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/providertest"
)

func TestClientCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cfg.GrantType, r.cfg.Scopes = ClientCredentials, []string{"https://outlook.office365.com/.default"}

		_, err := r.Token(t.Context())
		if !errors.Is(err, ErrAdmin) || isConsent(err) || !strings.Contains(err.Error(), "client secret of client-1 is not stored") {
			t.Errorf("Token = %v without a secret", err)
		}
		wantState(t, r.Grant, NeedsAdmin, "client secret")
		r.endpoint.wantRequests(t, 0)

		r.put(t, clientKey, "client-secret")
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { wantToken(t, r.Grant, "access-1") })
		}
		all.Wait()
		r.endpoint.wantRequests(t, 1)
		wantForm(t, r.endpoint.last(), url.Values{
			"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {"client-secret"}, "scope": {"https://outlook.office365.com/.default"},
		})
		wantState(t, r.Grant, Ready, "")
		time.Sleep(time.Hour)
		wantToken(t, r.Grant, "access-2")
		r.wantKept(t, "refresh-1") // none of its business
	})
}

// A refusal stands for a minute, and then the provider is asked again: nobody tells the program what an
// administrator did.
func TestAppRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cfg.GrantType = ClientCredentials
		r.put(t, clientKey, "hush-hush")
		r.endpoint.says(answers(400, `{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys for app are expired. hush-hush"}`))
		for range 3 {
			_, err := r.Token(t.Context())
			if !errors.Is(err, ErrAdmin) || !strings.Contains(err.Error(), "the client secret has expired") || strings.Contains(err.Error(), "hush-hush") {
				t.Fatalf("Token = %v", err)
			}
			if _, ok := errors.AsType[*RefusedError](err); !ok {
				t.Fatalf("Token = %#v, want the provider's answer in it", err)
			}
		}
		r.endpoint.wantRequests(t, 1)
		wantState(t, r.Grant, NeedsAdmin, "expired")
		if s := r.breaker.Status(); s.State != breaker.Closed || s.Failures != 0 {
			t.Errorf("the breaker counted it: %+v", s)
		}
		r.endpoint.says(nil)
		time.Sleep(time.Minute)
		wantToken(t, r.Grant, "access-2")
		wantState(t, r.Grant, Ready, "")
	})
}

func TestAppFaultsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cfg.GrantType = ClientCredentials
		r.put(t, clientKey, "client-secret")
		r.endpoint.failTwice(answers(503, ""))
		if _, err := r.Token(t.Context()); err != nil {
			t.Errorf("Token = %v, want it tried again", err)
		}
		r.Reject(r.cached.Load().Value)
		r.secrets.Fail(keystore.ErrLocked)
		if _, err := r.Token(t.Context()); err != nil {
			t.Errorf("Token = %v; the secret was read before", err)
		}
		r.endpoint.says(answers(500, ""))
		for range 5 {
			if _, ok := errors.AsType[*EndpointError](r.Renew(t.Context())); !ok {
				t.Error("the fault does not show")
			}
		}
		if _, ok := errors.AsType[*breaker.OpenError](r.Renew(t.Context())); !ok {
			t.Error("the breaker is not open")
		}
	})
}

func TestAppNeedsNoConsent(t *testing.T) {
	r := newRig(t)
	r.cfg.GrantType, r.cfg.DeviceURL, r.cfg.RevokeURL = JWTBearer, "https://login.example/d", "https://login.example/r"
	if _, err := r.Accept(t.Context(), "x"); !errors.Is(err, errNoSignIn) {
		t.Errorf("Accept = %v", err)
	}
	if err := r.Consent(t.Context(), nil, nil); !errors.Is(err, errNoSignIn) {
		t.Errorf("Consent = %v", err)
	}
	if err := r.Device(t.Context(), nil); !errors.Is(err, errNoSignIn) {
		t.Errorf("Device = %v", err)
	}
	if err := r.Revoke(t.Context()); !errors.Is(err, ErrNoRevocation) {
		t.Errorf("Revoke = %v", err)
	}
	r.cfg.GrantType = "password"
	if _, err := r.Token(t.Context()); err == nil || !strings.Contains(err.Error(), `grant type "password" is not known`) {
		t.Errorf("Token = %v", err)
	}
	r.endpoint.wantRequests(t, 0)
}

func TestClientCredentialsAtAProvider(t *testing.T) {
	p := startProvider(t, providertest.Options{ClientID: clientID, ClientSecret: "client-secret"})
	g, secrets := grantAt(t, p, func(c *Config) { c.GrantType = ClientCredentials })
	secrets.Set(t.Context(), ClientKey(p.TokenURL(), clientID), "wrong")
	if _, err := g.Token(t.Context()); !errors.Is(err, ErrAdmin) {
		t.Errorf("Token = %v with a wrong secret", err)
	}
	h, secrets := grantAt(t, p, func(c *Config) { c.GrantType = ClientCredentials })
	secrets.Set(t.Context(), ClientKey(p.TokenURL(), clientID), "client-secret")
	if _, err := h.Token(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServiceAccount(t *testing.T) {
	p := startProvider(t, providertest.Options{Accounts: []string{me}})
	key, err := p.ServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	service := func(c *Config) { c.GrantType, c.ClientID = JWTBearer, "1234567890" }
	g, secrets := grantAt(t, p, service)
	if _, err := g.Token(t.Context()); !errors.Is(err, ErrAdmin) || !strings.Contains(err.Error(), "key of the service account 1234567890 is not stored") {
		t.Errorf("Token = %v without a key", err)
	}
	secrets.Set(t.Context(), "service/1234567890", string(key))
	if _, err := g.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantState(t, g, Ready, "")

	// A user outside the organisation.
	other, secrets := grantAt(t, p, func(c *Config) { service(c); c.Login = "you@else.example" })
	secrets.Set(t.Context(), "service/1234567890", string(key))
	if _, err := other.Token(t.Context()); !errors.Is(err, ErrAdmin) || ReasonOf(err) != UserUnknown {
		t.Errorf("Token = %v for a strange user", err)
	}

	// A key that was replaced.
	if _, err := p.ServiceKey(); err != nil {
		t.Fatal(err)
	}
	if err := g.Renew(t.Context()); !errors.Is(err, ErrAdmin) || !strings.Contains(err.Error(), "Invalid JWT Signature") {
		t.Errorf("Renew = %v with an old key", err)
	}
}

func TestServiceAccountRequest(t *testing.T) {
	p := startProvider(t, providertest.Options{})
	key, err := p.ServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cfg.GrantType = JWTBearer
		r.put(t, "service/"+clientID, string(key))
		r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
			answers(400, `{"error":"unauthorized_client","error_description":"`+req.PostForm.Get("assertion")+`"}`)(w, req)
		})
		_, err := r.Token(t.Context())
		if !errors.Is(err, ErrAdmin) || !strings.Contains(err.Error(), "unauthorized_client: ***") || !strings.Contains(ReasonOf(err).Cure(), "domain-wide delegation") {
			t.Errorf("Token = %v", err)
		}
		form := r.endpoint.last()
		if len(form) != 2 || form.Get("grant_type") != jwtBearerGrant {
			t.Errorf("sent %v, want the grant type and the assertion alone", form)
		}
	})
}

func TestBadServiceKeys(t *testing.T) {
	for name, file := range map[string]string{
		"no JSON":        "SECRET",
		"another kind":   `{"type":"authorized_user","client_email":"a@b","private_key":"SECRET"}`,
		"no email":       `{"type":"service_account","private_key":"SECRET"}`,
		"no PEM":         `{"type":"service_account","client_email":"a@b","private_key":"SECRET"}`,
		"PEM of nothing": `{"type":"service_account","client_email":"a@b","private_key":"-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n"}`,
	} {
		r := newRig(t)
		r.cfg.GrantType = JWTBearer
		r.put(t, "service/"+clientID, file)
		_, err := r.Token(t.Context())
		if !errors.Is(err, ErrAdmin) || !strings.Contains(err.Error(), "download a new one") || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: Token = %v", name, err)
		}
		r.endpoint.wantRequests(t, 0)
	}
}

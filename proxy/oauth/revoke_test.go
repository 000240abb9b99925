package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/providertest"
)

func TestRevoke(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
		tries  int
	}{
		{"done", answers(200, ""), "", 1},
		{"done, with a page", answers(200, page200), "", 1},
		{"gone already, says Google", answers(400, `{"error":"invalid_token","error_description":"Token expired or revoked"}`), "", 1},
		{"refused", answers(401, `{"error":"invalid_client"}`), "revocation endpoint login.example refuses: invalid_client", 1},
		{"down", answers(503, ""), "revocation endpoint login.example: 503", 3},
		{"offline", drop, "the connection broke", 3},
		{"echo", answers(400, `{"error":"x","error_description":"refresh-1"}`), "x (***)", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.cfg.RevokeURL = "http://" + endpointHost + "/revoke"
				r.endpoint.says(tt.answer)
				err := r.Revoke(t.Context())
				if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Revoke = %v, want %q", err, tt.want)
				}
				r.endpoint.wantRequests(t, tt.tries)
				wantForm(t, r.endpoint.last(), url.Values{"client_id": {clientID}, "token": {"refresh-1"}, "token_type_hint": {"refresh_token"}})
				r.wantKept(t, "refresh-1") // forgetting it is up to the caller
			})
		})
	}
}

func TestRevokeNeedsNoRequest(t *testing.T) {
	r := newRig(t)
	if err := r.Revoke(t.Context()); !errors.Is(err, ErrNoRevocation) {
		t.Errorf("Revoke = %v without an endpoint", err)
	}
	r.cfg.RevokeURL = "http://" + endpointHost + "/revoke"
	r.secrets.Fail(keystore.ErrLocked)
	if err := r.Revoke(t.Context()); !errors.Is(err, keystore.ErrLocked) {
		t.Errorf("Revoke = %v with a locked keystore", err)
	}
	r.secrets.Fail(nil)
	r.Forget(t.Context())
	if err := r.Revoke(t.Context()); err != nil {
		t.Errorf("Revoke = %v of nothing", err)
	}
	r.endpoint.wantRequests(t, 0)
}

// The token to revoke is the one that a refresh in progress brings.
func TestRevokeWaitsForRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cfg.RevokeURL = "http://" + endpointHost + "/revoke"
		r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/revoke" {
				return
			}
			time.Sleep(3 * time.Second)
			writeToken(w, "access-2", "refresh-2", 3600)
		})
		go r.Token(t.Context())
		synctest.Wait()
		if err := r.Revoke(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := r.endpoint.last().Get("token"); got != "refresh-2" {
			t.Errorf("revoked %s", got)
		}
	})
}

func TestRevokeAtAProvider(t *testing.T) {
	p := startProvider(t, providertest.Options{ClientID: clientID, ClientSecret: "client-secret"})
	g, secrets := grantAt(t, p, nil)
	secrets.Set(t.Context(), ClientKey(p.TokenURL(), clientID), "client-secret")
	if err := g.Consent(t.Context(), as(p, me), nil); err != nil {
		t.Fatal(err)
	}
	if err := g.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Renew(t.Context()); !isConsent(err) {
		t.Errorf("Renew = %v after the consent was revoked", err)
	}
	if err := g.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantNothingKept(t, secrets)
}

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.rotate(t)
		wantToken(t, r.Grant, "access-2")
		if err := r.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.wantKept(t, "refresh-3")
		wantToken(t, r.Grant, "access-3")
		r.endpoint.wantRequests(t, 2)

		// While it fails, the token in use goes on.
		r.endpoint.says(answers(503, ""))
		if _, ok := errors.AsType[*EndpointError](r.Renew(t.Context())); !ok {
			t.Error("Renew hides the fault")
		}
		wantToken(t, r.Grant, "access-3")

		// It notices that a consent is gone.
		r.endpoint.says(answers(400, `{"error":"invalid_grant"}`))
		if err := r.Renew(t.Context()); !isConsent(err) {
			t.Errorf("Renew = %v", err)
		}
		wantState(t, r.Grant, NeedsConsent, "invalid_grant")
	})
}

// Whoever needs a token in the meantime gets the old one at once, and the provider is asked once for
// all.
func TestRenewHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		wantToken(t, r.Grant, "access-1")
		release := make(chan struct{})
		r.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
			<-release
			writeToken(w, "access-2", "", 3600)
		})
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- r.Renew(t.Context()) }()
		}
		synctest.Wait()
		wantToken(t, r.Grant, "access-1")
		close(release)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		wantToken(t, r.Grant, "access-2")
		r.endpoint.wantRequests(t, 2)
	})
}

package oauth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/waxseal/waxseal/keystore"
)

// A wrong client ID or secret was told only after the user had signed in and approved, or on a page of
// the provider's that nobody could read.
func TestTryClient(t *testing.T) {
	const id = "00000000-aaaa-bbbb-cccc-000000000001"
	for _, tt := range []struct {
		name   string
		secret string
		status int
		answer string
		want   Reason // "" lets the sign-in begin
	}{
		{"known", "s", 400, `{"error":"invalid_grant","error_description":"Malformed auth code."}`, ""},
		{"Google, unknown ID", "s", 401, `{"error":"invalid_client","error_description":"The OAuth client was not found."}`, NotRegistered},
		{"Google, wrong secret", "s", 401, `{"error":"invalid_client","error_description":"Unauthorized"}`, WrongSecret},
		{"Google, no secret", "", 400, `{"error":"invalid_request","error_description":"client_secret is missing."}`, SecretMissing},
		{"Google, deleted", "s", 401, `{"error":"deleted_client","error_description":"The OAuth client was deleted."}`, NotRegistered},
		{"Microsoft, known", "", 400, `{"error":"invalid_grant","error_description":"AADSTS9002313: Invalid request. Request is malformed or invalid.","error_codes":[9002313]}`, ""},
		{"Microsoft, unknown ID", "", 400, `{"error":"unauthorized_client","error_description":"AADSTS700016: Application with identifier '` + id + `' was not found in the directory 'Contoso'.","error_codes":[700016]}`, NotRegistered},
		{"Microsoft, wrong secret", "s", 401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215]}`, WrongSecret},
		{"Microsoft, no public flows", "", 401, `{"error":"invalid_client","error_description":"AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'.","error_codes":[7000218]}`, SecretMissing},
		{"Microsoft, one tenant", "", 400, `{"error":"invalid_request","error_description":"AADSTS50194: Application is not configured as a multi-tenant application.","error_codes":[50194]}`, WrongTenant},
		{"any other", "s", 401, `{"error":"invalid_client"}`, Refused},
		{"a code refused with other words", "s", 400, `{"error":"invalid_request","error_description":"The code is not valid."}`, ""},
		{"down", "s", 503, `{}`, ""},
		{"a page", "s", 200, `<html>`, ""},
		{"a token", "s", 200, `{"access_token":"a","expires_in":60}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.PostFormValue("grant_type")+" "+r.PostFormValue("code")+" "+r.PostFormValue("redirect_uri"))
				answers(tt.status, tt.answer)(w, r)
			}))
			defer site.Close()
			secrets := keystore.Memory()
			g := newConsentProvider(t).grant(t, me, secrets)
			g.endpoint.url = site.URL
			if tt.secret != "" {
				secrets.Set(t.Context(), ClientKey(g.cfg.TokenURL, clientID), tt.secret)
			}
			err := g.TryClient(t.Context())
			if ReasonOf(err) != tt.want || (err == nil) != (tt.want == "") {
				t.Errorf("TryClient = %v, want %q", err, tt.want)
			}
			if len(asked) == 0 || asked[0] != "authorization_code waxseal-tries-its-registration http://127.0.0.1:49152/callback" {
				t.Errorf("asked %q", asked)
			}
			wantState(t, g, Unknown, "")
		})
	}
}

// Nothing answers: the browser may know better.
func TestTryClientWithoutAnswer(t *testing.T) {
	secrets := keystore.Memory()
	g := newConsentProvider(t).grant(t, me, secrets)
	g.endpoint.url = "http://127.0.0.1:1"
	if err := g.TryClient(t.Context()); err != nil {
		t.Errorf("TryClient = %v", err)
	}
	secrets.Fail(keystore.ErrLocked)
	g = newConsentProvider(t).grant(t, me, secrets)
	if err := g.TryClient(t.Context()); !errors.Is(err, keystore.ErrLocked) {
		t.Errorf("with a locked keystore: %v", err)
	}
}

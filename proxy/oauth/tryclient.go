package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// tryTimeout limits a try of the registration. The user waits for it.
const tryTimeout = 5 * time.Second

// noCode is what TryClient offers as the code of an approval. Providers' own codes are random.
const noCode = "waxseal-tries-its-registration"

// TryClient finds out whether the provider takes this registration's client ID and secret, before
// anybody signs in with them in vain. It offers a code that cannot be right: a provider first looks at
// the client (RFC 6749 section 4.1.3), and answers invalid_grant only to one that it knows.
//
// The error is a [*RefusedError], or the keystore's. It is nil too if the answer is unclear, or there
// is none: then the sign-in will tell.
func (g *Grant) TryClient(ctx context.Context) error {
	if g.isApp() {
		return errNoSignIn
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	secret, err := g.secret(ctx)
	if err != nil {
		return err
	}
	_, err = g.endpoint.post(ctx, question{secret: secret, form: url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {noCode},
		"redirect_uri":  {"http://" + g.cfg.RedirectHost + ":49152" + g.cfg.RedirectPath}, // any port will do
		"code_verifier": {oauth2.GenerateVerifier()},
	}})
	r, refused := errors.AsType[*RefusedError](err)
	if !refused || !ofClient(r) {
		return nil
	}
	// Google's answer to the wrong secret of a client that it knows.
	if secret != "" && r.Reason == Refused && strings.EqualFold(r.Description, "Unauthorized") {
		r.Reason, r.exact = WrongSecret, true
	}
	return fmt.Errorf("try the registration: %w", r)
}

// ofClient reports whether a refusal is surely of the client, and not of the code.
func ofClient(r *RefusedError) bool {
	switch r.Reason {
	case NotRegistered, WrongSecret, SecretExpired, SecretMissing, SecretUnwanted, AppDisabled, WrongTenant:
		return true
	}
	switch r.name {
	case "invalid_client", "unauthorized_client":
		return r.Reason.Class() == ByRegistration
	}
	return false
}

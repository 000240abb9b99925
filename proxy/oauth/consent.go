package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// consentTimeout is how long the user has in the browser.
const consentTimeout = 10 * time.Minute

// Consent asks the user for a grant, in their own browser: the authorization
// code flow of RFC 6749 with PKCE (RFC 7636, S256), redirected to this machine
// (RFC 8252 section 7.3). It calls open with the address of the provider's page,
// which it may show, print or both; an error from open ends it. Then it waits for
// the browser to come back, until ctx ends or ten minutes have passed. Another
// user than the account's is refused with an [*IdentityError], where the provider
// tells who it is.
//
// Several may run at once, for one account or many: each has its own port, state
// and verifier. Until one succeeds the account stays as it is. When the keystore
// does not take the new token, that is in the error, and the account works from
// memory.
func (g *Grant) Consent(ctx context.Context, open func(url string) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, consentTimeout, errors.New("nobody approved it within 10 minutes"))
	defer cancel()
	if g.cfg.GrantType != "" {
		return errNoSignIn
	}
	ctx, over := g.whileOpen(ctx)
	defer over()
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	back, err := listen(ctx, g.cfg.RedirectHost, g.cfg.RedirectPath, state)
	if err != nil {
		return fmt.Errorf("listen for the browser's return: %w", err)
	}
	defer back.close()

	if err := open(g.consentURL(back.url, state, nonce, verifier)); err != nil {
		return fmt.Errorf("open the browser: %w", err)
	}
	var callback url.Values
	select {
	case callback = <-back.callback:
	case <-ctx.Done():
		return fmt.Errorf("wait for the user's approval: %w", context.Cause(ctx))
	}
	err = g.finish(ctx, callback, back.url, nonce, verifier)
	back.answer(g.account, err)
	return err
}

// whileOpen is ctx, which ends with the Grant too.
func (g *Grant) whileOpen(ctx context.Context) (_ context.Context, over func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(g.life, func() { cancel(ErrClosed) })
	return ctx, func() {
		unhook()
		cancel(nil)
	}
}

// consentURL is the address of the provider's page (RFC 6749 section 4.1.1).
func (g *Grant) consentURL(redirect, state, nonce, verifier string) string {
	var more []oauth2.AuthCodeOption
	for k, v := range g.cfg.AuthParams {
		more = append(more, oauth2.SetAuthURLParam(k, v))
	}
	more = append(more, oauth2.SetAuthURLParam("login_hint", g.user()), oauth2.S256ChallengeOption(verifier))
	if g.cfg.Issuer != "" {
		more = append(more, oidc.Nonce(nonce))
	}
	c := oauth2.Config{
		ClientID:    g.cfg.ClientID,
		Endpoint:    oauth2.Endpoint{AuthURL: g.cfg.AuthURL},
		RedirectURL: redirect,
		Scopes:      g.scopes(),
	}
	return c.AuthCodeURL(state, more...)
}

// finish makes of the browser's return a grant, or says why there is none.
func (g *Grant) finish(ctx context.Context, callback url.Values, redirect, nonce, verifier string) error {
	code := callback.Get("code")
	if failure := clean(callback.Get("error"), []string{code}); failure != "" {
		return g.declined(failure, clean(callback.Get("error_description"), []string{code}))
	}
	if code == "" {
		return g.declined("the provider sent the browser back without a code", "")
	}
	secret, err := g.secret(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	// Not through the breaker: the user is waiting, and may know that the
	// endpoint is back.
	a, err := retry(ctx, func() (answer, error) {
		return g.endpoint.post(ctx, url.Values{
			"grant_type":    {"authorization_code"},
			"code":          {code},
			"redirect_uri":  {redirect},
			"code_verifier": {verifier},
		}, secret)
	})
	if r, ok := errors.AsType[*RefusedError](err); ok && r.Code == "invalid_grant" {
		return g.declined("the provider no longer accepts the approval; it may have taken too long", "")
	}
	if err != nil {
		return fmt.Errorf("trade the approval for a token: %w", err)
	}
	return g.take(ctx, a, nonce)
}

// take makes an answer the account's grant, if it is of the account's user.
func (g *Grant) take(ctx context.Context, a answer, nonce string) error {
	if a.refresh == "" {
		return errors.New("the provider gave no refresh token; scopes or auth_params must ask for one (such as offline_access, or access_type=offline)")
	}
	if err := g.identify(ctx, a, nonce); err != nil {
		// What the other user granted is left to end by itself: to revoke it could
		// end their other consents for this program.
		return err
	}
	return g.adopt(ctx, a)
}

// declined is the error of a consent that the user or the provider did not give.
func (g *Grant) declined(code, description string) error {
	// Microsoft's device flow has a word of its own.
	denied := code == "access_denied" || code == "authorization_declined"
	if denied {
		code = "the sign-in was declined"
	}
	return &ConsentError{Account: g.account, Reason: reason(code, description), denied: denied, asked: true}
}

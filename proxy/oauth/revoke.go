package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// ErrNoRevocation says that the provider has no endpoint to revoke a consent at.
var ErrNoRevocation = errors.New("this provider does not let a program give its consent back; end it at the provider's own site")

// Revoke gives the consent back to the provider (RFC 7009), and does nothing else: [Grant.Forget] does
// the rest, and should follow whatever came of this. It is not an error if there is no consent, or the
// provider has ended it before.
func (g *Grant) Revoke(ctx context.Context) error {
	if g.cfg.RevokeURL == "" || g.isApp() {
		return ErrNoRevocation
	}
	if err := g.settled(ctx); err != nil {
		return err
	}
	token, err := g.load(ctx)
	if err != nil {
		return fmt.Errorf("read the refresh token of %s: %w", g.account, err)
	}
	if token.value == "" {
		return nil
	}
	secret, err := g.secret(ctx)
	if err != nil {
		return err
	}
	e := g.endpoint.sibling(revocationEndpoint, g.cfg.RevokeURL)
	_, err = retry(ctx, g.patience, always, func() (struct{}, error) {
		return ask(ctx, e, question{form: url.Values{"token": {token.value}, "token_type_hint": {"refresh_token"}}, secret: secret}, readRevoked)
	})
	// RFC 7009 section 2.2 makes an unknown token a success; Google does not.
	if code := nameOf(err); err != nil && code != "invalid_token" && code != "invalid_grant" {
		return fmt.Errorf("revoke the consent of %s: %w", g.account, err)
	}
	return nil
}

// settled waits for a refresh in progress: it may replace the token. One whose answer is late is not
// waited for any longer.
func (g *Grant) settled(ctx context.Context) error {
	g.mu.Lock()
	f := g.flight
	g.mu.Unlock()
	if f == nil {
		return nil
	}
	late := time.NewTimer(g.patience)
	defer late.Stop()
	select {
	case <-f.done:
	case <-late.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// readRevoked reads the answer of RFC 7009 section 2.2, whose body means nothing.
func readRevoked(r reply) (none struct{}, err error) {
	if r.status == http.StatusOK || r.status == http.StatusNoContent {
		return none, nil
	}
	f, bad := decode(r.body)
	return none, f.refusal(r, bad)
}

package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/waxseal/waxseal/keystore"
)

// maxTries is the first one and two more.
const maxTries = 3

// refresh gets an access token: with the program's own right, or for the refresh
// token (RFC 6749 section 6).
func (g *Grant) refresh(ctx context.Context, generation uint64) (*cached, error) {
	if g.cfg.GrantType != "" {
		return g.appToken(ctx)
	}
	secret, err := g.secret(ctx)
	if err != nil {
		return nil, err
	}
	_ = g.save(ctx) // of an earlier rotation, where that failed; it works from memory too
	token, err := g.load(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the refresh token: %w", err)
	case token.value == "":
		return nil, &ConsentError{Account: g.account, Reason: "nobody has signed in for this account yet"}
	}

	a, err := g.guarded(ctx, func() (answer, error) {
		a, err := g.endpoint.post(ctx, url.Values{
			"grant_type":    {"refresh_token"},
			"refresh_token": {token.value},
		}, secret)
		if a.refresh != "" && a.refresh != token.value {
			token = token.rotate(a.refresh)
			g.keep(ctx, generation, token)
		}
		return a, err
	})
	if r, ok := errors.AsType[*RefusedError](err); ok && needsUser(r.Code) {
		return nil, &ConsentError{Account: g.account, Reason: consentReason(r.Code, r.Description), lasting: true}
	}
	if err != nil {
		return nil, err
	}
	return newCached(a.access, a.received, a.life), nil
}

// guarded is breaker(retry(try)).
func (g *Grant) guarded(ctx context.Context, try func() (answer, error)) (a answer, err error) {
	var refused error // a healthy answer: the breaker must not count it
	err = g.deps.Breaker.Do(func() error {
		var err error
		a, err = retry(ctx, try)
		if _, ok := errors.AsType[*RefusedError](err); ok {
			refused, err = err, nil
		}
		return err
	})
	return a, cmp.Or(err, refused)
}

// secret is the registration's: the account's own in the keystore, the one that
// is shared there, or the one that came with the program; "" for a public client.
// One read before serves while the keystore can't be read: a refresh token that
// waits in memory to be stored must not die of it.
func (g *Grant) secret(ctx context.Context) (string, error) {
	secret, err := g.deps.Secrets.Get(ctx, OwnClientKey(g.cfg.TokenURL, g.cfg.ClientID, g.account))
	if errors.Is(err, keystore.ErrNotFound) {
		secret, err = g.deps.Secrets.Get(ctx, ClientKey(g.cfg.TokenURL, g.cfg.ClientID))
	}
	if errors.Is(err, keystore.ErrNotFound) {
		secret, err = g.cfg.ClientSecret, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		g.lastSecret = &secret
	case g.lastSecret != nil:
		return *g.lastSecret, nil
	default:
		return "", fmt.Errorf("read the client secret: %w", err)
	}
	return secret, nil
}

// retry tries again while the endpoint is at fault, as long as there is time for
// what it asks for.
func retry[T any](ctx context.Context, try func() (T, error)) (T, error) {
	pause := &backoff.ExponentialBackOff{
		InitialInterval:     500 * time.Millisecond,
		RandomizationFactor: 0.5, // many accounts fail together; they should not come back together
		Multiplier:          2,
		MaxInterval:         5 * time.Second,
	}
	for n := 1; ; n++ {
		a, err := try()
		fault, ok := errors.AsType[*EndpointError](err)
		if !ok || n == maxTries || !wait(ctx, max(pause.NextBackOff(), fault.RetryAfter)) {
			return a, err
		}
	}
}

// wait waits for d. It gives up at once when ctx would end before that.
func wait(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/waxseal/waxseal/keystore"
)

// maxTries is the first one and two more.
const maxTries = 3

// refresh gets an access token: with the program's own right, or for the refresh token (RFC 6749
// section 6).
func (g *Grant) refresh(ctx context.Context, f *flight) (*cached, error) {
	switch others := g.deps.Shared; {
	case g.isApp() && (others == nil || others.Err() != nil):
		return g.appToken(ctx, f.generation)
	case others != nil:
		return g.refreshShared(ctx, f)
	}
	token, secret, err := g.credentials(ctx)
	if err != nil {
		return nil, err
	}
	a, err := g.exchange(ctx, f, &token, secret)
	if err != nil {
		return nil, err
	}
	return newCached(a), nil
}

// exchange asks the provider for an access token, through the breaker. What becomes of the refresh token is
// in *token, also where there is an error.
func (g *Grant) exchange(ctx context.Context, f *flight, token *stored, secret string) (answer, error) {
	g.knows(f.generation, token.scopes)
	a, err := g.guarded(func() (answer, error) {
		scope := f.scope
		if scope == "" && token.named {
			scope = g.refreshScope(*token)
		}
		a, err := g.refreshAs(ctx, f.generation, token, secret, scope)
		if r, ok := errors.AsType[*RefusedError](err); ok && f.scope == "" && token.named && !ofClient(r) {
			// What was granted once by being named may have been taken back: the rest goes on.
			token.named, token.scopes = false, nil
			if a, err = g.refreshAs(ctx, f.generation, token, secret, ""); err == nil {
				g.keep(ctx, f.generation, *token)
			}
		}
		return a, err
	})
	switch {
	case err == nil:
		return a, nil
	case f.scope != "":
		return a, g.widenRefused(err, f.scope)
	}
	return a, g.refreshRefused(err)
}

// refreshAs makes the request, with the scope in it unless that is "", and keeps what it brings: another
// refresh token, and which scopes are granted.
//
// When the connection breaks after the request was sent, what became of the token is unknown. Nothing is
// tried again by itself then. The next caller asks with the same token all the same: there is no other,
// and if the provider has replaced it only the user can help anyway.
func (g *Grant) refreshAs(ctx context.Context, generation uint64, token *stored, secret, scope string) (answer, error) {
	replaced := false
	again := func(f *EndpointError) bool { return f.unprocessed() || replaced }
	return retry(ctx, g.patience, again, func() (answer, error) {
		q := question{form: url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.value}}, secret: secret}
		if scope != "" {
			q.form.Set("scope", scope)
		} else {
			q.scope = g.refreshScope(*token)
		}
		a, err := g.once().post(ctx, q)
		next := *token
		if replaced = a.refresh != "" && a.refresh != token.value; replaced {
			next = next.rotate(a.refresh)
		}
		if err == nil {
			next = next.after(a, strings.Fields(scope))
			g.knows(generation, next.scopes)
		}
		if next.String() != token.String() {
			*token = next
			g.keep(ctx, generation, next)
		}
		return a, err
	})
}

// after is a token with what the answer to a refresh says of its scopes. One that says nothing leaves
// them as they were, or has granted those that were named (RFC 6749 sections 5.1 and 6).
func (s stored) after(a answer, asked []string) stored {
	if scopes := grantedBy(a, asked); len(scopes) > 0 {
		s.scopes = scopes
		s.named = len(asked) > 0
	}
	return s
}

// knows remembers which scopes are granted, unless the user has given another refresh token since.
func (g *Grant) knows(generation uint64, scopes []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if generation == g.generation {
		g.granted = scopes
	}
}

// credentials are the refresh token and the client secret.
func (g *Grant) credentials(ctx context.Context) (token stored, secret string, err error) {
	ctx, cancel := context.WithTimeout(ctx, g.patience)
	defer cancel()
	if secret, err = g.secret(ctx); err != nil {
		return token, "", err
	}
	_ = g.save(ctx) // of an earlier rotation, where that failed; it works from memory too
	token, err = g.load(ctx)
	switch {
	case err != nil:
		return token, "", fmt.Errorf("read the refresh token: %w", err)
	case token.value == "":
		return token, "", &ConsentError{Account: g.account, Reason: ConsentMissing, text: "nobody has signed in for this account yet"}
	}
	return token, secret, nil
}

// refreshRefused is the error of a refresh. The user's consent is asked for once: no other request
// is made until they have acted.
func (g *Grant) refreshRefused(err error) error {
	if r, ok := errors.AsType[*RefusedError](err); ok && r.Reason == DeniedByUser && !r.exact {
		r.Reason = ConsentEnded // nobody was asked
	}
	err = g.refused(err)
	if c, ok := err.(*ConsentError); ok {
		c.lasting = true
	}
	return err
}

// guarded asks the endpoint through the breaker, for which a late answer is a failure. The answer is
// awaited all the same.
func (g *Grant) guarded(ask func() (answer, error)) (answer, error) {
	type outcome struct {
		answer answer
		err    error
	}
	came := make(chan outcome, 1)
	var late bool
	var o outcome
	err := g.deps.Breaker.Do(func() error {
		g.work.Go(func() {
			a, err := ask()
			came <- outcome{a, err}
		})
		timer := time.NewTimer(g.patience)
		defer timer.Stop()
		select {
		case o = <-came:
		case <-timer.C:
			late = true
			return g.late()
		}
		if _, ok := errors.AsType[*RefusedError](o.err); ok {
			return nil // a healthy answer
		}
		return o.err
	})
	if late {
		g.noteLate()
		o = <-came
		err = nil
	}
	return o.answer, cmp.Or(o.err, err)
}

// noteLate shows that an answer is late to those who watch.
func (g *Grant) noteLate() {
	g.deps.Log.Warn("the token endpoint has not answered yet; waiting")
	g.mu.Lock()
	if g.flight != nil { // else the user has given another refresh token since
		g.lastErr = g.late()
	}
	g.mu.Unlock()
	g.deps.OnChange()
}

// secret is the registration's: the account's own in the keystore, the shared one there, or the one
// that came with the program; "" for a public client. One that was read before serves while the
// keystore cannot be read: a refresh token that waits in memory to be stored must not be lost to it.
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

// retry tries again while the endpoint is at fault and again allows it, as long as there is time
// within limit for the pause that it asks for.
func retry[T any](ctx context.Context, limit time.Duration, again func(*EndpointError) bool, try func() (T, error)) (T, error) {
	wait, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pause := &backoff.ExponentialBackOff{
		InitialInterval:     500 * time.Millisecond,
		RandomizationFactor: 0.5, // many accounts fail together; they should not come back together
		Multiplier:          2,
		MaxInterval:         5 * time.Second,
	}
	for n := 1; ; n++ {
		a, err := try()
		fault, ok := errors.AsType[*EndpointError](err)
		if !ok || n == maxTries || !again(fault) || !sleep(wait, max(pause.NextBackOff(), fault.RetryAfter)) {
			return a, err
		}
	}
}

// always allows to repeat a request that has the same effect however often it is made.
func always(*EndpointError) bool { return true }

// sleep waits for d. It gives up at once when ctx would end before that.
func sleep(ctx context.Context, d time.Duration) bool {
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

package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waxseal/waxseal/proxy/breaker"
)

const (
	// refreshTimeout bounds all tries of a refresh together. Mail programs wait
	// some 30 s for the answer to AUTH.
	refreshTimeout = 24 * time.Second
	// patience is how long a caller waits for a refresh while the old token is
	// still good.
	patience = 3 * time.Second
	// refusedPause is how long a refusal of the registration stands: it will be
	// the same for the next caller.
	refusedPause = time.Minute
	// maxPause bounds what Retry-After may ask for.
	maxPause = 5 * time.Minute
)

// flight is a refresh under way, and afterwards its result.
type flight struct {
	generation uint64
	done       chan struct{} // closed when the rest is set
	token      Token
	err        error
	stale      bool // the user gave another refresh token meanwhile
}

// Token gives a fresh access token: the cached one, or one that it waits for
// until ctx ends. When the refresh fails, or takes long, while the old token is
// still good, that one is given.
func (g *Grant) Token(ctx context.Context) (Token, error) {
	if c := g.cached.Load(); c.fresh(g.deps.Now()) {
		return c.Token, nil
	}
	var enough *time.Timer
	for {
		f, err := g.join(false)
		if err != nil {
			if result(err) == "breaker" {
				g.deps.OnRefresh("breaker")
			}
			return g.fallback(err)
		}
		if enough == nil {
			enough = time.NewTimer(patience)
			defer enough.Stop()
		}
		select {
		case <-f.done:
			if f.stale {
				continue
			}
			if f.err != nil {
				return g.fallback(f.err)
			}
			return f.token, nil
		case <-enough.C:
			if c := g.cached.Load(); c.valid(g.deps.Now()) {
				return c.Token, nil
			}
			// Nothing to fall back on: wait on.
		case <-ctx.Done():
			return Token{}, fmt.Errorf("wait for a token: %w", context.Cause(ctx))
		}
	}
}

// fallback is the old token while it is good, else the error.
func (g *Grant) fallback(err error) (Token, error) {
	if c := g.cached.Load(); c.valid(g.deps.Now()) {
		return c.Token, nil
	}
	return Token{}, err
}

// Renew refreshes now, however fresh the token is: providers end a consent that
// is not used for some months. The token in use stays until there is a newer one.
func (g *Grant) Renew(ctx context.Context) error {
	for {
		f, err := g.join(true)
		if err != nil {
			if result(err) == "breaker" {
				g.deps.OnRefresh("breaker")
			}
			return err
		}
		select {
		case <-f.done:
			if !f.stale {
				return f.err
			}
		case <-ctx.Done():
			return fmt.Errorf("wait for a token: %w", context.Cause(ctx))
		}
	}
}

// join gives the refresh under way, or starts one, or says why there will be
// none. One is needed unless the cached token is fresh, or when forced.
func (g *Grant) join(force bool) (*flight, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.deps.Now()
	if c := g.cached.Load(); !force && c.fresh(now) { // another flight landed as we came
		f := &flight{done: make(chan struct{}), token: c.Token}
		close(f.done)
		return f, nil
	}
	switch {
	case g.flight != nil:
		return g.flight, nil
	case g.closed:
		return nil, ErrClosed
	case g.consent != nil:
		return nil, g.consent
	case before(now, g.paused):
		return nil, g.pausedErr(now)
	}
	// Asked here as well as by the call itself, so that an open breaker costs
	// neither a goroutine nor a look into the keystore.
	if err := g.deps.Breaker.Check(); err != nil {
		g.fail(err)
		return nil, err
	}
	f := &flight{generation: g.generation, done: make(chan struct{})}
	g.flight = f
	g.work.Go(func() {
		g.deps.OnChange()
		ctx, cancel := context.WithTimeout(g.life, refreshTimeout)
		defer cancel()
		c, err := g.refresh(ctx, f.generation)
		g.land(f, c, err)
	})
	return f, nil
}

// pausedErr is the last error, with the time that is still left of what the
// provider asked for. The caller holds g.mu.
func (g *Grant) pausedErr(now time.Time) error {
	if fault, ok := errors.AsType[*EndpointError](g.lastErr); ok {
		left := *fault
		left.RetryAfter = g.paused.Sub(now)
		return &left
	}
	return g.lastErr
}

// land ends a flight: the result goes to the cache, to those who wait and to
// those who watch.
func (g *Grant) land(f *flight, c *cached, err error) {
	g.mu.Lock()
	if g.flight == f {
		g.flight = nil
	}
	f.err = err
	f.stale = f.generation != g.generation
	switch {
	case f.stale: // of no use to the account as it now is
	case err != nil:
		g.fail(err)
	default:
		f.token = c.Token
		g.cached.Store(c)
		g.lastErr, g.lastRefresh, g.paused = nil, g.deps.Now(), time.Time{}
	}
	g.mu.Unlock()

	result := result(err)
	if err != nil {
		g.deps.Log.Warn("token refresh failed", "result", result, "err", err)
	} else {
		g.deps.Log.Debug("token refreshed", "expiry", c.Expiry)
	}
	g.deps.OnRefresh(result)
	g.deps.OnChange()
	close(f.done)
}

// fail remembers why there is no new token, and for how long that stands. The
// caller holds g.mu. The errors that matter here come unwrapped.
func (g *Grant) fail(err error) {
	switch e := err.(type) {
	case *breaker.OpenError:
		if g.lastErr != nil {
			return // what opened it says more
		}
	case *ConsentError:
		if e.lasting {
			g.consent = err
			g.cached.Store(nil)
		}
	case *RefusedError:
		g.paused = g.deps.Now().Add(refusedPause)
	case *AdminError:
		if e.Err != nil { // the provider's word
			g.paused = g.deps.Now().Add(refusedPause)
		}
	case *EndpointError:
		if e.RetryAfter > 0 {
			g.paused = g.deps.Now().Add(min(e.RetryAfter, maxPause))
		}
	}
	g.lastErr = err
}

// result is the metric's word for the end of a refresh.
func result(err error) string {
	switch err.(type) {
	case nil:
		return "ok"
	case *ConsentError:
		return "consent"
	case *breaker.OpenError:
		return "breaker"
	}
	return "error"
}

// Reject says that the provider's mail server refused this access token: the
// next Token call refreshes. It does nothing when another is cached by now.
func (g *Grant) Reject(value string) {
	if c := g.cached.Load(); c != nil && c.Value == value && g.cached.CompareAndSwap(c, nil) {
		g.deps.OnChange()
	}
}

package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waxseal/waxseal/proxy/breaker"
)

const (
	// shortPatience is how long a caller waits for a refresh while the old token is still good.
	shortPatience = 3 * time.Second
	// refusedPause is how long a refusal of the registration stands: it will be the same for the
	// next caller.
	refusedPause = time.Minute
	// maxPause bounds what Retry-After may ask for.
	maxPause = 5 * time.Minute
)

// flight is a refresh in progress, and afterwards its result.
type flight struct {
	generation uint64
	wish                     // of who started it; scope is what it asks for beyond what is granted, see [Grant.Widen]
	done       chan struct{} // closed when the rest is set
	token      Token
	err        error
	stale      bool    // the user gave another refresh token in the meantime
	shared     *cached // the token is one that another machine got; see [Grant.Changed]
	gen        uint64  // of the shared record that it was last about
}

// wish is what a caller wants of a refresh.
type wish struct {
	enough func(*cached, time.Time) bool // whether the cached token will do; nil means that none will
	scope  string                        // to ask for; "" means what is granted
	after  time.Time                     // with a nil enough, another machine's token from then or later will do
}

// has reports whether there is nothing to wait for.
func (w wish) has(c *cached, now time.Time) bool { return w.enough != nil && w.enough(c, now) }

// hasShared is has for a token that another machine got.
func (w wish) hasShared(c *cached, now time.Time) bool {
	return w.scope == "" && c.valid(now) && (w.has(c, now) || w.enough == nil && !c.got.Before(w.after))
}

// Token gives a fresh access token: the cached one, or one that it waits for until ctx ends or its
// patience does. When the refresh fails or is slow while the old token is still good, the old token
// is given.
func (g *Grant) Token(ctx context.Context) (Token, error) {
	return g.tokenThat(ctx, (*cached).fresh)
}

// Young is Token for a session that ends with its token, as those of IMAP do: one that has at least 30
// minutes left, or half of its life if that is less. When no younger one comes, the old one is given
// while it is good.
func (g *Grant) Young(ctx context.Context) (Token, error) {
	return g.tokenThat(ctx, (*cached).young)
}

func (g *Grant) tokenThat(ctx context.Context, enough func(*cached, time.Time) bool) (Token, error) {
	if c := g.cached.Load(); enough(c, g.deps.Now()) {
		return c.Token, nil
	}
	f, err := g.await(ctx, wish{enough: enough})
	switch {
	case err == nil && f.err == nil:
		return f.token, nil
	case err == nil:
		err = f.err
	case ctx.Err() != nil:
		return Token{}, err
	}
	if c := g.cached.Load(); c.valid(g.deps.Now()) {
		return c.Token, nil
	}
	return Token{}, err
}

// Renew refreshes now, however fresh the token is: providers end a consent that is not used for some
// months. The token in use stays until there is a newer one.
func (g *Grant) Renew(ctx context.Context) error {
	f, err := g.await(ctx, wish{after: g.deps.Now()})
	if err != nil {
		return err
	}
	return f.err
}

// await joins or starts a refresh and waits for its end. Its own error says why there is none, or
// that the answer is late. With a good token at hand it waits only a moment, unless none will do.
func (g *Grant) await(ctx context.Context, w wish) (*flight, error) {
	var late, enough <-chan time.Time
	for {
		f, err := g.join(w)
		if err != nil {
			if result(err) == "breaker" {
				g.deps.OnRefresh("breaker")
			}
			return nil, err
		}
		if late == nil {
			late = time.After(g.patience)
			if w.enough != nil && g.cached.Load().valid(g.deps.Now()) {
				enough = time.After(shortPatience)
			}
		}
		select {
		case <-f.done:
			if !f.stale && f.answers(w, g.deps.Now()) {
				return f, nil
			}
		case <-enough:
			if g.cached.Load().valid(g.deps.Now()) {
				return nil, g.late()
			}
			enough = nil // it has ended while we waited, so there is nothing to go on with
		case <-late:
			return nil, g.noneYet()
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a token: %w", context.Cause(ctx))
		}
	}
}

// answers reports whether a flight that has landed is one for the wish.
func (f *flight) answers(w wish, now time.Time) bool {
	if f.shared != nil {
		return w.hasShared(f.shared, now)
	}
	return f.scope == w.scope || w.scope == "" && !f.overreached()
}

// overreached reports whether a flight asked for more and was refused. That says nothing of what was
// granted before.
func (f *flight) overreached() bool {
	_, refused := errors.AsType[*RefusedError](f.err)
	return f.scope != "" && (refused || errors.Is(f.err, ErrScope))
}

var errLate = errors.New("no answer yet; Waxseal waits for it")

// late is the error of a refresh that takes longer than callers can wait.
func (g *Grant) late() error {
	return &EndpointError{URL: g.endpoint.host, Reason: Late, Sent: true, Err: errLate}
}

// join gives the refresh in progress, or starts one, or says why there will be none. One is needed
// unless the cached token will do.
func (g *Grant) join(w wish) (*flight, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.deps.Now()
	if c := g.cached.Load(); w.has(c, now) { // another flight landed as we came
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
	// Asked here as well as by the call itself, so that an open breaker costs neither a goroutine
	// nor a look into the keystore.
	if err := g.deps.Breaker.Check(); err != nil {
		g.fail(err)
		return nil, err
	}
	f := &flight{generation: g.generation, wish: w, done: make(chan struct{})}
	g.flight = f
	g.work.Go(func() {
		g.deps.OnChange()
		c, err := g.refresh(g.life, f)
		g.land(f, c, err)
	})
	return f, nil
}

// pausedErr is the last error, with what is left of the time that the provider asked for. The caller
// holds g.mu.
func (g *Grant) pausedErr(now time.Time) error {
	if fault, ok := errors.AsType[*EndpointError](g.lastErr); ok {
		left := *fault
		left.RetryAfter = g.paused.Sub(now)
		return &left
	}
	return g.lastErr
}

// land ends a flight: the result goes to the cache, to the callers who wait, and to those who watch.
func (g *Grant) land(f *flight, c *cached, err error) {
	g.mu.Lock()
	if g.flight == f {
		g.flight = nil
	}
	f.err = err
	f.stale = f.generation != g.generation || g.overtaken(f, err)
	switch {
	case f.stale: // of no use to the account as it is now
	case f.overreached(): // the account goes on with what it has
	case err != nil:
		g.fail(err)
	default:
		f.token = c.Token
		g.cached.Store(c)
		g.lastErr, g.lastRefresh, g.paused = nil, g.deps.Now(), time.Time{}
		g.signedIn = cmp.Or(c.signedIn, g.signedIn)
	}
	g.mu.Unlock()

	if f.shared != nil { // whoever got it has told
		g.deps.OnChange()
		close(f.done)
		return
	}
	result := result(err)
	if f.overreached() {
		g.deps.Log.Info("more was not granted", "err", err)
		g.deps.OnChange()
		close(f.done)
		return
	}
	if err != nil {
		g.deps.Log.Warn("token refresh failed", "result", result, "err", err)
	} else {
		g.deps.Log.Debug("token refreshed", "expiry", c.Expiry)
	}
	g.deps.OnRefresh(result)
	g.deps.OnChange()
	close(f.done)
}

// fail remembers why there is no new token, and for how long that stands. The caller holds g.mu. The
// errors that matter here come unwrapped.
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
		if e.Code != "" { // the provider's word
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

// Reject says that the provider's mail server refused this access token: the next Token call
// refreshes. It does nothing when another one is cached by now.
func (g *Grant) Reject(value string) {
	if c := g.cached.Load(); c != nil && c.Value == value && g.cached.CompareAndSwap(c, nil) {
		g.mu.Lock()
		g.fleet.refused = value
		g.mu.Unlock()
		g.deps.OnChange()
	}
}

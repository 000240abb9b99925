package oauth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
)

// Several machines that refresh one consent would each send its refresh token, and a provider that rotates
// takes the second one for theft. So the record that they share is also the lock: a machine writes its claim
// into it before it asks the provider, and the result in the place of the claim. Everything is written with
// compare-and-swap, so of two claims one fails before the provider is asked.
//
// A claim has no time to live, because the provider cares for none: it would accept the token of a machine
// whose claim has just expired, and count the next one as a replay. Its holder changes the claim every few
// seconds while it waits. A claim that does not change for doubtAfter belongs to a machine that was stopped,
// hangs or is cut off, and is taken over. That is the one case in which a token may be sent twice, and it is
// put off for as long as the token of the fleet is good.

const (
	claimBeat  = 5 * time.Second
	doubtAfter = 30 * time.Second
	// doubtLook is the pause after which a token is asked for again that another machine owes us, while ours
	// is good.
	doubtLook = 5 * time.Second

	// The engine elects another leader when one dies: that takes a second or two, and etcd lets go of calls that
	// were in progress after seven. So callers wait for an engine that has been away for no longer than briefly.
	briefly = 12 * time.Second
	// recoveryLook is the pause between tries meanwhile.
	recoveryLook = 300 * time.Millisecond
)

// Claims are the ways in which an attempt to be the one who asks the provider ends.
var Claims = []string{
	claimWon,       // this machine asked, and its answer counts
	claimShared,    // another machine had a token already
	claimWaited,    // another one was asking
	claimInDoubt,   // the claim of a machine that is not heard of was taken over
	claimLate,      // somebody took the claim over before the answer came
	claimOvertaken, // there is a newer refresh token than the one that the answer is for
}

const (
	claimWon       = "won"
	claimShared    = "shared"
	claimWaited    = "waited"
	claimInDoubt   = "in_doubt"
	claimLate      = "late"
	claimOvertaken = "overtaken"
)

// alone is refreshShared when the engine fails at what it was asked for.
func (g *Grant) alone(ctx context.Context, f *flight, doing string, err error) (*cached, error) {
	if g.isApp() {
		c, err := g.appToken(ctx, f.generation)
		g.releaseApp(ctx, c, err, f.gen) // a claim may have been written although no answer came
		return c, err
	}
	return nil, fmt.Errorf("%s: %w", doing, err)
}

// refreshShared is refresh for a token that other machines use too.
func (g *Grant) refreshShared(ctx context.Context, f *flight) (*cached, error) {
	began := time.Now()
	how := claimShared
	for {
		if err := g.save(ctx); err != nil { // of an earlier refresh: until the others know of it, there is no other
			if g.mayRecover(ctx, began, err) {
				continue
			}
			return nil, err
		}
		r, revision, err := g.deps.Shared.Grant(g.account)
		if err != nil {
			return g.alone(ctx, f, "read the refresh token", err)
		}
		now := g.deps.Now()
		g.mu.Lock()
		refused, forgave, stale := g.fleet.refused, g.fleet.forgave, f.generation != g.generation
		f.gen = r.Gen
		g.mu.Unlock()
		if stale { // the claim in the record may be that of the flight that has taken this one's place
			return nil, errReplaced
		}
		if c := g.sharedToken(r); c != nil && c.Value != refused && f.hasShared(c, now) {
			f.shared = c
			if g.isApp() {
				g.knows(f.generation, rolesOf(c.Value))
			}
			g.deps.OnClaim(how)
			return c, nil
		}
		if err := g.ended(r, forgave); err != nil {
			return nil, err
		}
		if r.Right == g.right() && now.Before(r.NotBefore) && r.NotBefore.Sub(now) <= maxPause { // else somebody's clock is wrong
			return nil, &EndpointError{URL: g.endpoint.host, Reason: Passing, RetryAfter: r.NotBefore.Sub(now), Err: errFleetPaused}
		}
		if r.Claim != nil && r.Claim.Process != g.deps.Shared.Process() {
			doubt, err := g.awaitClaim(ctx, revision, began)
			if err != nil {
				return nil, err
			}
			if !doubt {
				how = claimWaited
				continue
			}
			g.deps.Log.Warn("another machine’s refresh is in doubt; taking it over", "machine", r.Claim.By)
			g.deps.OnClaim(claimInDoubt)
		}
		next := r
		next.Claim = &shared.Claim{By: g.deps.Shared.Instance(), Process: g.deps.Shared.Process()}
		revision, err = g.deps.Shared.SwapGrant(ctx, g.account, next, revision)
		if errors.Is(err, shared.ErrChanged) {
			if _, _, err := g.deps.Shared.ReadGrant(ctx, g.account); err != nil && !g.mayRecover(ctx, began, err) {
				return g.alone(ctx, f, "read the refresh token", err)
			}
			continue
		}
		if err != nil { // the claim may have been written all the same; then it is ours
			if g.mayRecover(ctx, began, err) {
				continue
			}
			return g.alone(ctx, f, "ask for the refresh", err)
		}
		if c, again, err := g.claimed(ctx, f, next, revision); !again {
			return c, err
		}
	}
}

// mayRecover waits a moment for an engine that has just failed. It reports false if that can take longer than
// callers wait, or needs somebody.
func (g *Grant) mayRecover(ctx context.Context, began time.Time, err error) bool {
	needsHelp := errors.Is(err, keystore.ErrFull) || errors.Is(err, keystore.ErrDenied) || errors.Is(err, keystore.ErrDamaged)
	if needsHelp || g.isApp() || g.deps.Shared.Away() > briefly || time.Since(began) > briefly {
		return false
	}
	timer := time.NewTimer(recoveryLook)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-g.closing:
	case <-ctx.Done():
	}
	return false
}

// noneYet is the error of a caller whose patience has ended: what it waits for is the engine, or the endpoint.
func (g *Grant) noneYet() error {
	if g.deps.Shared != nil && !g.isApp() {
		if err := g.deps.Shared.Err(); err != nil {
			return fmt.Errorf("wait for a token: %w", err)
		}
	}
	return g.late()
}

var (
	errFleetPaused = errors.New("the provider has asked another machine to wait")
	errClaimed     = errors.New("another machine is asking the provider")
	errReplaced    = errors.New("there is another refresh token by now")
)

// doubtAfter is for how long another machine's claim may stay as it is.
func (g *Grant) doubtAfter() time.Duration {
	if g.isApp() { // nothing is lost by asking twice, so callers need not wait in vain
		return 2 * claimBeat
	}
	return doubtAfter
}

// awaitClaim waits until a record with another machine's claim changes. It reports that the claim is in doubt, or
// the error with which callers are let go who have a good token.
func (g *Grant) awaitClaim(ctx context.Context, revision int64, began time.Time) (doubt bool, err error) {
	g.mu.Lock()
	news, since := g.fleet.news, g.fleet.sight(revision)
	g.mu.Unlock()
	// What was written between the look at the record and here has closed an older channel.
	if _, now, err := g.deps.Shared.Grant(g.account); err != nil || now != revision {
		return false, err
	}
	good := g.cached.Load().valid(g.deps.Now())
	// Only silence that would have been broken counts: nobody can say that it lives while the engine is away.
	hearing := g.deps.Shared.Hearing()
	silent := min(time.Since(since), hearing)
	if g.isApp() { // whether the other one lives does not matter then
		good, silent = false, max(time.Since(since), time.Since(began))
	}
	wait := g.doubtAfter() - silent
	if away := g.deps.Shared.Err(); hearing == 0 && away != nil && !good {
		if g.isApp() {
			return true, nil
		}
		return false, fmt.Errorf("wait for the refresh of another machine: %w", away)
	}
	if wait <= 0 && !good {
		return true, nil
	}
	if good {
		wait = shortPatience - time.Since(began)
	}
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-news:
		return false, nil
	case <-timer.C:
		if !g.isApp() && g.cached.Load().valid(g.deps.Now()) {
			return false, &EndpointError{URL: g.endpoint.host, Reason: Late, RetryAfter: doubtLook, Err: errClaimed}
		}
		return false, nil
	case <-g.closing:
		return false, ErrClosed
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// claimed asks the provider, for a machine whose claim is in the record, and writes down what came of it. again
// means that the refresh token is not the record's any more.
func (g *Grant) claimed(ctx context.Context, f *flight, of shared.Grant, revision int64) (_ *cached, again bool, err error) {
	holding := g.hold(ctx, of, revision)
	if g.isApp() {
		c, err := g.appToken(ctx, f.generation)
		holding.end()
		g.releaseApp(ctx, c, err, of.Gen)
		if err == nil {
			g.deps.OnClaim(claimWon)
		}
		return c, false, err
	}
	token := parseStored(of.Refresh)
	secretCtx, cancel := context.WithTimeout(ctx, g.patience)
	secret, err := g.secret(secretCtx)
	cancel()
	var a answer
	if err == nil {
		a, err = g.exchange(ctx, f, &token, secret)
	}
	holding.end()

	// The token came, or the consent ended, whoever stops now.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), 2*saveTimeout)
	defer cancel()
	if err == nil {
		g.keepShared(ctx, f.generation, &unsaved{stored: token, access: newCached(a), ancestor: of.Gen})
		return newCached(a), false, nil
	}
	consent, ended := errors.AsType[*ConsentError](err)
	ended = ended && consent.lasting
	if ended {
		// Another machine may have rotated the token in the meantime. Only what the engine has now tells.
		now, _, readErr := g.deps.Shared.ReadGrant(ctx, g.account)
		if readErr != nil {
			return nil, false, fmt.Errorf("find out whether the refresh token is still the one in use: %w", readErr)
		}
		if now.Gen != of.Gen {
			g.deps.OnClaim(claimOvertaken)
			return nil, true, nil
		}
		g.mu.Lock()
		g.fleet.forgave = false
		g.mu.Unlock()
	} else if token.value != parseStored(of.Refresh).value { // it came with the error
		g.keepShared(ctx, f.generation, &unsaved{stored: token, ancestor: of.Gen})
	}
	g.release(ctx, func(r *shared.Grant) {
		if ended {
			r.Consent = &shared.Consent{Reason: string(consent.Reason), Code: consent.Code, Text: consent.Description}
		}
		g.postpone(r, err)
		if text := token.String(); token.value != parseStored(of.Refresh).value { // it came with the refusal
			r.Gen, r.Refresh = of.Gen+1, text
		}
	}, of.Gen)
	return nil, false, err
}

// releaseApp is release with what came of asking by the program's own right.
func (g *Grant) releaseApp(ctx context.Context, c *cached, err error, gen uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	g.release(ctx, func(r *shared.Grant) {
		r.NotBefore = time.Time{}
		if right := g.right(); r.Right != right { // NotBefore is that of this one, too
			r.Access, r.SignedIn, r.Right = "", "", right
		}
		*r = g.withAccess(*r, c)
		g.postpone(r, err)
	}, gen)
}

// postpone writes into a record for how long the provider wants no request.
func (g *Grant) postpone(r *shared.Grant, err error) {
	if fault, ok := errors.AsType[*EndpointError](err); ok && fault.RetryAfter > 0 {
		r.NotBefore = g.deps.Now().Add(min(fault.RetryAfter, maxPause)).UTC().Round(0)
	}
}

// hold changes a claim every few seconds, so that no other machine takes it over, until end is called.
func (g *Grant) hold(ctx context.Context, of shared.Grant, revision int64) *holding {
	ctx, cancel := context.WithCancel(ctx)
	h := &holding{cancel: cancel}
	h.work.Go(func() {
		ticker := time.NewTicker(claimBeat)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			claim := *of.Claim
			claim.Beat++
			of.Claim = &claim
			now, err := g.deps.Shared.SwapGrant(ctx, g.account, of, revision)
			switch {
			case err == nil:
				revision = now
			case errors.Is(err, shared.ErrChanged):
				// It was taken over, or it is this machine's own beat, whose answer got lost.
				r, now, err := g.deps.Shared.ReadGrant(ctx, g.account)
				if err == nil && (r.Gen != of.Gen || r.Claim == nil || r.Claim.Process != claim.Process) {
					return
				}
				if err == nil {
					revision = now
				}
			}
		}
	})
	return h
}

type holding struct {
	cancel context.CancelFunc
	work   sync.WaitGroup
}

func (h *holding) end() {
	h.cancel()
	h.work.Wait()
}

// release takes this machine's claim out of the record, with what is to be said in its place. It writes nothing
// if the claim has been taken over, or the refresh token is another one. What cannot be written does no
// harm: other machines take over a claim that does not change.
func (g *Grant) release(ctx context.Context, edit func(*shared.Grant), gen uint64) {
	for {
		r, revision, err := g.deps.Shared.Grant(g.account)
		if err != nil || r.Gen != gen || r.Claim == nil || r.Claim.Process != g.deps.Shared.Process() {
			return
		}
		r.Claim = nil
		edit(&r)
		if _, err = g.deps.Shared.SwapGrant(ctx, g.account, r, revision); !errors.Is(err, shared.ErrChanged) {
			return
		}
		if _, _, err := g.deps.Shared.ReadGrant(ctx, g.account); err != nil {
			return
		}
	}
}

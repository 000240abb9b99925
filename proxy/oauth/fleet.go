package oauth

import (
	"cmp"
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

// fleet is what a Grant knows of the record that it shares. Grant.mu guards it.
type fleet struct {
	news    chan struct{} // closed, and replaced, when the record changes
	gen     uint64        // of the record when it was last looked at
	refused string        // the access token that the mail server refused
	seen    int64         // the revision of the record when it last had another machine's claim
	since   time.Time     // when that was first seen
	forgave bool          // the provider is asked once more, although the record says that the consent has ended
}

// sight notes a record with another machine's claim and returns when it was first seen. The revision tells it from
// others: a machine's claims are alike. The caller holds Grant.mu.
func (f *fleet) sight(revision int64) time.Time {
	if f.seen != revision {
		f.seen, f.since = revision, time.Now()
	}
	return f.since
}

// cachedFrom is the access token of a record; nil if there is none.
func cachedFrom(r shared.Grant) *cached {
	if r.Access == "" {
		return nil
	}
	return cachedFor(r.Access, r.Got, time.Duration(r.Life)*time.Second, r.SignedIn)
}

// withAccess is a record with an access token.
func withAccess(r shared.Grant, c *cached) shared.Grant {
	if c == nil {
		return r
	}
	r.Access, r.Got, r.Life, r.SignedIn = c.Value, c.got.UTC().Round(0), int64(c.Expiry.Sub(c.got)/time.Second), cmp.Or(c.signedIn, r.SignedIn)
	return r
}

// Changed takes over what another machine has written into the account's shared record: a new access token,
// another refresh token, or that the provider has taken the consent back. It waits for nothing.
func (g *Grant) Changed() {
	if g.deps.Shared == nil || g.cfg.GrantType != "" {
		return
	}
	g.mu.Lock()
	// Read with the lock held: of two changes at a time, the later one must not be overwritten by the other.
	r, revision, err := g.deps.Shared.Grant(g.account)
	close(g.fleet.news)
	g.fleet.news = make(chan struct{})
	if r.Claim != nil && r.Claim.Process != g.deps.Shared.Process() {
		g.fleet.sight(revision)
	}
	if err != nil || g.closed {
		g.mu.Unlock()
		return
	}
	now := g.deps.Now()
	c := cachedFrom(r)
	if c != nil && (c.Value == g.fleet.refused || !c.valid(now)) {
		c = nil
	}
	another := r.Gen != g.fleet.gen
	if another {
		g.fleet.gen = r.Gen
		g.consent, g.lastErr, g.paused = nil, nil, time.Time{}
		if c == nil && g.unsaved == nil && r.Access == "" {
			g.cached.Store(nil) // it is of a consent that has been replaced or given back
			g.signedIn, g.granted = "", nil
		}
		if r.Refresh != "" {
			g.granted = parseStored(r.Refresh).scopes
		}
	}
	g.fleet.forgave = g.fleet.forgave && !another && r.Consent != nil
	switch was := g.cached.Load(); {
	case g.fleet.forgave:
	case r.Consent != nil:
		g.consent = g.consentOf(*r.Consent)
		g.lastErr = g.consent
		g.cached.Store(nil)
	case c != nil && (another || was == nil || c.got.After(was.got)):
		g.cached.Store(c)
		g.consent, g.lastErr, g.paused = nil, nil, time.Time{}
		g.signedIn = cmp.Or(c.signedIn, g.signedIn)
	case g.consent != nil: // it was taken out of the record
		g.consent, g.lastErr = nil, nil
	}
	if r.Got.After(g.lastRefresh) && r.Access != "" {
		g.lastRefresh = r.Got
	}
	g.mu.Unlock()
	g.deps.OnChange()
}

// overtaken reports whether the end of a consent is that of an earlier one: another machine has stored a new one while the
// flight landed. The caller holds g.mu.
func (g *Grant) overtaken(f *flight, err error) bool {
	if consent, ok := errors.AsType[*ConsentError](err); !ok || !consent.lasting || g.deps.Shared == nil || g.cfg.GrantType != "" {
		return false
	}
	r, _, err := g.deps.Shared.Grant(g.account)
	return err == nil && r.Gen != f.gen
}

// consentOf is the error of a consent that was taken back, as another machine heard of it.
func (g *Grant) consentOf(c shared.Consent) *ConsentError {
	return &ConsentError{Account: g.account, Reason: Reason(c.Reason), Code: c.Code, Description: c.Text, lasting: true}
}

// refreshShared is refresh for a consent that other machines use too.
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
			return nil, fmt.Errorf("read the refresh token: %w", err)
		}
		now := g.deps.Now()
		g.mu.Lock()
		refused, forgave, stale := g.fleet.refused, g.fleet.forgave, f.generation != g.generation
		f.gen = r.Gen
		g.mu.Unlock()
		if stale { // the claim in the record may be that of the flight that has taken this one's place
			return nil, errReplaced
		}
		switch c := cachedFrom(r); {
		case c != nil && c.Value != refused && f.hasShared(c, now):
			f.shared = c
			g.deps.OnClaim(how)
			return c, nil
		case r.Consent != nil && !forgave:
			return nil, g.consentOf(*r.Consent)
		case r.Refresh == "":
			return nil, &ConsentError{Account: g.account, Reason: ConsentMissing, text: "nobody has signed in for this account yet"}
		case r.Client != "" && r.Client != g.cfg.ClientID:
			// Either the account has another registration since, or this machine does not know of the one that it
			// has. The provider would refuse the token, and that would be taken for the end of the consent.
			return nil, &ConsentError{Account: g.account, Reason: ConsentMissing, text: "the sign-in was made with another client ID"}
		case now.Before(r.NotBefore) && r.NotBefore.Sub(now) <= maxPause: // else somebody's clock is wrong
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
				return nil, fmt.Errorf("read the refresh token: %w", err)
			}
			continue
		}
		if err != nil { // the claim may have been written all the same; then it is ours
			if g.mayRecover(ctx, began, err) {
				continue
			}
			return nil, fmt.Errorf("ask for the refresh: %w", err)
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
	if needsHelp || g.deps.Shared.Away() > briefly || time.Since(began) > briefly {
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
	if g.deps.Shared != nil && g.cfg.GrantType == "" {
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
	wait := doubtAfter - min(time.Since(since), hearing)
	if away := g.deps.Shared.Err(); hearing == 0 && away != nil && !good {
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
		if g.cached.Load().valid(g.deps.Now()) {
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
		g.keepShared(ctx, f.generation, &unsaved{stored: token, access: newCached(a), ancestor: of.Gen}, of)
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
		g.keepShared(ctx, f.generation, &unsaved{stored: token, ancestor: of.Gen}, of)
	}
	g.release(ctx, func(r *shared.Grant) {
		if ended {
			r.Consent = &shared.Consent{Reason: string(consent.Reason), Code: consent.Code, Text: consent.Description}
		}
		if fault, ok := errors.AsType[*EndpointError](err); ok && fault.RetryAfter > 0 {
			r.NotBefore = g.deps.Now().Add(min(fault.RetryAfter, maxPause)).UTC().Round(0)
		}
		if text := token.String(); token.value != parseStored(of.Refresh).value { // it came with the refusal
			r.Gen, r.Refresh = of.Gen+1, text
		}
	}, of.Gen)
	return nil, false, err
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

// keepShared is keep for a consent that other machines use too: the tokens are written in the place of the
// claim, or stay in memory, and in a file, until that works.
func (g *Grant) keepShared(ctx context.Context, generation uint64, u *unsaved, of shared.Grant) {
	g.mu.Lock()
	stale := g.generation != generation
	if !stale {
		g.unsaved = u
	}
	g.mu.Unlock()
	if stale {
		g.release(ctx, func(*shared.Grant) {}, of.Gen)
		return
	}
	if err := g.save(ctx); err != nil {
		if err := g.deps.Shared.Spill(g.account, u.ancestor, withAccess(u.next(of), u.access)); err != nil {
			g.deps.Log.Error("the new refresh token could not be kept in a file either", "err", err)
		}
	}
}

// next is the record with the refresh token.
func (u *unsaved) next(r shared.Grant) shared.Grant {
	rotated := parseStored(r.Refresh).value != u.value
	r.Refresh, r.Claim, r.Consent, r.NotBefore = u.String(), nil, nil, time.Time{}
	switch {
	case u.consent:
		r.Gen = r.NextGen()
	case rotated:
		r.Gen++
	}
	return r
}

// share writes an unsaved token into the record, unless another has taken the place of the one that it came
// of.
func (g *Grant) share(ctx context.Context, u *unsaved) error {
	for {
		r, revision, err := g.deps.Shared.Grant(g.account)
		if errors.Is(err, keystore.ErrDamaged) && u.consent {
			defer g.deps.Shared.Spilled(g.account)
			return g.deps.Secrets.Set(ctx, g.key(), u.String())
		}
		if err != nil {
			return err
		}
		ours := r.Claim != nil && r.Claim.Process == g.deps.Shared.Process()
		next := withAccess(u.next(r), u.access)
		next.Client = g.cfg.ClientID
		switch {
		case u.consent:
		case r.Gen != u.ancestor:
			g.deps.OnClaim(claimOvertaken)
			g.deps.Shared.Spilled(g.account)
			return nil
		case !ours && r.Gen == next.Gen:
			g.deps.OnClaim(claimLate) // nothing was rotated, so there is nothing that the others need
			g.deps.Shared.Spilled(g.account)
			return nil
		}
		_, err = g.deps.Shared.SwapGrant(ctx, g.account, next, revision)
		switch {
		case err == nil && u.consent:
			g.deps.Shared.Spilled(g.account)
			return nil
		case err == nil && ours:
			g.deps.OnClaim(claimWon)
			g.deps.Shared.Spilled(g.account)
			return nil
		case err == nil:
			g.deps.OnClaim(claimLate)
			g.deps.Shared.Spilled(g.account)
			return nil
		case !errors.Is(err, shared.ErrChanged):
			return err
		}
		if _, _, err := g.deps.Shared.ReadGrant(ctx, g.account); err != nil {
			return err
		}
	}
}

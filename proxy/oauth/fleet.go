package oauth

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
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

// right is what stands in a record beside an access token that came of the program's own right; "" for a consent.
func (g *Grant) right() string {
	if !g.isApp() {
		return ""
	}
	return strings.Join(append([]string{g.cfg.GrantType, g.cfg.ClientID, g.cfg.TokenURL, g.user()}, g.cfg.Scopes...), " ")
}

// sharedToken is the access token of a record; nil if there is none for the account as this machine knows it.
func (g *Grant) sharedToken(r shared.Grant) *cached {
	if r.Access == "" || r.Right != g.right() {
		return nil
	}
	return cachedFor(r.Access, r.Got, time.Duration(r.Life)*time.Second, r.SignedIn)
}

// withAccess is a record with an access token.
func (g *Grant) withAccess(r shared.Grant, c *cached) shared.Grant {
	if c == nil {
		return r
	}
	if r.Right != g.right() {
		r.SignedIn = "" // it was of the other one
	}
	r.Access, r.Got, r.Life, r.SignedIn = c.Value, c.got.UTC().Round(0), int64(c.Expiry.Sub(c.got)/time.Second), cmp.Or(c.signedIn, r.SignedIn)
	r.Right = g.right()
	return r
}

// Changed takes over what another machine has written into the account's shared record: a new access token,
// another refresh token, or that the provider has taken the consent back. It waits for nothing.
func (g *Grant) Changed() {
	if g.deps.Shared == nil {
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
	c := g.sharedToken(r)
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
		if r.Refresh != "" && !g.isApp() {
			g.granted = parseStored(r.Refresh).scopes
		}
	}
	g.fleet.forgave = g.fleet.forgave && !another && r.Consent != nil
	switch was := g.cached.Load(); {
	case g.fleet.forgave:
	case r.Consent != nil && !g.isApp():
		g.consent = g.consentOf(*r.Consent)
		g.lastErr = g.consent
		g.cached.Store(nil)
	case c != nil && (another || was == nil || c.got.After(was.got)):
		g.cached.Store(c)
		g.consent, g.lastErr, g.paused = nil, nil, time.Time{}
		g.signedIn = cmp.Or(c.signedIn, g.signedIn)
		if g.isApp() {
			g.granted = rolesOf(c.Value)
		}
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
	if consent, ok := errors.AsType[*ConsentError](err); !ok || !consent.lasting || g.deps.Shared == nil {
		return false
	}
	r, _, err := g.deps.Shared.Grant(g.account)
	return err == nil && r.Gen != f.gen
}

// consentOf is the error of a consent that was taken back, as another machine heard of it.
func (g *Grant) consentOf(c shared.Consent) *ConsentError {
	return &ConsentError{Account: g.account, Reason: Reason(c.Reason), Code: c.Code, Description: c.Text, lasting: true}
}

// ended is why the record's consent is of no use; nil if it is, or if none is needed.
func (g *Grant) ended(r shared.Grant, forgave bool) error {
	switch {
	case g.isApp():
	case r.Consent != nil && !forgave:
		return g.consentOf(*r.Consent)
	case r.Refresh == "":
		return &ConsentError{Account: g.account, Reason: ConsentMissing, text: "nobody has signed in for this account yet"}
	case r.Client != "" && r.Client != g.cfg.ClientID:
		// Either the account has another registration since, or this machine does not know of the one that it
		// has. The provider would refuse the token, and that would be taken for the end of the consent.
		return &ConsentError{Account: g.account, Reason: ConsentMissing, text: "the sign-in was made with another client ID"}
	}
	return nil
}

// keepShared is keep for a consent that other machines use too: the tokens are written in the place of the
// claim, or stay in memory, and in a file, until that works.
func (g *Grant) keepShared(ctx context.Context, generation uint64, u *unsaved) {
	g.mu.Lock()
	stale := g.generation != generation
	if !stale {
		g.unsaved = u
	}
	g.mu.Unlock()
	if stale {
		g.release(ctx, func(*shared.Grant) {}, u.ancestor)
		return
	}
	_ = g.save(ctx) // Status and the log say so
}

// spill keeps a token in a file that the engine does not take now. It reports whether that worked.
func (g *Grant) spill(u *unsaved) bool {
	r, _, err := g.deps.Shared.Grant(g.account)
	if errors.Is(err, keystore.ErrDamaged) && u.consent {
		r, err = shared.Grant{}, nil
	}
	if err == nil {
		next := g.withUnsaved(r, u)
		if u.consent && u.gen == 0 {
			u.gen = next.Gen
		}
		err = g.deps.Shared.Spill(g.account, u.ancestor, u.consent, next)
	}
	if err != nil {
		g.deps.Log.Error("the new refresh token could not be kept in a file either", "err", err)
	}
	return err == nil
}

// resume goes on with a sign-in that could not be stored before the last stop, nor at this start.
func (g *Grant) resume() {
	kept, ok := g.deps.Shared.Pending(g.account)
	if !ok || g.isApp() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	token := parseStored(kept.Refresh)
	g.unsaved = &unsaved{stored: token, access: g.sharedToken(kept), consent: true, gen: kept.Gen, spilled: true}
	g.saveErr, g.granted, g.signedIn = errPending, token.scopes, kept.SignedIn
	if c := g.unsaved.access; c.valid(g.deps.Now()) {
		g.cached.Store(c)
		g.lastRefresh = c.got
	}
	g.saving = true
	g.work.Go(g.saveLater)
}

var errPending = errors.New("a sign-in could not be stored yet; it is kept in memory and in a file")

// withUnsaved is a record with the tokens that are to be stored.
func (g *Grant) withUnsaved(r shared.Grant, u *unsaved) shared.Grant {
	rotated := parseStored(r.Refresh).value != u.value
	r.Refresh, r.Client, r.Claim, r.Consent, r.NotBefore = u.String(), g.cfg.ClientID, nil, nil, time.Time{}
	switch {
	case u.consent:
		r.Gen = r.NextGen()
	case rotated:
		r.Gen++
	}
	return g.withAccess(r, u.access)
}

// share writes an unsaved token into the record, unless another has taken the place of the one that it came
// of.
func (g *Grant) share(ctx context.Context, u *unsaved) error {
	for {
		r, revision, err := g.deps.Shared.Grant(g.account)
		if errors.Is(err, keystore.ErrDamaged) && u.consent {
			return g.deps.Secrets.Set(ctx, g.key(), u.String())
		}
		if err != nil {
			return err
		}
		next := g.withUnsaved(r, u)
		ours := r.Claim != nil && r.Claim.Process == g.deps.Shared.Process()
		how, needed := claimWon, true
		switch {
		case u.consent && u.gen != 0:
			old, err := g.deps.Shared.Superseded(ctx, g.account, u.gen, r, revision)
			if err != nil {
				return err
			}
			if needed = !old; old && r.Refresh != u.String() { // else it was stored, and the answer was lost
				g.deps.Log.Warn("a sign-in that could not be stored is out of date: there is a newer one, or the account was removed")
			}
		case u.consent:
		case r.Gen != u.ancestor:
			how, needed = claimOvertaken, false
		case !ours:
			how, needed = claimLate, r.Gen != next.Gen // else nothing was rotated that the others need
		}
		if needed {
			if _, err = g.deps.Shared.SwapGrant(ctx, g.account, next, revision); errors.Is(err, shared.ErrChanged) {
				_, _, err = g.deps.Shared.ReadGrant(ctx, g.account)
				if err == nil {
					continue
				}
			}
			if err != nil {
				return err
			}
		}
		if !u.consent {
			g.deps.OnClaim(how)
		}
		g.deps.Shared.Spilled(g.account)
		return nil
	}
}

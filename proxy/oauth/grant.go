package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waxseal/waxseal/keystore"
)

// Accept takes a refresh token that was granted elsewhere. The same one again, or one that rotation
// has since replaced, changes nothing that is stored. In both cases an account that waits for consent
// is tried again. It reports whether the token is another one. scopes are those for which it was
// issued, as far as they are known.
func (g *Grant) Accept(ctx context.Context, refreshToken string, scopes ...string) (another bool, err error) {
	if g.isApp() {
		return false, errNoSignIn
	}
	if !printable(refreshToken) {
		return false, fmt.Errorf("refresh token for %s: empty, or with characters that no token may have", g.account)
	}
	if err := g.lock(ctx); err != nil {
		return false, err
	}
	defer g.unlock()
	old, err := g.load(ctx)
	if err != nil && (g.deps.Shared == nil || !errors.Is(err, keystore.ErrDamaged)) { // a record alone can be replaced
		return false, fmt.Errorf("read the refresh token of %s: %w", g.account, err)
	}
	if old.cameFrom(refreshToken) {
		g.clear(false)
		return false, nil
	}
	token := stored{value: refreshToken, scopes: grantedBy(answer{}, scopes)}
	if err := g.deps.Secrets.Set(ctx, g.key(), token.String()); err != nil {
		return false, fmt.Errorf("store the refresh token of %s: %w", g.account, err)
	}
	g.clear(true)
	return true, nil
}

// Retry lets the provider be asked again, whatever it said last: the registration may have another
// secret now.
func (g *Grant) Retry() { g.clear(false) }

// Granted reports whether there is a refresh token, whatever it is worth.
func (g *Grant) Granted(ctx context.Context) (bool, error) {
	s, err := g.load(ctx)
	if err != nil {
		return false, fmt.Errorf("read the refresh token of %s: %w", g.account, err)
	}
	return s.value != "", nil
}

// Forget deletes the refresh token, from memory even where the keystore cannot.
func (g *Grant) Forget(ctx context.Context) error {
	if err := g.lock(ctx); err != nil {
		return err
	}
	defer g.unlock()
	g.clear(true)
	if g.deps.Shared != nil {
		g.deps.Shared.Spilled(g.account)
	}
	if err := g.deps.Secrets.Delete(ctx, g.key()); err != nil {
		return fmt.Errorf("delete the refresh token of %s: %w", g.account, err)
	}
	return nil
}

// clear forgets past errors, and with another refresh token, for which the caller has g.storing, all
// that came from the old one.
func (g *Grant) clear(another bool) {
	g.mu.Lock()
	g.clearLocked(another)
	g.mu.Unlock()
	g.deps.OnChange()
}

// clearLocked is clear for a caller who holds g.mu.
func (g *Grant) clearLocked(another bool) {
	g.fleet.forgave = !another && g.deps.Shared != nil && (g.fleet.forgave || g.consent != nil)
	g.consent, g.lastErr, g.paused = nil, nil, time.Time{}
	if another {
		g.generation++
		g.flight = nil // its result will be dropped
		g.unsaved, g.saveErr = nil, nil
		g.signedIn, g.granted = "", nil
		g.cached.Store(nil)
	}
}

// adopt takes what a consent brought: the refresh token into the keystore, or into memory where that
// fails, and the access token for use. signedIn is whom the provider names.
func (g *Grant) adopt(ctx context.Context, a answer, signedIn string) error {
	// The user has approved: that must not be lost because somebody leaves now.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*saveTimeout)
	defer cancel()
	if err := g.lock(ctx); err != nil {
		return err
	}
	defer g.unlock()
	old, err := g.load(ctx)
	if err != nil {
		old = stored{} // what cannot be read may still be written
	}
	s := old.rotate(a.refresh)
	s.scopes, s.named = grantedBy(a, g.cfg.Scopes), false
	g.mu.Lock()
	if g.closed { // whatever came after it would not know of the token
		g.mu.Unlock()
		return ErrClosed
	}
	g.clearLocked(true)
	g.unsaved, g.granted = &unsaved{stored: s, access: newCached(a), consent: true}, s.scopes
	g.mu.Unlock()
	err = g.saveLocked(ctx)

	g.mu.Lock()
	g.cached.Store(newCached(a))
	g.lastRefresh, g.signedIn = a.received, signedIn
	g.mu.Unlock()
	g.deps.OnChange()
	return err
}

// Close ends the Grant. A refresh in progress may finish until ctx ends, or for ten seconds (Deps.Timeout):
// its answer may replace the refresh token. A token that is still not stored is tried a last time. No
// refresh starts afterwards, and whoever waits for the user's consent gets [ErrClosed].
func (g *Grant) Close(ctx context.Context) error {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return nil
	}
	g.closed = true
	g.mu.Unlock()
	close(g.closing)
	waiting, cancel := context.WithTimeout(ctx, g.deps.Timeout)
	stop := context.AfterFunc(waiting, g.end)
	g.work.Wait()
	stop()
	cancel()
	g.end()
	err := g.save(ctx)
	g.mu.Lock()
	spilled := g.unsaved != nil && g.unsaved.spilled
	g.mu.Unlock()
	if err != nil && !spilled {
		return errors.Join(err, errors.New("sign in again after the next start if sending fails"))
	}
	return err
}

package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/waxseal/waxseal/keystore"
)

// saveTimeout bounds one attempt to store a token, whatever ctx the request had: a token that arrived
// late is worth just as much.
const saveTimeout = 5 * time.Second

// stored is a refresh token as the keystore holds it: the token, and where it is not the one that was
// accepted, a line end and the accepted one's hash. So reading an import file again after rotation has
// long replaced its token changes nothing; putting the old token back would make the provider revoke
// the grant. It is one item, so that the two cannot come apart.
//
// A third line has the scopes for mail that are granted, if they are known, after the word "named" if
// refreshes must name them. A version that does not know of it keeps it beside the hash.
type stored struct {
	value  string
	origin string   // base64 of the SHA-256, or ""
	scopes []string // granted; none if that is not known
	named  bool     // they were granted by a refresh that named them, so the next ones do too
}

// unsaved is a refresh token on its way to the keystore.
type unsaved struct {
	stored
	access   *cached // the access token that came along
	consent  bool    // it came of a consent, not of a refresh
	ancestor uint64  // else the generation that it takes the place of, where several machines share it
	spilled  bool    // it is in a file, too
	gen      uint64  // of a consent that could not be stored at once, its generation; others may be newer by now
}

// named begins the line of the scopes; no scope for mail is called so.
const named = "named"

func parseStored(s string) (t stored) {
	lines := strings.Split(s, "\n") // no token has one in it
	t.value = lines[0]
	if len(lines) > 1 {
		t.origin = lines[1]
	}
	if len(lines) > 2 {
		t.scopes = strings.Fields(lines[2])
		if t.named = len(t.scopes) > 0 && t.scopes[0] == named; t.named {
			t.scopes = t.scopes[1:]
		}
	}
	return t
}

func (s stored) String() string {
	text := s.value
	if s.origin != "" || len(s.scopes) > 0 {
		text += "\n" + s.origin
	}
	if len(s.scopes) > 0 {
		text += "\n"
		if s.named {
			text += named + " "
		}
		text += strings.Join(s.scopes, " ")
	}
	return text
}

// rotate is what to store when value takes the place of s.
func (s stored) rotate(value string) stored {
	if s.origin == "" && s.value != "" {
		s.origin = hash(s.value)
	}
	s.value = value
	return s
}

// cameFrom reports whether s is the token, or what rotation made of it.
func (s stored) cameFrom(token string) bool {
	same := subtle.ConstantTimeCompare([]byte(s.value), []byte(token))
	return same|subtle.ConstantTimeCompare([]byte(s.origin), []byte(hash(token))) == 1
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawStdEncoding.EncodeToString(sum[:])
}

func (g *Grant) key() string { return "refresh/" + g.account }

// load is the refresh token: the one not saved yet, else the keystore's; empty when there is none.
func (g *Grant) load(ctx context.Context) (stored, error) {
	g.mu.Lock()
	unsaved := g.unsaved
	g.mu.Unlock()
	if unsaved != nil {
		return unsaved.stored, nil
	}
	s, err := g.deps.Secrets.Get(ctx, g.key())
	if errors.Is(err, keystore.ErrNotFound) {
		return stored{}, nil
	}
	return parseStored(s), err
}

// lock takes g.storing until unlock.
func (g *Grant) lock(ctx context.Context) error {
	select {
	case g.storing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *Grant) unlock() { <-g.storing }

// keep stores a rotated token, unless the user has given another since. It is in memory first and
// stays there until the keystore has it. A token that other machines share is stored together with the
// access token; see refreshShared.
func (g *Grant) keep(ctx context.Context, generation uint64, s stored) {
	if g.deps.Shared != nil {
		return
	}
	g.mu.Lock()
	stale := g.generation != generation
	if !stale {
		g.unsaved = &unsaved{stored: s}
	}
	g.mu.Unlock()
	if !stale {
		_ = g.save(ctx) // Status and the log say so
	}
}

// save stores a refresh token that is in memory only, if there is one. Where that fails it is tried
// again later, until Close. It goes on for a few seconds after ctx ends.
func (g *Grant) save(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := g.lock(ctx); err != nil {
		return err
	}
	defer g.unlock()
	return g.saveLocked(ctx)
}

// saveLocked is save for a caller who has g.storing.
func (g *Grant) saveLocked(ctx context.Context) error {
	g.mu.Lock()
	s, known := g.unsaved, g.saveErr != nil
	spilled := s != nil && s.spilled
	g.mu.Unlock()
	if s == nil {
		return nil
	}
	put := func() error { return g.deps.Secrets.Set(ctx, g.key(), s.String()) }
	if g.deps.Shared != nil {
		put = func() error { return g.share(ctx, s) }
	}
	err := put()
	if err != nil {
		if g.deps.Shared != nil && !spilled {
			spilled = g.spill(s)
		}
		where := "in memory only"
		if spilled {
			where = "in memory and in a file"
		}
		err = fmt.Errorf("the new refresh token of %s is kept %s and will be stored when possible: %w", g.account, where, err)
	}
	g.mu.Lock()
	g.saveErr, s.spilled = err, spilled
	switch {
	case err == nil && g.unsaved == s:
		g.unsaved = nil
	case err != nil && !g.saving && !g.closed:
		g.saving = true
		g.work.Go(g.saveLater)
	}
	g.mu.Unlock()
	switch {
	case err != nil && !known:
		g.deps.Log.Error("refresh token not stored", "err", err)
		g.deps.OnChange()
	case err == nil && known:
		g.deps.Log.Info("refresh token stored at last")
		g.deps.OnChange()
	}
	return err
}

// saveLater tries to save until that works, there is nothing left to save, or the Grant is closed.
func (g *Grant) saveLater() {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.Multiplier, pause.MaxInterval = 2*time.Second, 2, 5*time.Minute
	if g.deps.Shared != nil { // before the others doubt that it comes
		pause.MaxInterval = doubtAfter / 6
	}
	for {
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-timer.C:
		case <-g.closing:
			timer.Stop()
			return
		}
		_ = g.save(g.life)
		g.mu.Lock()
		g.saving = g.unsaved != nil
		done := !g.saving
		g.mu.Unlock()
		if done {
			return
		}
	}
}

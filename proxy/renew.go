package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/oauth"
)

const (
	// renewPart is the part of a consent's life after which an idle account's
	// token is renewed: Microsoft's 90 days become 9.
	renewPart = 10
	// renewSpread is the time over which accounts of unknown age are renewed
	// first, so that a thousand of them are not renewed at once.
	renewSpread = 24 * time.Hour
	renewLook   = 15 * time.Minute // how often the accounts are looked through
	renewPause  = 5 * time.Second  // the longest pause between two renewals
)

// ages remembers when each account's token was last renewed, in a file beside
// the configuration: consents outlive the program and end when they are not
// used. It holds no secret, and losing it loses nothing but the dates.
type ages struct {
	path string // "" keeps them in memory

	mu    sync.Mutex // guards what follows
	of    map[string]age
	dirty bool
}

// age is one account's.
type age struct {
	Renewed time.Time `json:"renewed,omitzero"` // the last refresh that worked; zero when not known
	Next    time.Time `json:"next"`             // when to renew it if nobody uses it
}

func agesPath(config string) string {
	if config == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(config), "consents.json")
}

func loadAges(path string) (*ages, error) {
	a := &ages{path: path, of: make(map[string]age)}
	if path == "" {
		return a, nil
	}
	data, err := safeio.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &a.of)
	}
	if err != nil {
		a.of = make(map[string]age)
		return a, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

func (a *ages) get(address string) age {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of[config.Fold(address)]
}

func (a *ages) set(address string, to age) {
	to.Renewed, to.Next = to.Renewed.UTC().Truncate(time.Second), to.Next.UTC().Truncate(time.Second)
	a.mu.Lock()
	defer a.mu.Unlock()
	if key := config.Fold(address); a.of[key] != to {
		a.of[key] = to
		a.dirty = true
	}
}

func (a *ages) forget(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, config.Fold(address))
	a.dirty = true
}

// save writes the file if something changed.
func (a *ages) save() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.dirty || a.path == "" {
		return nil
	}
	data, err := json.MarshalIndent(a.of, "", "  ")
	if err != nil {
		return err
	}
	if err := safeio.Replace(a.path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("the dates of consents: %w", err)
	}
	a.dirty = false
	return nil
}

// consentEnds is when an account's consent ends if it is not used again; zero
// when the provider does not say.
func consentEnds(p config.Provider, renewed time.Time) time.Time {
	if p.ConsentDays == 0 || renewed.IsZero() {
		return time.Time{}
	}
	return renewed.AddDate(0, 0, p.ConsentDays)
}

// renewDue is when an account is to be renewed: at a tenth of its consent's
// life, up to a quarter of that later, by its address, so that accounts added
// together drift apart.
func renewDue(p config.Provider, address string, renewed time.Time) time.Time {
	life := time.Duration(p.ConsentDays) * 24 * time.Hour
	h := fnv.New64a()
	h.Write([]byte(config.Fold(address)))
	part := float64(h.Sum64()%1000) / 1000
	after := life / renewPart
	return renewed.Add(after + time.Duration(part*float64(after)/4))
}

// renewIdle keeps consents alive that nobody uses, until ctx ends.
func (s *Server) renewIdle(ctx context.Context) {
	for {
		s.renewDueOnes(ctx, renewPause)
		if !pause(ctx, renewLook) {
			return
		}
	}
}

// renewDueOnes renews the accounts whose time has come, one after the other with
// pauses of random length up to longest between them, and keeps the dates.
func (s *Server) renewDueOnes(ctx context.Context, longest time.Duration) {
	s.noteAges()
	for _, b := range *s.boxes.Load() {
		if !s.shouldRenew(b, s.opts.Now()) {
			continue
		}
		if !pause(ctx, time.Duration(rand.Int64N(int64(longest)))) { // #nosec G404 -- spreads load, guards nothing
			break
		}
		if err := b.grant.Renew(ctx); err != nil {
			s.log.Warn("an idle account could not be renewed", "account", b.address, "err", err)
		}
	}
	s.noteAges()
	if err := s.ages.save(); err != nil {
		s.log.Warn("not written", "err", err)
	}
}

// shouldRenew decides by the account's age. One of unknown age gets a time of
// its own, at random within a day. So does one whose time is further off than
// its consent may last: that was noted while the clock was ahead.
func (s *Server) shouldRenew(b *mailbox, now time.Time) bool {
	if b.provider.ConsentDays == 0 || b.removed.Load() || b.grant.Status().State == oauth.NeedsConsent {
		return false
	}
	of := s.ages.get(b.address)
	if of.Next.IsZero() || of.Next.After(consentEnds(b.provider, now)) {
		s.ages.set(b.address, age{Next: now.Add(time.Duration(rand.Int64N(int64(renewSpread))))}) // #nosec G404 -- as above
		return false
	}
	return !now.Before(of.Next)
}

// accountStatus adds to what the mailbox knows when its consent was last used and
// when it ends.
func (s *Server) accountStatus(b *mailbox) api.AccountStatus {
	st := b.status(s.smtpBreakers.Get(mailBreaker(b.provider)).Status())
	st.ConsentUsed = s.ages.get(b.address).Renewed
	if last := st.Token.LastRefresh; last.After(st.ConsentUsed) {
		st.ConsentUsed = last
	}
	st.ConsentEnds = consentEnds(b.provider, st.ConsentUsed)
	return st
}

// noteAges takes over what the grants know. A refresh from the future happened
// while the clock was ahead; the monotonic one tells how long ago that was.
func (s *Server) noteAges() {
	now := s.opts.Now()
	for _, b := range *s.boxes.Load() {
		if t := b.grant.Status().LastRefresh; !t.IsZero() && b.provider.ConsentDays > 0 {
			if t.Round(0).After(now) {
				t = now.Add(t.Sub(now))
			}
			s.ages.set(b.address, age{Renewed: t, Next: renewDue(b.provider, b.address, t)})
		}
	}
}

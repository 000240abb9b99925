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
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/oauth"
)

const (
	// renewPart is the fraction of a consent's life after which the token of an idle
	// account is renewed: with Microsoft's 90 days, after 9.
	renewPart = 10
	// renewSpread is the time over which the first renewals of accounts of unknown age
	// are spread, so that a thousand of them are not renewed at once.
	renewSpread = 24 * time.Hour
	renewLook   = 15 * time.Minute // time between two looks at all accounts
	renewPause  = 5 * time.Second  // longest pause between two renewals
)

// ages remembers when each account's token was last renewed, in a file next to the
// configuration, because consents outlive the program and end if they are not used. It
// contains no secret, and if it is lost, only the dates are lost.
type ages struct {
	path string // "" keeps them in memory

	mu    sync.Mutex // guards what follows
	of    map[string]age
	dirty bool
}

// age is the age of one account's token.
type age struct {
	Renewed time.Time `json:"renewed,omitzero"` // the last refresh that worked; zero if unknown
	Next    time.Time `json:"next"`             // when to renew it if nobody uses it

	// With which name the account logs in for reading, where it has two; see mailbox.Users.
	IMAPUser string `json:"imap_user,omitempty"`
	POPUser  string `json:"pop_user,omitempty"`
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

// change changes what is known of an account.
func (a *ages) change(address string, edit func(*age)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := config.Fold(address)
	to := a.of[key]
	edit(&to)
	to.Renewed, to.Next = to.Renewed.UTC().Truncate(time.Second), to.Next.UTC().Truncate(time.Second)
	if a.of[key] != to {
		a.of[key] = to
		a.dirty = true
	}
}

// Worked implements mailbox.Users.
func (a *ages) Worked(address string, p api.Protocol) string {
	of := a.get(address)
	return map[api.Protocol]string{api.IMAP: of.IMAPUser, api.POP: of.POPUser}[p]
}

// Remember implements mailbox.Users.
func (a *ages) Remember(address string, p api.Protocol, user string) {
	a.change(address, func(to *age) {
		switch p {
		case api.IMAP:
			to.IMAPUser = user
		case api.POP:
			to.POPUser = user
		}
	})
}

func (a *ages) forget(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, config.Fold(address))
	a.dirty = true
}

// save writes the file if something has changed.
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
		return fmt.Errorf("save the dates of consents: %w", err)
	}
	a.dirty = false
	return nil
}

// renewDue returns when an account is to be renewed: after a tenth of its consent's life,
// and up to a quarter of that later depending on its address, so that accounts that were
// added together are not renewed together.
func renewDue(p config.Provider, address string, renewed time.Time) time.Time {
	life := time.Duration(p.ConsentDays) * 24 * time.Hour
	h := fnv.New64a()
	h.Write([]byte(config.Fold(address)))
	part := float64(h.Sum64()%1000) / 1000
	after := life / renewPart
	return renewed.Add(after + time.Duration(part*float64(after)/4))
}

// renewIdle keeps unused consents alive until ctx ends.
func (s *Server) renewIdle(ctx context.Context) {
	for {
		s.renewDueOnes(ctx, renewPause)
		if !mailbox.Pause(ctx, renewLook) {
			return
		}
	}
}

// renewDueOnes renews the accounts that are due, one after the other with pauses of random
// length up to longest between them, and saves the dates.
func (s *Server) renewDueOnes(ctx context.Context, longest time.Duration) {
	s.noteAges()
	for _, b := range s.hall.Mailboxes() {
		if !s.shouldRenew(b, s.opts.Now()) {
			continue
		}
		if !mailbox.Pause(ctx, time.Duration(rand.Int64N(int64(longest)))) { // #nosec G404 -- spreads load, guards nothing
			break
		}
		if err := b.Grant.Renew(ctx); err != nil {
			s.log.Warn("could not renew the token of an idle account", "account", b.Address, "err", err)
		}
	}
	s.noteAges()
	if err := s.ages.save(); err != nil {
		s.log.Warn("could not save when consents were last used", "err", err)
	}
}

// shouldRenew reports whether an account is due. An account of unknown age becomes due at a
// random time within a day, and so does one whose due time is after the end of its consent:
// that time was saved while the clock was ahead.
func (s *Server) shouldRenew(b *mailbox.Mailbox, now time.Time) bool {
	if b.Provider.ConsentDays == 0 || b.Removed() || b.Grant.Status().State == oauth.NeedsConsent {
		return false
	}
	of := s.ages.get(b.Address)
	if of.Next.IsZero() || of.Next.After(mailbox.ConsentEnds(b.Provider, now)) {
		s.ages.change(b.Address, func(to *age) { to.Next = now.Add(time.Duration(rand.Int64N(int64(renewSpread)))) }) // #nosec G404 -- as above
		return false
	}
	return !now.Before(of.Next)
}

// noteAges takes over when the grants last refreshed their tokens. A refresh in the future
// happened while the clock was ahead; the monotonic clock says how long ago that was.
func (s *Server) noteAges() {
	now := s.opts.Now()
	for _, b := range s.hall.Mailboxes() {
		if t := b.Grant.Status().LastRefresh; !t.IsZero() && b.Provider.ConsentDays > 0 {
			if t.Round(0).After(now) {
				t = now.Add(t.Sub(now))
			}
			s.ages.change(b.Address, func(to *age) { to.Renewed, to.Next = t, renewDue(b.Provider, b.Address, t) })
		}
	}
}

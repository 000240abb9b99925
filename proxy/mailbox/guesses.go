package mailbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// How guessing is slowed.
const (
	FreeGuesses  = 5                // wrong passwords in a row that are answered at once
	maxGuessWait = 30 * time.Second // how long a wrong password waits at most
	guessMemory  = 10 * time.Minute // after which a source is forgotten
	maxSources   = 10_000           // remembered at a time
	MaxWaiting   = 8                // wrong passwords of one source that wait at a time
	maxGuesses   = 20               // wrong passwords in a row that lock out a remote source
	lockout      = 10 * time.Minute // since the last of them
)

// errGuesses turns away a source that guesses on many connections at once: if they were kept waiting,
// each would take up one of the server's.
var errGuesses = errors.New("too many wrong passwords at once")

// guesses slows down whoever guesses passwords. Only wrong passwords wait, and only for wrong ones of
// their own source: nothing delays a right password. Remote hosts can be locked out too, see locked.
type guesses struct {
	sources sync.Map // source -> *series
	count   atomic.Int64
}

// source is a caller with a name that it gives.
type source struct {
	Caller
	name string
}

// series are a source's wrong passwords.
type series struct {
	turn    chan struct{} // one wrong password at a time, so that guessing in parallel gains nothing
	waiting atomic.Int32  // for the turn or in it

	mu       sync.Mutex // guards what follows
	failures int
	last     time.Time
	sum      uint64    // of the last wrong password of a program that reads; see same
	told     time.Time // when it came first
}

// failed counts a wrong password and returns when it may be answered, or with an error when it may
// not: the context's, or errGuesses.
func (g *guesses) failed(ctx context.Context, key source) error {
	s := g.of(key)
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > MaxWaiting {
		return errGuesses
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	s.failures++
	s.last = time.Now()
	wait := guessWait(s.failures)
	s.mu.Unlock()
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// remembers reports whether there are wrong passwords of anybody.
func (g *guesses) remembers() bool { return g.count.Load() > 0 }

// passed forgets a source's wrong passwords.
func (g *guesses) passed(key source) {
	if _, ok := g.sources.LoadAndDelete(key); ok {
		g.count.Add(-1)
	}
}

// locked reports whether a source has guessed so often that not even a right password is accepted from
// it for a while. The caller asks for remote sources only: all programs of this machine are one host,
// and a script with an old password would lock out its neighbours.
func (g *guesses) locked(key source) bool {
	v, ok := g.sources.Load(key)
	if !ok {
		return false
	}
	s := v.(*series)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures >= maxGuesses && time.Since(s.last) < lockout
}

func (g *guesses) of(key source) *series {
	if s, ok := g.sources.Load(key); ok {
		return s.(*series)
	}
	if g.count.Load() >= maxSources {
		g.prune()
	}
	switch n := g.count.Load(); { // the rest share one source, and its waiting: each caller's, as long as there are few
	case n >= 2*maxSources:
		key = source{}
	case n >= maxSources:
		key.name = ""
	}
	s, loaded := g.sources.LoadOrStore(key, &series{turn: make(chan struct{}, 1), last: time.Now()})
	if !loaded {
		g.count.Add(1)
	}
	return s.(*series)
}

func (g *guesses) prune() {
	for key, v := range g.sources.Range {
		s := v.(*series)
		s.mu.Lock()
		old := time.Since(s.last) > guessMemory
		s.mu.Unlock()
		if old {
			g.passed(key.(source))
		}
	}
}

// guessWait is how long the n-th wrong password in a row waits: not at all for the first five, then
// 1 s, doubling up to 30 s.
func guessWait(n int) time.Duration {
	if n <= FreeGuesses {
		return 0
	}
	return min(time.Second<<min(n-FreeGuesses-1, 10), maxGuessWait)
}

// Suspect is who gave wrong passwords lately.
type Suspect struct {
	Name     string // an account's address in any spelling, or what was given for one; "" if it is longer than any
	Own      bool   // it is the user that Waxseal runs as
	Failures int    // in a row
	Waiting  int    // for their answer, now
}

// Suspects lists who gave wrong passwords lately.
func (h *Hall) Suspects() (list []Suspect) {
	for key, v := range h.guesses.sources.Range {
		key, s := key.(source), v.(*series)
		s.mu.Lock()
		list = append(list, Suspect{key.name, key.isOwner(), s.failures, int(s.waiting.Load())})
		s.mu.Unlock()
	}
	return list
}

package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	freeGuesses  = 5                // wrong passwords in a row that are answered at once
	maxGuessWait = 30 * time.Second // how long a wrong password waits at most
	guessMemory  = 10 * time.Minute // after which a source is forgotten
	maxSources   = 10_000           // remembered at a time
	maxWaiting   = 8                // wrong passwords of one source that wait at a time
	maxGuesses   = 20               // wrong passwords in a row that lock out a remote source
	lockout      = 10 * time.Minute // since the last of them
)

// errGuesses turns away a source that guesses on many connections at once: if they were kept waiting,
// each would take up one of the server's.
var errGuesses = errors.New("too many wrong passwords at once")

// guard slows down whoever guesses passwords. Only wrong passwords wait, and only for wrong ones of
// their own source: nothing delays a right password. Remote hosts can be locked out too, see locked.
type guard struct {
	sources sync.Map // source -> *guesses
	count   atomic.Int64
}

// source is a caller with a name that it gives.
type source struct {
	caller
	name string
}

// guesses are a source's wrong passwords.
type guesses struct {
	turn    chan struct{} // one wrong password at a time, so that guessing in parallel gains nothing
	waiting atomic.Int32  // for the turn or in it

	mu       sync.Mutex // guards what follows
	failures int
	last     time.Time
}

// failed counts a wrong password and returns when it may be answered, or with an error when it may
// not: the context's, or errGuesses.
func (g *guard) failed(ctx context.Context, key source) error {
	s := g.of(key)
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > maxWaiting {
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
func (g *guard) remembers() bool { return g.count.Load() > 0 }

// passed forgets a source's wrong passwords.
func (g *guard) passed(key source) {
	if _, ok := g.sources.LoadAndDelete(key); ok {
		g.count.Add(-1)
	}
}

// locked reports whether a source has guessed so often that not even a right password is accepted from
// it for a while. The caller asks for remote sources only: all programs of this machine are one host,
// and a script with an old password would lock out its neighbours.
func (g *guard) locked(key source) bool {
	v, ok := g.sources.Load(key)
	if !ok {
		return false
	}
	s := v.(*guesses)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures >= maxGuesses && time.Since(s.last) < lockout
}

func (g *guard) of(key source) *guesses {
	if s, ok := g.sources.Load(key); ok {
		return s.(*guesses)
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
	s, loaded := g.sources.LoadOrStore(key, &guesses{turn: make(chan struct{}, 1), last: time.Now()})
	if !loaded {
		g.count.Add(1)
	}
	return s.(*guesses)
}

func (g *guard) prune() {
	for key, v := range g.sources.Range {
		s := v.(*guesses)
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
	if n <= freeGuesses {
		return 0
	}
	return min(time.Second<<min(n-freeGuesses-1, 10), maxGuessWait)
}

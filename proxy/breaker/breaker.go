// Package breaker keeps a broken endpoint from being asked by everybody.
//
// A [Breaker] stands before one endpoint: a provider's token URL, or its SMTP
// host. After some failed calls in a row it opens, and for a while every call is
// answered at once with an [*OpenError] that says how long; then one call is let
// through to see (half-open). If that works the breaker closes, if not it stays
// open for as long again.
//
//	tokens := breaker.NewSet(breaker.Settings{Classify: ...})
//	err := tokens.Get("login.example.com").Do(func() error { ... })
//
// What counts is the endpoint's health, not the caller's luck: a Classify
// function sorts errors into failures, healthy answers that merely bring bad
// news, and those that tell nothing (a caller who left).
//
// The state machine is github.com/sony/gobreaker. This package adds what a
// screen and a reply need: the time left, the cause, callbacks that may ask for
// the state, and a way to try at once after the network changed. A breaker's
// lock is its own, and it is never held while a call runs.
package breaker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Outcome is what the end of a call tells about the endpoint.
type Outcome int

const (
	Success Outcome = iota // the endpoint works, whatever it answered
	Failure                // it does not
	Neutral                // the call says nothing about it, such as one cancelled by its caller
)

// OpenError is the answer of a breaker that does not let a call through.
type OpenError struct {
	Name    string        // the breaker's
	RetryIn time.Duration // until the next call is let through; 0 while the one that tries is under way
}

// Seconds is the time left in whole seconds, rounded up, at least 1.
func (e *OpenError) Seconds() int { return max(1, wholeSeconds(e.RetryIn)) }

func (e *OpenError) Error() string {
	return fmt.Sprintf("%s failed several times in a row; next try in %d s", e.Name, e.Seconds())
}

func wholeSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// Settings are a breaker's; the zero value is usable.
type Settings struct {
	Failures uint32        // failed calls in a row that open it; 0 means 5
	OpenFor  time.Duration // how long it stays open; 0 means 30 s

	// Classify tells what a call's error says about the endpoint. Nil takes no
	// error for a success, context.Canceled for neutral and the rest for
	// failures.
	Classify func(error) Outcome

	// OnChange is told of changes of state by the goroutine whose Do or Reset
	// found them, with no lock held: it may call any method. Two changes in a
	// row may be told as one. That an open breaker's time is over is found, and
	// so told, by the next Do.
	OnChange func(Status)
}

// Breaker stands before one endpoint. All methods may be called by many
// goroutines at a time.
type Breaker struct {
	name     string
	failures uint32
	openFor  time.Duration
	classify func(error) Outcome
	onChange func(Status)

	cb          atomic.Pointer[machine]
	run         atomic.Uint32 // failed calls in a row
	probation   atomic.Bool   // reset while open: one failure opens it again
	untold      atomic.Bool   // a change that OnChange has not heard of
	transitions atomic.Uint64

	mu    sync.Mutex // may be taken under the machine's lock, never the other way round
	state State
	until time.Time // the end of the open state
	cause string
}

// machine carries the call's own error as its result; the error that gobreaker
// sees is only the verdict on it. So Classify runs once, outside its lock.
type machine = gobreaker.CircuitBreaker[error]

var (
	errFailure = errors.New("failure")
	errNeutral = errors.New("neutral")
)

// New makes a closed breaker. The name is for people: it stands in errors, on
// the screen and as a metric's label.
func New(name string, s Settings) *Breaker {
	b := &Breaker{name: name, failures: s.Failures, openFor: s.OpenFor, classify: s.Classify, onChange: s.OnChange}
	if b.failures == 0 {
		b.failures = 5
	}
	if b.openFor <= 0 {
		b.openFor = 30 * time.Second
	}
	if b.classify == nil {
		b.classify = classify
	}
	b.cb.Store(b.newMachine())
	return b
}

func classify(err error) Outcome {
	switch {
	case err == nil:
		return Success
	case errors.Is(err, context.Canceled):
		return Neutral
	}
	return Failure
}

func (b *Breaker) newMachine() *machine {
	var m *machine
	m = gobreaker.NewCircuitBreaker[error](gobreaker.Settings{
		Name: b.name,
		// gobreaker half-opens strictly after its timeout; people count to it.
		Timeout: b.openFor - time.Nanosecond,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= b.failures || b.probation.Load()
		},
		IsExcluded: func(err error) bool { return err == errNeutral },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			// Under the machine's lock: its methods would deadlock here.
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.cb.Load() == m { // else a late call from before a Reset
				b.change(State(to))
			}
		},
	})
	return m
}

// change records a new state. The caller holds b.mu.
func (b *Breaker) change(to State) {
	b.state = to
	if to == Open {
		b.until = time.Now().Add(b.openFor)
		b.probation.Store(false)
	}
	b.transitions.Add(1)
	b.untold.Store(true)
}

// Do calls fn and returns its error, unless the breaker is open or its one probe
// is under way: then fn is not called and the answer is an [*OpenError] at once.
// A panic in fn counts as a failure and goes on.
func (b *Breaker) Do(fn func() error) error {
	defer b.tell()
	err, refused := b.cb.Load().Execute(func() (error, error) { return b.judge(fn()) })
	if errors.Is(refused, gobreaker.ErrOpenState) || errors.Is(refused, gobreaker.ErrTooManyRequests) {
		return &OpenError{Name: b.name, RetryIn: b.retryIn()}
	}
	return err
}

// Check gives the [*OpenError] that Do would answer now while the breaker is
// open, else nil, for callers who would have work before their call.
func (b *Breaker) Check() error {
	b.cb.Load().State() // an open state whose time is over ends here
	b.mu.Lock()
	open, left := b.state == Open, b.left()
	b.mu.Unlock()
	if !open {
		return nil
	}
	return &OpenError{Name: b.name, RetryIn: left}
}

// judge gives a call's error and the verdict on it.
func (b *Breaker) judge(err error) (result, verdict error) {
	switch b.classify(err) {
	case Success:
		b.probation.Store(false)
		if b.run.Load() != 0 { // spares the shared cache line in the usual case
			b.run.Store(0)
		}
		return err, nil
	case Neutral:
		return err, errNeutral
	}
	b.run.Add(1)
	if err != nil {
		b.mu.Lock()
		b.cause = err.Error()
		b.mu.Unlock()
	}
	return err, errFailure
}

// tell calls OnChange when there is something it has not heard of.
func (b *Breaker) tell() {
	if b.onChange != nil && b.untold.Load() && b.untold.Swap(false) {
		b.onChange(b.Status())
	}
}

// Reset lets the next call through at once, as after a suspend or a change of
// network, when the past says little. A breaker that was open opens again at the
// first failure.
func (b *Breaker) Reset() {
	// gobreaker cannot be reset; calls under way end in the old machine, unheard.
	m := b.newMachine()
	b.mu.Lock()
	b.cb.Store(m)
	if b.state != Closed {
		b.probation.Store(true)
		b.change(Closed)
	}
	b.mu.Unlock()
	b.run.Store(0)
	b.tell()
}

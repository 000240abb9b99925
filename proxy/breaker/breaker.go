// Package breaker keeps everybody from asking a broken endpoint.
//
// A [Breaker] stands before one endpoint: a provider's token URL, or its SMTP host. After a few failed
// calls in a row it opens, and for a while every call is answered at once with an [*OpenError] that
// says how long and why. Then one call is let through to see whether the endpoint is back (half-open).
// If it works the breaker closes, if not it stays open for as long again.
//
//	tokens := breaker.NewSet(breaker.Settings{Classify: ...})
//	err := tokens.Get("login.example.com").Do(func() error { ... })
//
// What counts is the endpoint's health, not the caller's luck: a Classify function sorts errors into
// failures, healthy answers that merely bring bad news, and those that tell nothing (a caller who
// left).
//
// The state machine is github.com/sony/gobreaker. This package adds what a screen and a reply need: the
// time left, the cause, callbacks that may ask for the state, and a way to try at once after the
// network changed. A breaker's lock is its own, and it is never held during a call.
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
	RetryIn time.Duration // until the next call is let through; 0 while the one that tries is running
	Cause   string        // the last failure's text; "" where there is none
}

// Seconds is the time left in whole seconds, rounded up, at least 1.
func (e *OpenError) Seconds() int { return max(1, wholeSeconds(e.RetryIn)) }

func (e *OpenError) Error() string {
	why := ""
	if e.Cause != "" {
		why = " (" + e.Cause + ")"
	}
	return fmt.Sprintf("%s failed several times in a row%s; next try in %d s", e.Name, why, e.Seconds())
}

func wholeSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// Settings are a breaker's settings; the zero value is usable.
type Settings struct {
	Failures uint32        // failed calls in a row that open it; 0 means 5
	OpenFor  time.Duration // how long it stays open; 0 means 30 s

	// Classify tells what a call's error says about the endpoint. With nil, no error is a success,
	// context.Canceled is neutral and the rest are failures.
	Classify func(error) Outcome

	// OnChange is told about changes of state by the goroutine whose Do or Reset found them, with no
	// lock held: it may call any method. Two changes in a row may be told as one. It is the next Do
	// that finds, and so tells, that an open breaker's time is over.
	OnChange func(Status)
}

// Breaker stands before one endpoint. All methods may be called by many goroutines at a time.
type Breaker struct {
	name     string
	failures uint32
	openFor  time.Duration
	classify func(error) Outcome
	onChange func(Status)

	cb          atomic.Pointer[machine]
	run         atomic.Uint32 // failed calls in a row
	probation   atomic.Bool   // reset while open: one failure opens it again
	untold      atomic.Bool   // OnChange has not heard of a change
	transitions atomic.Uint64

	mu    sync.Mutex // may be taken under the machine's lock, never the other way round; guards what follows
	state State
	until time.Time // the end of the open state
	cause string
}

// machine carries the call's own error as its result; the error that gobreaker sees is only the verdict
// on it. So Classify runs once, outside gobreaker's lock.
type machine = gobreaker.CircuitBreaker[error]

var (
	errFailure = errors.New("failure")
	errNeutral = errors.New("neutral")
)

// New makes a closed breaker. The name is for people: it appears in errors, on the screen and as a
// metric's label.
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
		// gobreaker half-opens only after its timeout has passed; people count down to it.
		Timeout: b.openFor - time.Nanosecond,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= b.failures || b.probation.Load()
		},
		IsExcluded: func(err error) bool { return err == errNeutral },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			// The machine's lock is held: its methods would deadlock here.
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.cb.Load() == m { // otherwise it is a late call from before a Reset
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

// Do calls fn and returns its error, unless the breaker is open or its one probe is running: then fn is
// not called and the answer is an [*OpenError] at once. A panic in fn counts as a failure and goes on.
func (b *Breaker) Do(fn func() error) error {
	defer b.tell()
	err, refused := b.cb.Load().Execute(func() (error, error) { return b.judge(fn()) })
	if errors.Is(refused, gobreaker.ErrOpenState) || errors.Is(refused, gobreaker.ErrTooManyRequests) {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.openError()
	}
	return err
}

// Check gives the [*OpenError] that Do would answer now while the breaker is open, else nil. It is for
// callers who would have work before their call.
func (b *Breaker) Check() error {
	b.cb.Load().State() // an open state whose time is over ends here
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != Open {
		return nil
	}
	return b.openError()
}

// openError is the answer to a call now. The caller holds b.mu.
func (b *Breaker) openError() *OpenError {
	return &OpenError{Name: b.name, RetryIn: b.left(), Cause: b.cause}
}

// judge gives a call's error and the verdict on it.
func (b *Breaker) judge(err error) (result, verdict error) {
	switch b.classify(err) {
	case Success:
		b.probation.Store(false)
		if b.run.Load() != 0 { // in the usual case the shared cache line is not written
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

// Reset lets the next call through at once, as after a suspend or a change of network, when the past
// says little. A breaker that was open opens again at the first failure.
func (b *Breaker) Reset() {
	// gobreaker cannot be reset; running calls end in the old machine, which nobody hears.
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

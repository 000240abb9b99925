package keystore

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	callLimit = 5 * time.Second  // for one call once it has its turn
	turnLimit = 30 * time.Second // for its turn, while those before it get answers
)

// guard runs calls that may block, one at a time, each on a goroutine of its
// own, so that the caller can leave. A call that overruns its limit keeps its
// turn until it ends: nothing piles up behind it, because until then every
// other call is answered at once. It also keeps late writes in order.
type guard struct {
	limit time.Duration // after which a caller is answered
	stop  time.Duration // after which the call is stopped, where the backend can be
	turn  chan struct{} // holds one token while a call runs

	mu   sync.Mutex
	late chan struct{} // closed while the running call is over its limit
}

func newGuard() *guard {
	return &guard{limit: callLimit, stop: callLimit, turn: make(chan struct{}, 1), late: make(chan struct{})}
}

// do runs call and answers its error. When do returns early, with ErrTimeout
// or the context's error, call may still run: what it writes to may then no
// longer be read.
func (g *guard) do(ctx context.Context, call func(context.Context) error) error {
	late := g.overdue()
	wait := time.NewTimer(turnLimit)
	defer wait.Stop()
	select {
	case <-late:
		return fmt.Errorf("%w: an earlier call still waits for its answer", ErrTimeout)
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return contextError(ctx)
	case <-wait.C:
		return fmt.Errorf("%w: too many calls before this one", ErrTimeout)
	}

	late = g.overdue() // the one before may have been late, and ended
	result := make(chan error, 1)
	go g.run(ctx, call, result)
	select {
	case err := <-result:
		return err
	case <-late:
		return fmt.Errorf("%w: no answer within %v", ErrTimeout, g.limit)
	case <-ctx.Done():
		return contextError(ctx)
	}
}

// run is the call's goroutine. The caller's leaving does not stop the call,
// half of which may be done; g.stop does, where the backend can be stopped.
func (g *guard) run(ctx context.Context, call func(context.Context) error, result chan<- error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.stop)
	defer cancel()
	ended := g.watch()
	err := protect(ctx, call)
	ended()
	result <- err
	<-g.turn
}

// watch tells everybody when the call that begins now is over its limit. The
// function it answers marks the call's end.
func (g *guard) watch() (ended func()) {
	over, told := false, false
	timer := time.AfterFunc(g.limit, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !over {
			close(g.late)
			told = true
		}
	})
	return func() {
		timer.Stop()
		g.mu.Lock()
		defer g.mu.Unlock()
		over = true
		if told {
			g.late = make(chan struct{})
		}
	}
}

func (g *guard) overdue() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.late
}

// close waits for the running call, but not for one that is overdue, which
// nothing can end.
func (g *guard) close() {
	select {
	case g.turn <- struct{}{}:
		<-g.turn
	case <-g.overdue():
	}
}

// protect makes a panic of a keychain library an error: go-keyring reads from
// a signal channel that godbus closes when the bus goes away.
func protect(ctx context.Context, call func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: the keychain library failed (%v)", ErrUnavailable, r)
		}
	}()
	return call(ctx)
}

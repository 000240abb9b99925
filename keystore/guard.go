package keystore

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	callLimit = 5 * time.Second  // for one call, once it is its turn
	turnLimit = 30 * time.Second // for the wait until then, while the calls before it get answers
)

// guard runs calls that may block, one at a time, each on a goroutine of its
// own, so that the caller can leave. A call that exceeds its limit keeps its turn
// until it ends. Nothing piles up after it, because until then every other call is
// answered at once. This also keeps late writes in order.
type guard struct {
	limit time.Duration // after this the caller gets an answer
	stop  time.Duration // after this the call is stopped, if the backend can be
	turn  chan struct{} // holds one token while a call runs

	mu   sync.Mutex
	late chan struct{} // closed while the running call is over its limit
}

func newGuard() *guard {
	return &guard{limit: callLimit, stop: callLimit, turn: make(chan struct{}, 1), late: make(chan struct{})}
}

// do runs call and answers its error. When do returns early, with ErrTimeout
// or the context's error, call may still be running: do not read the variables
// that it writes to.
func (g *guard) do(ctx context.Context, call func(context.Context) error) error {
	late := g.overdue()
	wait := time.NewTimer(turnLimit)
	defer wait.Stop()
	select {
	case <-late:
		return fmt.Errorf("%w: an earlier call is still waiting for its answer", ErrTimeout)
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return contextError(ctx)
	case <-wait.C:
		return fmt.Errorf("%w: too many other calls are waiting", ErrTimeout)
	}

	late = g.overdue() // the call before may have been late, and has ended
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

// run is the call's goroutine. The call goes on when the caller leaves, because
// half of it may be done; g.stop ends it, if the backend can be stopped.
func (g *guard) run(ctx context.Context, call func(context.Context) error, result chan<- error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.stop)
	defer cancel()
	ended := g.watch()
	err := protect(ctx, call)
	ended()
	result <- err
	<-g.turn
}

// watch tells everybody when the call that begins now exceeds its limit. The
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

// close waits for the running call, but not for an overdue one, which nothing can
// end.
func (g *guard) close() {
	select {
	case g.turn <- struct{}{}:
		<-g.turn
	case <-g.overdue():
	}
}

// protect turns a panic of a keychain library into an error: go-keyring reads
// from a signal channel that godbus closes when the bus goes away.
func protect(ctx context.Context, call func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: the keychain library failed (%v)", ErrUnavailable, r)
		}
	}()
	return call(ctx)
}

package keystore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestGuardAnswersAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		release := make(chan struct{})
		start := time.Now()
		err := g.do(t.Context(), func(ctx context.Context) error {
			<-release
			<-ctx.Done() // a backend that can stop, is stopped
			return nil
		})
		if !errors.Is(err, ErrTimeout) || time.Since(start) != callLimit {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		close(release)
		synctest.Wait()
		if err := g.do(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("once the stuck call has ended: %v", err)
		}
	})
}

// Callers that are already waiting when a call hangs do not each wait for their
// own limit, and none of them starts a goroutine.
func TestGuardWakesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		release := make(chan struct{})
		var begun atomic.Int32
		start := time.Now()
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				err := g.do(t.Context(), func(context.Context) error {
					begun.Add(1)
					<-release
					return nil
				})
				if !errors.Is(err, ErrTimeout) {
					t.Errorf("got %v", err)
				}
			})
		}
		wait.Wait()
		if waited := time.Since(start); waited != callLimit {
			t.Errorf("waited %v", waited)
		}
		synctest.Wait()
		if n := begun.Load(); n != 1 {
			t.Errorf("%d calls are stuck, want 1", n)
		}
		close(release)
	})
}

// A caller's cancellation neither stops the call nor makes it count as late.
func TestGuardCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		var finished atomic.Bool
		time.AfterFunc(time.Second, cancel)
		time.AfterFunc(2*time.Second, func() { close(release) })
		err := g.do(ctx, func(ctx context.Context) error {
			<-release
			finished.Store(ctx.Err() == nil)
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		err = g.do(t.Context(), func(context.Context) error {
			if !finished.Load() {
				t.Error("the first call was not finished before the next began")
			}
			return nil
		})
		if err != nil {
			t.Errorf("the next caller: %v", err)
		}
	})
}

// A long queue that moves does not count as hanging: 1,000 accounts may ask at
// once.
func TestGuardLongQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		var wait sync.WaitGroup
		for range 2000 {
			wait.Go(func() {
				err := g.do(t.Context(), func(ctx context.Context) error {
					select {
					case <-time.After(10 * time.Millisecond):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
	})
}

func TestGuardTurnLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		var answered, refused atomic.Int32
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() {
				err := g.do(t.Context(), func(context.Context) error {
					<-time.After(4 * time.Second)
					return nil
				})
				switch {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, ErrTimeout):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if answered.Load() != 8 || refused.Load() != 12 {
			t.Errorf("%d answered, %d refused", answered.Load(), refused.Load())
		}
	})
}

// go-keyring dereferences a nil signal when the bus goes away during a prompt.
func TestGuardPanic(t *testing.T) {
	g := newGuard()
	err := g.do(t.Context(), func(context.Context) error {
		var signal *struct{ Name string }
		_ = signal.Name
		return nil
	})
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := g.do(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

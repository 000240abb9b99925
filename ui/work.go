package ui

import (
	"context"
	"sync"
	"time"
)

// work is everything that happens outside the screen's goroutine. It starts here, its
// results return to the screen here, and stop waits for its end.
type work struct {
	ctx    context.Context
	cancel context.CancelFunc
	do     func(func()) // runs a function on the screen's goroutine, some time
	group  sync.WaitGroup
}

func newWork(do func(func())) *work {
	ctx, cancel := context.WithCancel(context.Background())
	return &work{ctx: ctx, cancel: cancel, do: do}
}

// stop ends everything and waits for it.
func (w *work) stop() {
	w.cancel()
	w.group.Wait()
}

// start runs f in the background until ctx ends. Functions that f passes to screen
// after that are not run, because nobody waits for them anymore.
func (w *work) start(ctx context.Context, f func(ctx context.Context, screen func(func()))) {
	w.group.Go(func() {
		f(ctx, func(draw func()) {
			if ctx.Err() != nil {
				return
			}
			w.do(func() {
				if ctx.Err() == nil {
					draw()
				}
			})
		})
	})
}

// after runs f on the screen's goroutine after d, unless ctx ends first.
func (w *work) after(ctx context.Context, d time.Duration, f func()) {
	w.start(ctx, func(ctx context.Context, screen func(func())) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			screen(f)
		case <-ctx.Done():
		}
	})
}

// ask asks a question in the background and passes the answer to the screen.
func ask[T any](w *work, ctx context.Context, question func(context.Context) (T, error), answer func(T, error)) {
	w.start(ctx, func(ctx context.Context, screen func(func())) {
		v, err := question(ctx)
		screen(func() { answer(v, err) })
	})
}

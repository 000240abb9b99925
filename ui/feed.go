package ui

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// feed brings the backend's snapshots to the screen. However fast they come, at most
// one drawing is pending, and it draws the newest.
type feed struct {
	mu      sync.Mutex
	latest  view
	waiting bool // a drawing is pending
}

// view is what the feed knows at one moment.
type view struct {
	snapshot api.Snapshot
	arrived  time.Time // when the snapshot came
	known    bool      // there has been a snapshot
	gone     bool      // the engine cannot be reached
	frozen   bool      // it can be reached, and answers nothing
}

// reconnect is how long the feed waits before it looks for the engine again.
const reconnect = time.Second

// tick is how often the screen is updated without a new snapshot, for countdowns and
// ages. Only what has changed is drawn.
const tick = time.Second

// The engine sends nothing while nothing changes, so its silence says nothing. It is asked
// every pulse, and has answerTime to answer.
const (
	pulse      = 10 * time.Second
	answerTime = 5 * time.Second
)

// feel asks the engine every pulse whether it still answers, until ctx ends.
func (f *feed) feel(ctx context.Context, b Backend, screen func(func()), draw func(view)) {
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		asked, cancel := context.WithTimeout(ctx, answerTime)
		_, err := b.Settings(asked)
		cancel()
		if ctx.Err() != nil {
			return
		}
		// Any other error is the watch's to tell.
		frozen := errors.Is(err, context.DeadlineExceeded)
		f.put(screen, draw, func(v *view) { v.frozen = frozen && !v.gone })
	}
}

// run watches the backend until ctx ends.
func (f *feed) run(ctx context.Context, b Backend, now func() time.Time, screen func(func()), draw func(view)) {
	for ctx.Err() == nil {
		for snap, err := range b.Watch(ctx) {
			if err != nil {
				break
			}
			f.put(screen, draw, func(v *view) { *v = view{snapshot: snap, arrived: now(), known: true} })
		}
		if ctx.Err() != nil {
			return
		}
		f.put(screen, draw, func(v *view) { v.gone = true })
		select {
		case <-time.After(reconnect):
		case <-ctx.Done():
		}
	}
}

// beat draws the latest snapshot again every tick, until ctx ends.
func (f *feed) beat(ctx context.Context, screen func(func()), draw func(view)) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f.put(screen, draw, func(*view) {})
		case <-ctx.Done():
			return
		}
	}
}

// put changes the view and schedules a drawing. Changes that come before the drawing
// share it.
func (f *feed) put(screen func(func()), draw func(view), change func(*view)) {
	f.mu.Lock()
	change(&f.latest)
	waiting := f.waiting
	f.waiting = true
	f.mu.Unlock()
	if waiting {
		return
	}
	screen(func() {
		f.mu.Lock()
		v := f.latest
		f.waiting = false
		f.mu.Unlock()
		draw(v)
	})
}

//go:build cgo || !darwin

package tray

import (
	"context"
	"runtime"
	"time"
)

// loop is a loop of the window system's events.
type loop struct {
	run  func(began func()) // returns after quit; calls began once the icon is there
	quit func()             // works only after began
}

// until runs the loop until ctx has ended. Under Windows, systray's loop waits for ever for the end of
// a window that it could not create, for example where there is no taskbar. So where the loop need not
// be on the program's first thread, it gets one of its own, which is left behind if it does not end.
func (l loop) until(ctx context.Context) error {
	began, over := make(chan struct{}), make(chan struct{})
	if firstThread {
		defer context.AfterFunc(ctx, func() {
			select {
			case <-began:
				l.quit()
			case <-over:
			}
		})()
		l.run(func() { close(began) })
		close(over)
		return nil
	}
	go func() { // until waits for it, as long as it may
		runtime.LockOSThread() // Windows gives a window's messages to the thread that created it
		l.run(func() { close(began) })
		close(over)
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
	}
	limit := time.NewTimer(endPatience)
	defer limit.Stop()
	select {
	case <-over:
		return nil
	case <-limit.C: // it never began, and nobody has seen it
		return nil
	case <-began:
	}
	l.quit()
	select {
	case <-over:
		return nil
	case <-limit.C:
		return ErrNotEnded
	}
}

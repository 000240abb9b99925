//go:build cgo || !darwin

package tray

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"fyne.io/systray"
)

// Actions are what the menu can do. Each is called on its own goroutine.
type Actions struct {
	Show      func(page, account string) // open the window there; "" is wherever it was
	SendTest  func(account string)
	SetPaused func(bool)
	PauseHour func() // pause, and go on after an hour
	Unlock    func() // have the keychain ask the user
	Retry     func() // try providers that gave passing trouble
	Quit      func()
}

// Tray is the icon. A process has at most one.
type Tray struct {
	actions Actions
	changed chan struct{} // capacity 1: changes merge
	working sync.WaitGroup

	mu    sync.Mutex
	state State
}

// New makes a tray with these actions.
func New(a Actions) *Tray {
	return &Tray{actions: a, changed: make(chan struct{}, 1)}
}

// Show makes the tray draw s soon. It does not wait.
func (t *Tray) Show(s State) {
	t.mu.Lock()
	t.state = s
	t.mu.Unlock()
	select {
	case t.changed <- struct{}{}:
	default: // it will see this one too
	}
}

// ErrNotEnded says that the tray was told to end and did not.
var ErrNotEnded = errors.New("the tray icon did not end when it was told to")

// endPatience is how long the tray may take to end.
const endPatience = 3 * time.Second

// Run shows the icon until ctx ends. Call it once, on the main goroutine: macOS delivers a program's
// events only to its first thread. Without a tray it only waits. It returns soon after ctx has ended,
// whatever the tray does.
func (t *Tray) Run(ctx context.Context) error {
	if err := speak(); err != nil {
		return err
	}
	if !reachable() {
		<-ctx.Done()
		return nil
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	first := menuOf(t.newest())
	if title != "" {
		systray.SetTitle(title)
	}
	if clickOpens {
		systray.SetOnTapped(func() { t.do(func(a Actions) { a.Show("", "") }) })
	}
	if early {
		first.drawIcon()
	}
	icon := loop{
		run:  func(began func()) { systray.Run(func() { t.ready(inner, first); began() }, nil) },
		quit: systray.Quit,
	}
	if err := icon.until(ctx); err != nil {
		return err
	}
	cancel()
	t.working.Wait()
	return nil
}

// newest is the State of the last call of Show.
func (t *Tray) newest() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// ready is called once items can be made.
func (t *Tray) ready(ctx context.Context, first menu) {
	d := build(func(item *systray.MenuItem, do func(Actions)) {
		t.working.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-item.ClickedCh:
					t.do(do)
				}
			}
		})
	})
	d.draw(first)
	t.working.Go(func() { t.redraw(ctx, d) })
}

func (t *Tray) redraw(ctx context.Context, d *drawn) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.changed:
		}
		if m := menuOf(t.newest()); !reflect.DeepEqual(m, d.last) {
			d.draw(m)
		}
	}
}

// do runs an action on its own goroutine, so that a click never waits for another.
func (t *Tray) do(what func(Actions)) {
	t.working.Go(func() { what(t.actions) })
}

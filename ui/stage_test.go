package ui

import (
	"flag"
	"image"
	"sync"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
)

var update = flag.Bool("update", false, "write the golden files and the English texts anew")

// noon is when every picture is taken.
var noon = time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)

// stage is a window on the test driver. That driver has no goroutine of its own,
// so what is meant for the screen's waits in a queue until the test runs it.
type stage struct {
	t   testing.TB
	app fyne.App
	w   *window
	b   *fake

	mu    sync.Mutex
	queue []func()
	more  chan struct{}
}

// look is a theme's variant and a language for the stage.
type staging struct {
	dark     bool
	language string
	size     fyne.Size
	options  Options
}

func newStage(t testing.TB, b *fake, g staging) *stage {
	t.Helper()
	s := &stage{t: t, b: b, more: make(chan struct{}, 1), app: test.NewTempApp(t)}
	variant := theme.VariantLight
	if g.dark {
		variant = theme.VariantDark
	}
	look := newLook()
	look.always = &variant
	s.app.Settings().SetTheme(look)
	o := g.options
	o.Language = g.language
	if o.Language == "" {
		o.Language = "en"
	}
	o.do = s.do
	if o.now == nil {
		o.now = func() time.Time { return noon }
	}
	s.w = newWindow(s.app, b, o)
	if g.size.IsZero() {
		g.size = fyne.NewSize(900, 640)
	}
	s.w.win.Resize(g.size)
	s.w.win.Show()
	t.Cleanup(s.w.stop)
	return s
}

// shows draws a snapshot as if it had just come.
func (s *stage) shows() {
	s.w.draw(view{snapshot: s.b.snapshot, arrived: s.w.now(), known: true})
}

func (s *stage) do(f func()) {
	s.mu.Lock()
	s.queue = append(s.queue, f)
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// run does what waits for the screen.
func (s *stage) run() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.mu.Unlock()
			return
		}
		f := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		f()
	}
}

// until runs the screen until something holds.
func (s *stage) until(what string, holds func() bool) {
	s.t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for {
		s.run()
		if holds() {
			return
		}
		select {
		case <-s.more:
		case <-limit.C:
			s.t.Fatalf("waited in vain until %s; asked: %q", what, s.b.calls())
		case <-time.After(time.Millisecond): // the fake was called, without a word to the screen
		}
	}
}

func (s *stage) picture(scale float32) image.Image {
	c := s.w.win.Canvas().(interface {
		SetScale(float32)
		Capture() image.Image
	})
	c.SetScale(scale)
	defer c.SetScale(1)
	s.w.settle()
	return c.Capture()
}

func (s *stage) key(name fyne.KeyName) {
	if f := s.w.win.Canvas().Focused(); f != nil {
		f.TypedKey(&fyne.KeyEvent{Name: name})
		return
	}
	s.w.win.Canvas().OnTypedKey()(&fyne.KeyEvent{Name: name})
}

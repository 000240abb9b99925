package ui

import (
	"image/color"
	"math"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// luminance is the relative luminance of WCAG 2.2.
func luminance(c color.NRGBA) float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// contrast is the contrast ratio of WCAG 2.2.
func contrast(a, b color.NRGBA) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// over is a colour with another one, which may be transparent, on top.
func over(below, top color.NRGBA) color.NRGBA {
	mix := func(b, t uint8) uint8 { return uint8((int(b)*(255-int(top.A)) + int(t)*int(top.A)) / 255) }
	return color.NRGBA{mix(below.R, top.R), mix(below.G, top.G), mix(below.B, top.B), 0xff}
}

// What has the focus, and where one can type, is visible: 3:1 to everything around (WCAG
// 2.2, 1.4.11).
func TestFocusAndBordersAreVisible(t *testing.T) {
	around := []fyne.ThemeColorName{theme.ColorNameBackground, colorCard, colorSidebar, theme.ColorNameInputBackground,
		theme.ColorNameOverlayBackground, colorGoodTint, colorCareTint, colorBadTint, theme.ColorNameButton}
	for variant, pick := range map[string]func(shade) color.NRGBA{
		"light": func(s shade) color.NRGBA { return s.light }, "dark": func(s shade) color.NRGBA { return s.dark }} {
		at := func(name fyne.ThemeColorName) color.NRGBA { return pick(shades[name]) }
		check := func(name, place fyne.ThemeColorName, on color.NRGBA) {
			if got := contrast(at(name), on); got < 3 {
				t.Errorf("%s: %s on %s has a contrast of %.2f:1", variant, name, place, got)
			}
		}
		for _, place := range around {
			check(colorFocusRing, place, at(place))
			if place != theme.ColorNameButton {
				check(theme.ColorNameInputBorder, place, at(place))
			}
		}
		check(colorFocusRing, colorWaxTint, over(at(colorSidebar), at(colorWaxTint)))
		ring, wrong := at(colorFocusRing), at(theme.ColorNameError)
		if ring.B <= ring.R || wrong.B >= wrong.R {
			t.Errorf("%s: the focus looks like an error: %v, %v", variant, ring, wrong)
		}
	}
}

// Every control draws a ring, or a border, while it has the focus, and takes it back.
func TestEveryControlShowsTheFocus(t *testing.T) {
	s := (story{page: Page{Name: "settings"}, backend: busyOffice}).stage(t, staging{})
	p := configured(s)
	shows := func(o fyne.Widget) bool {
		for _, part := range test.WidgetRenderer(o).Objects() {
			if part.Visible() && strokeOf(part) == paint(colorFocusRing) {
				return true
			}
		}
		return false
	}
	for name, control := range map[string]interface {
		fyne.Widget
		fyne.Focusable
	}{"entry": p.proxy.entry, "check": p.notify, "choice": p.level, "button": p.openFolder, "tile": s.w.frame.names[0].side} {
		if shows(control) {
			t.Errorf("a %s shows the focus without having it", name)
		}
		s.w.win.Canvas().Focus(control)
		if !shows(control) {
			t.Errorf("a %s does not show that it has the focus", name)
		}
		s.w.win.Canvas().Unfocus()
		if shows(control) {
			t.Errorf("a %s still shows the focus", name)
		}
	}
}

// strokeOf is the colour of a shape's edge.
func strokeOf(o fyne.CanvasObject) color.Color {
	switch o := o.(type) {
	case *sheet:
		return paint(o.edge)
	case *canvas.Rectangle:
		return o.StrokeColor
	}
	return nil
}

// The wheel scrolls the page wherever the pointer is: over a text field, the page names, or
// a banner.
func TestWheelScrollsAnywhere(t *testing.T) {
	b := busyOffice()
	b.snapshot.State = api.Paused // a banner
	s := (story{page: Page{Name: "settings"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := configured(s)
	places := map[string]fyne.CanvasObject{"page": p.loading, "text field": p.listen.entry, "page names": s.w.frame.names[2].side, "banner": s.w.frame.banners.paused.words}
	for name, o := range places {
		p.scroll.bar.ScrollToTop()
		at := s.app.Driver().AbsolutePositionForObject(o).AddXY(5, 5)
		if name == "page" {
			at = fyne.NewPos(600, 300)
		}
		test.Scroll(s.w.win.Canvas(), at, 0, -40)
		if p.scroll.bar.Offset.Y == 0 {
			t.Errorf("the wheel over the %s does nothing", name)
		}
	}
}

// A page with two parts that scroll: the wheel moves the one below the pointer.
func TestWheelScrollsWhatIsBelowIt(t *testing.T) {
	s := newStage(t, busyOffice(), staging{size: fyne.NewSize(1300, 300)})
	s.shows()
	s.w.show(Page{Name: "activity"})
	a := listed(s)
	a.choose(3)
	s.w.frame.wheel.Scrolled(&fyne.ScrollEvent{PointEvent: fyne.PointEvent{AbsolutePosition: fyne.NewPos(1200, 150)}, Scrolled: fyne.Delta{DY: -40}})
	if a.details.scroll.bar.Offset.Y == 0 || a.rows.bar.Offset.Y != 0 {
		t.Errorf("details at %v, list at %v", a.details.scroll.bar.Offset.Y, a.rows.bar.Offset.Y)
	}
}

func TestKeysScroll(t *testing.T) {
	s := (story{page: Page{Name: "settings"}, backend: busyOffice}).stage(t, staging{})
	p := configured(s)
	bar := p.scroll.bar
	end := func(bar *container.Scroll) float32 { return bar.Content.Size().Height - bar.Size().Height }
	for name, focus := range map[string]fyne.Focusable{"nothing": nil, "a button": p.openFolder, "a text field": p.listen.entry, "a page name": s.w.frame.names[2].side, "a check": p.notify, "a list": p.level} {
		s.w.win.Canvas().Focus(focus)
		bar.ScrollToTop()
		s.key(fyne.KeyPageDown)
		if bar.Offset.Y < bar.Size().Height/2 {
			t.Errorf("Page Down with the focus on %s scrolls to %v", name, bar.Offset.Y)
		}
		s.key(fyne.KeyPageUp)
		if bar.Offset.Y != 0 {
			t.Errorf("Page Up with the focus on %s scrolls to %v", name, bar.Offset.Y)
		}
		if focus == p.listen.entry {
			continue // Home and End move the cursor there
		}
		s.key(fyne.KeyEnd)
		if bar.Offset.Y != end(bar) {
			t.Errorf("End with the focus on %s scrolls to %v of %v", name, bar.Offset.Y, end(bar))
		}
		s.key(fyne.KeyHome)
		if bar.Offset.Y != 0 {
			t.Errorf("Home with the focus on %s scrolls to %v", name, bar.Offset.Y)
		}
	}
	s.w.askQuit()
	s.key(fyne.KeyPageDown)
	if bar.Offset.Y != 0 {
		t.Error("the page scrolls behind a question")
	}
}

func TestEscapeClearsASearch(t *testing.T) {
	s := newStage(t, many(40), staging{})
	s.shows()
	s.w.show(Page{Name: "activity"})
	a := listed(s)
	s.w.find()
	test.Type(s.w.win.Canvas().Focused(), "nobody")
	s.key(fyne.KeyEscape)
	if a.search.Text != "" || s.w.name != "activity" || len(a.seen) == 0 {
		t.Errorf("the search has %q, on page %s", a.search.Text, s.w.name)
	}
	s.key(fyne.KeyEscape)
	if s.w.name != "overview" {
		t.Error("the second Escape does not lead back")
	}
}

// A button that was pressed by keyboard used to lose the focus, and the next Tab began at
// the window's first control.
func TestFocusStays(t *testing.T) {
	s := newStage(t, busyOffice(), staging{})
	s.shows()
	c := s.w.win.Canvas()
	o := s.w.pages["overview"].(*overview)
	c.Focus(o.pause)
	s.key(fyne.KeyReturn)
	s.b.snapshot.State = api.Paused
	s.shows()
	if c.Focused() != o.pause {
		t.Errorf("after the button was pressed the focus is on %T", c.Focused())
	}
	nav := s.w.frame.names[1].side
	c.Focus(nav)
	s.key(fyne.KeyReturn)
	if s.w.name != "activity" || c.Focused() != nav {
		t.Errorf("after a page name was chosen the focus is on %T", c.Focused())
	}
	s.w.show(Page{})
	c.Focus(o.add)
	s.b.snapshot.Accounts = nil
	s.b.snapshot.State = api.Serving
	s.shows() // the button goes
	f, ok := c.Focused().(fyne.CanvasObject)
	if !ok || !s.w.isShown(f) {
		t.Errorf("after a button went the focus is on %T", c.Focused())
	}
}

// A banner that appears moves nothing under the pointer.
func TestBannerMovesNothing(t *testing.T) {
	now := noon
	s := newStage(t, many(40), staging{options: Options{now: func() time.Time { return now }}})
	s.shows()
	row := s.w.pages["overview"].(*overview).rows.shown[0].(*accountRow)
	at := func() fyne.Position { return s.app.Driver().AbsolutePositionForObject(row) }
	before := at()
	now = noon.Add(time.Minute)
	for _, state := range []api.ServerState{api.Paused, api.Serving} {
		s.b.snapshot.State = state
		s.shows()
		if got := at(); got != before {
			t.Errorf("%s: the first account moves from %v to %v", state, before, got)
		}
	}
}

// A button with only an icon says what it does while the pointer rests on it.
func TestTips(t *testing.T) {
	old := tipDelay
	tipDelay = 0
	t.Cleanup(func() { tipDelay = old })
	s := (story{page: Page{Name: "setup", Account: "ada@corp.example"}, backend: busyOffice}).stage(t, staging{})
	eye := s.w.pages["setup"].(*setup).values["password"].eye
	eye.MouseIn(nil)
	s.until("it says what it does", func() bool { return s.w.tips.root.Visible() })
	if got := s.w.tips.words.Text; got != "Show the password" {
		t.Errorf("says %q", got)
	}
	eye.MouseOut()
	if s.w.tips.root.Visible() {
		t.Error("the tip stays")
	}
	s.w.win.Canvas().Focus(eye)
	s.until("it says so to the keyboard too", func() bool { return s.w.tips.root.Visible() })
	s.w.show(Page{})
	if s.w.tips.root.Visible() {
		t.Error("the tip outlives its page")
	}
}

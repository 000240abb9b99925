package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// tile is an area that can be clicked, or reached with Tab and chosen with
// Enter or the space bar: a row, a page in the sidebar, a choice.
type tile struct {
	widget.BaseWidget
	content  fyne.CanvasObject
	label    string // what a screen reader says
	fill     fyne.ThemeColorName
	edge     fyne.ThemeColorName
	radius   float32
	chosen   bool // drawn as the one that is shown
	onTapped func()
	onKey    func(*fyne.KeyEvent) bool // what other keys do
	onFocus  func()

	hovered, focused bool
}

var (
	_ fyne.Focusable    = (*tile)(nil)
	_ fyne.Accessible   = (*tile)(nil)
	_ desktop.Hoverable = (*tile)(nil)
)

func (k *kit) tile(content fyne.CanvasObject, label string, tapped func()) *tile {
	t := &tile{}
	k.fill(t, content, label, tapped)
	t.onFocus = func() { k.reveal(t) }
	t.ExtendBaseWidget(t)
	return t
}

// fill sets up a tile, which may be part of a larger widget.
func (k *kit) fill(t *tile, content fyne.CanvasObject, label string, tapped func()) {
	t.content, t.label, t.onTapped, t.onKey = content, label, tapped, k.otherKey
	t.fill, t.edge, t.radius = colorNone, colorNone, 8
}

// choose draws the tile as the chosen one, or not.
func (t *tile) choose(chosen bool) {
	if t.chosen != chosen {
		t.chosen = chosen
		t.Refresh()
	}
}

// used reports whether the pointer or the focus is on the tile.
func (t *tile) used() bool { return t.hovered || t.focused }

// Tapped implements fyne.Tappable.
func (t *tile) Tapped(*fyne.PointEvent) {
	if t.onTapped != nil {
		t.onTapped()
	}
}

// MouseIn implements desktop.Hoverable.
func (t *tile) MouseIn(*desktop.MouseEvent) { t.hovered = true; t.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (t *tile) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (t *tile) MouseOut() { t.hovered = false; t.Refresh() }

// FocusGained implements fyne.Focusable.
func (t *tile) FocusGained() {
	t.focused = true
	t.Refresh()
	if t.onFocus != nil {
		t.onFocus()
	}
}

// FocusLost implements fyne.Focusable.
func (t *tile) FocusLost() { t.focused = false; t.Refresh() }

// TypedRune implements fyne.Focusable.
func (t *tile) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (t *tile) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyReturn, fyne.KeyEnter, fyne.KeySpace:
		t.Tapped(nil)
	default:
		if t.onKey != nil {
			t.onKey(e)
		}
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (t *tile) AccessibilityLabel() string { return t.label }

// AccessibilityRole implements fyne.Accessible.
func (t *tile) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// CreateRenderer implements fyne.Widget.
func (t *tile) CreateRenderer() fyne.WidgetRenderer {
	r := &tileRenderer{tile: t, back: newSheet(t.fill, t.edge, t.radius), over: newSheet(colorNone, colorNone, t.radius), ring: newSheet(colorNone, colorNone, t.radius)}
	r.ring.thick = ringWidth
	r.Refresh()
	r.Layout(t.Size())
	return r
}

type tileRenderer struct {
	tile       *tile
	back, over *sheet // over shows where the mouse is
	ring       *sheet // shows where the keyboard is
}

func (r *tileRenderer) Refresh() {
	t := r.tile
	fill, over, ring := t.fill, colorNone, colorNone
	if t.chosen {
		fill = colorWaxTint
	}
	if t.hovered {
		over = "hover"
	}
	if t.focused {
		ring = colorFocusRing
	}
	r.back.color(fill, t.edge)
	r.over.color(over, colorNone)
	r.ring.color(colorNone, ring)
}

func (r *tileRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	r.over.Resize(size)
	r.ring.Resize(size)
	setWidth(r.tile.content, size.Width)
	r.tile.content.Resize(size)
}

func (r *tileRenderer) MinSize() fyne.Size { return r.tile.content.MinSize() }

func (r *tileRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.back, r.tile.content, r.over, r.ring}
}

func (r *tileRenderer) Destroy() {}

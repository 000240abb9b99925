package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
)

const (
	ringWidth = 2
	ringSpace = 2 // between a control and the ring around it
)

// ringed draws a ring around one of Fyne's controls while it has the focus. Fyne only
// tints such a control, which is hard to see.
type ringed struct {
	fyne.WidgetRenderer
	ring    *canvas.Rectangle
	focused func() bool
	fits    bool // the ring is as wide as the control needs, not as wide as it is
}

func newRinged(r fyne.WidgetRenderer, fits bool, focused func() bool) *ringed {
	ring := canvas.NewRectangle(paint(colorNone))
	ring.StrokeWidth, ring.CornerRadius = ringWidth, 9
	g := &ringed{WidgetRenderer: r, ring: ring, focused: focused, fits: fits}
	g.draw()
	return g
}

func (r *ringed) draw() {
	r.ring.StrokeColor = paint(colorFocusRing)
	show(r.ring, r.focused())
}

// Refresh implements fyne.WidgetRenderer.
func (r *ringed) Refresh() {
	r.draw()
	r.ring.Refresh()
	r.WidgetRenderer.Refresh()
}

// Layout implements fyne.WidgetRenderer.
func (r *ringed) Layout(size fyne.Size) {
	r.WidgetRenderer.Layout(size)
	if r.fits {
		size.Width = min(size.Width, r.MinSize().Width)
	}
	r.ring.Move(fyne.NewSquareOffsetPos(-ringSpace))
	r.ring.Resize(size.AddWidthHeight(2*ringSpace, 2*ringSpace))
}

// Objects implements fyne.WidgetRenderer.
func (r *ringed) Objects() []fyne.CanvasObject {
	return append(append([]fyne.CanvasObject{}, r.WidgetRenderer.Objects()...), r.ring)
}

// bordered draws an entry's border in the colour of the focus. Fyne draws it in the
// primary colour, which looks like an error.
type bordered struct {
	fyne.WidgetRenderer
	focused func() bool
}

// Refresh implements fyne.WidgetRenderer.
func (r *bordered) Refresh() {
	r.WidgetRenderer.Refresh()
	for _, o := range r.Objects() {
		border, ok := o.(*canvas.Rectangle)
		if !ok || border.StrokeColor == nil {
			continue
		}
		border.StrokeWidth = theme.InputBorderSize()
		if r.focused() {
			border.StrokeColor, border.StrokeWidth = paint(colorFocusRing), ringWidth
		}
		border.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (b *button) CreateRenderer() fyne.WidgetRenderer {
	return newRinged(b.Button.CreateRenderer(), false, func() bool { return b.focused })
}

// CreateRenderer implements fyne.Widget.
func (c *check) CreateRenderer() fyne.WidgetRenderer {
	return newRinged(c.Check.CreateRenderer(), true, func() bool { return c.focused })
}

// CreateRenderer implements fyne.Widget.
func (c *choice) CreateRenderer() fyne.WidgetRenderer {
	return newRinged(c.Select.CreateRenderer(), false, func() bool { return c.focused })
}

// CreateRenderer implements fyne.Widget.
func (e *entry) CreateRenderer() fyne.WidgetRenderer {
	return &bordered{e.Entry.CreateRenderer(), func() bool { return e.focused }}
}

// keepFocus moves the focus on if what has it is no longer shown. Otherwise somebody
// who works without a mouse would start at the window's first control again.
func (w *window) keepFocus() {
	c := w.win.Canvas()
	if o, ok := c.Focused().(fyne.CanvasObject); ok && !w.isShown(o) {
		c.FocusNext()
	}
}

// isShown reports whether an object and all around it are visible. Fyne answers with the
// position 0, 0, where no control of this window is, if something around it is hidden;
// and it knows no canvas of what it has not drawn yet.
func (w *window) isShown(o fyne.CanvasObject) bool {
	driver := w.app.Driver()
	return driver.CanvasForObject(o) == nil || driver.AbsolutePositionForObject(o) != fyne.Position{}
}

package ui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// scroll is a page's scrolling content with a maximum width.
type scroll struct {
	*fyne.Container
	bar *container.Scroll
}

// margin is the space on both sides of a page.
func margin(width float32) float32 {
	if width < 560 {
		return 16
	}
	return 28
}

func newScroll(width float32, content fyne.CanvasObject) *scroll {
	s := &scroll{}
	s.bar = container.NewVScroll(container.New(pageMiddle{width}, content))
	s.Container = container.New(scrollLayout{s}, s.bar)
	return s
}

// pageMiddle is middle with a page's margin.
type pageMiddle struct{ width float32 }

func (l pageMiddle) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return middle{l.width, 16, 20}.MinSize(objects)
}

func (l pageMiddle) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	middle{l.width, margin(size.Width), 20}.Layout(objects, size)
}

type scrollLayout struct{ s *scroll }

func (l scrollLayout) MinSize([]fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(l.s.bar.Content.MinSize().Width, 64)
}

func (l scrollLayout) Layout(_ []fyne.CanvasObject, size fyne.Size) {
	bar := l.s.bar
	fill(bar, size)
}

// fill gives a scroll its size, and its content the height that results. Fyne's
// Refresh redraws all of the content, so it is only called when the content's height
// has changed.
func fill(bar *container.Scroll, size fyne.Size) {
	before := bar.Content.Size().Height
	bar.Resize(size)
	setWidth(bar.Content, size.Width)
	if high := max(bar.Content.Size().Height, size.Height); high != max(before, size.Height) {
		bar.Refresh()
	}
}

// reveal scrolls until o is visible, if it is part of the scroll.
func reveal(bar *container.Scroll, o fyne.CanvasObject) {
	driver := fyne.CurrentApp().Driver()
	if c := driver.CanvasForObject(o); c == nil || c != driver.CanvasForObject(bar) || c.Overlays().Top() != nil {
		return
	}
	const room = 12
	top := driver.AbsolutePositionForObject(o).Y - driver.AbsolutePositionForObject(bar).Y
	bottom := top + o.Size().Height
	switch high := bar.Size().Height; {
	case top < room:
		bar.Offset.Y = max(0, bar.Offset.Y+top-room)
	case bottom > high-room:
		bar.Offset.Y += min(bottom-high+room, top-room)
	default:
		return
	}
	bar.Refresh()
}

// wheel lies over the whole window and sees nothing but the mouse's wheel. Fyne gives
// that to the innermost object that scrolls: it would end at the first text field, and do
// nothing over the page names.
type wheel struct {
	widget.BaseWidget
	w *window
}

var _ fyne.Scrollable = (*wheel)(nil)

func newWheel(w *window) *wheel {
	h := &wheel{w: w}
	h.ExtendBaseWidget(h)
	return h
}

// CreateRenderer implements fyne.Widget.
func (h *wheel) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.NewWithoutLayout())
}

// Scrolled implements fyne.Scrollable.
func (h *wheel) Scrolled(e *fyne.ScrollEvent) {
	h.w.tips.hide()
	page := h.w.current.root()
	at := e.AbsolutePosition.Subtract(h.w.app.Driver().AbsolutePositionForObject(page))
	if bar := scrollAt(page, at); bar != nil {
		bar.Scrolled(e)
	} else if bar := h.w.mainScroll(); bar != nil {
		bar.Scrolled(e)
	}
}

// scrollAt finds the scroll at a position within o.
func scrollAt(o fyne.CanvasObject, at fyne.Position) *container.Scroll {
	if size := o.Size(); !o.Visible() || at.X < 0 || at.Y < 0 || at.X >= size.Width || at.Y >= size.Height {
		return nil
	}
	switch o := o.(type) {
	case *container.Scroll:
		return o
	case *fyne.Container:
		for _, child := range slices.Backward(o.Objects) {
			if bar := scrollAt(child, at.Subtract(child.Position())); bar != nil {
				return bar
			}
		}
	}
	return nil
}

// mainScroll is the scroll of the page itself.
func (w *window) mainScroll() *container.Scroll {
	if s, ok := w.current.(interface{ scroller() *scroll }); ok {
		return s.scroller().bar
	}
	return nil
}

// lineHeight is how far the arrow keys scroll.
const lineHeight = 48

// scrollKey scrolls the page with the keyboard, and reports whether the key does that.
func (w *window) scrollKey(key fyne.KeyName) bool {
	bar := w.mainScroll()
	if bar == nil || w.win.Canvas().Overlays().Top() != nil {
		return false
	}
	page, all := max(lineHeight, bar.Size().Height-lineHeight), bar.Content.Size().Height
	down, ok := map[fyne.KeyName]float32{fyne.KeyPageDown: page, fyne.KeyPageUp: -page, fyne.KeyHome: -all, fyne.KeyEnd: all,
		fyne.KeyDown: lineHeight, fyne.KeyUp: -lineHeight}[key]
	if ok {
		w.tips.hide()
		bar.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.Delta{DY: -down}})
	}
	return ok
}

// bringUp scrolls to a result that has just appeared.
func (w *window) bringUp(o fyne.CanvasObject) {
	w.settle()
	w.reveal(o)
}

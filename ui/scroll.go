package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
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

package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// rows is a scrolling page: a head of any height, and below it any number of rows of
// the same height. Only the visible rows exist, and one more at each end, so that Tab
// reaches it and scrolls it into view.
type rows struct {
	*fyne.Container
	bar  *container.Scroll
	head fyne.CanvasObject
	body *fyne.Container

	count  int
	high   float32 // of a row
	gap    float32
	least  float32 // how narrow a column may be; 0 is one column
	width  float32 // of the page, at most
	create func() fyne.CanvasObject
	update func(i int, o fyne.CanvasObject)

	shown map[int]fyne.CanvasObject
	spare []fyne.CanvasObject
	top   float32 // where the first row begins
}

func newRows(head fyne.CanvasObject, width, high, gap, least float32, create func() fyne.CanvasObject, update func(int, fyne.CanvasObject)) *rows {
	r := &rows{head: head, width: width, high: high, gap: gap, least: least, create: create, update: update, shown: map[int]fyne.CanvasObject{}}
	r.body = container.NewWithoutLayout()
	r.bar = container.NewVScroll(container.New(rowsContent{r}, head, r.body))
	r.bar.OnScrolled = func(fyne.Position) { r.realise() }
	r.Container = container.New(rowsFrame{r}, r.bar)
	return r
}

// set changes the number of rows, and updates the visible ones.
func (r *rows) set(count int) {
	changed := r.count != count
	r.count = count
	if changed {
		r.Layout.Layout(r.Objects, r.Container.Size())
	}
	for i, o := range r.shown {
		if i < r.count {
			r.update(i, o)
		}
	}
}

// used reports whether the pointer or the focus is on a row.
func (r *rows) used() bool {
	for _, o := range r.shown {
		if u, ok := o.(interface{ used() bool }); ok && u.used() {
			return true
		}
	}
	return false
}

func (r *rows) columns(width float32) int {
	if r.least == 0 {
		return 1
	}
	return max(1, int((width+r.gap)/(r.least+r.gap)))
}

// inner is the width of the head and the rows, and their left edge.
func (r *rows) inner(width float32) (x, inner float32) {
	m := margin(width)
	inner = min(r.width, width-2*m)
	return (width - inner) / 2, inner
}

func (r *rows) bodyHeight(width float32) float32 {
	_, inner := r.inner(width)
	cols := r.columns(inner)
	lines := (r.count + cols - 1) / cols
	return float32(lines) * (r.high + r.gap)
}

// realise makes the visible rows, and keeps the others for reuse.
func (r *rows) realise() {
	size := r.bar.Size()
	x, inner := r.inner(size.Width)
	if inner <= 0 {
		return
	}
	cols := r.columns(inner)
	each := (inner - r.gap*float32(cols-1)) / float32(cols)
	step := r.high + r.gap
	first := max(0, int((r.bar.Offset.Y-r.top)/step)-1) * cols
	last := min(r.count, (int((r.bar.Offset.Y+size.Height-r.top)/step)+2)*cols)
	changed := false
	for i, o := range r.shown {
		if i < first || i >= last {
			delete(r.shown, i)
			r.spare = append(r.spare, o)
			unfocus(o)
			changed = true
		}
	}
	for i := first; i < last; i++ {
		o := r.shown[i]
		if o == nil {
			if n := len(r.spare); n > 0 {
				o, r.spare = r.spare[n-1], r.spare[:n-1]
			} else {
				o = r.create()
			}
			r.shown[i] = o
			r.update(i, o)
			changed = true
		}
		o.Resize(fyne.NewSize(each, r.high))
		o.Move(fyne.NewPos(x+float32(i%cols)*(each+r.gap), r.top+float32(i/cols)*step))
	}
	if !changed {
		return
	}
	objects := make([]fyne.CanvasObject, 0, len(r.shown))
	for i := first; i < last; i++ {
		objects = append(objects, r.shown[i])
	}
	r.body.Objects = objects
	r.body.Refresh()
}

// unfocus takes the focus from a row that scrolls out of view.
func unfocus(o fyne.CanvasObject) {
	if c := fyne.CurrentApp().Driver().CanvasForObject(o); c != nil && c.Focused() != nil {
		if f, ok := c.Focused().(fyne.CanvasObject); ok && f == o {
			c.Unfocus()
		}
	}
}

// rowsFrame gives the scroll its size.
type rowsFrame struct{ r *rows }

func (l rowsFrame) MinSize([]fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(l.r.head.MinSize().Width+32, 64)
}

func (l rowsFrame) Layout(_ []fyne.CanvasObject, size fyne.Size) {
	fill(l.r.bar, size)
	l.r.realise()
}

// rowsContent is the part that scrolls.
type rowsContent struct{ r *rows }

func (l rowsContent) MinSize([]fyne.CanvasObject) fyne.Size {
	head := l.r.head.MinSize()
	return fyne.NewSize(head.Width+32, head.Height+40+l.r.bodyHeight(l.r.bar.Size().Width))
}

func (l rowsContent) Layout(_ []fyne.CanvasObject, size fyne.Size) {
	x, inner := l.r.inner(size.Width)
	h := setWidth(l.r.head, inner)
	l.r.head.Move(fyne.NewPos(x, 20))
	l.r.top = 20 + h + l.r.gap
	l.r.body.Resize(size)
	l.r.realise()
}

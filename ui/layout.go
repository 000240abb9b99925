package ui

import (
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// The layouts here take into account that the height of text depends on its width:
// each gives its objects their width before it asks for their height. So one pass from
// the outside in is enough.

// column puts objects below each other, each as wide as the column.
type column struct{ gap float32 }

func newColumn(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(column{gap}, objects...)
}

func (l column) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var size fyne.Size
	n := 0
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		m := o.MinSize()
		size.Width = max(size.Width, m.Width)
		size.Height += m.Height
		n++
	}
	size.Height += l.gap * float32(max(0, n-1))
	return size
}

func (l column) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	y := float32(0)
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		h := setWidth(o, size.Width)
		o.Move(fyne.NewPos(0, y))
		y += h + l.gap
	}
}

// heightAt gives an object a width, and returns the height that it then needs. An object
// that has the width already keeps its size: a change, even one that is taken back at
// once, makes Fyne draw the whole window again.
func heightAt(o fyne.CanvasObject, width float32) (height float32) {
	if o.Size().Width != width {
		o.Resize(fyne.NewSize(width, o.MinSize().Height))
	} else if c, ok := o.(*fyne.Container); ok {
		c.Layout.Layout(c.Objects, c.Size()) // what is inside may have changed
	}
	return o.MinSize().Height
}

// setWidth gives an object a width and the height that it then needs.
func setWidth(o fyne.CanvasObject, width float32) (height float32) {
	h := heightAt(o, width)
	o.Resize(fyne.NewSize(width, h))
	return h
}

// inset leaves space around its only object.
type inset struct{ x, y float32 }

func padded(x, y float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(inset{x, y}, o)
}

func (l inset) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return objects[0].MinSize().AddWidthHeight(2*l.x, 2*l.y)
}

func (l inset) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	heightAt(objects[0], size.Width-2*l.x)
	objects[0].Resize(size.SubtractWidthHeight(2*l.x, 2*l.y))
	objects[0].Move(fyne.NewPos(l.x, l.y))
}

// stack puts objects on top of each other. The last one determines the height.
type stack struct{}

func newStack(objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(stack{}, objects...)
}

func (stack) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var size fyne.Size
	for _, o := range objects {
		if o.Visible() {
			size = size.Max(o.MinSize())
		}
	}
	return size
}

func (stack) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	for _, o := range objects {
		heightAt(o, size.Width)
		o.Resize(size)
		o.Move(fyne.NewPos(0, 0))
	}
}

// middle centres its only object, limits its width, and leaves a margin.
type middle struct{ width, x, y float32 }

func (l middle) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return objects[0].MinSize().AddWidthHeight(2*l.x, 2*l.y)
}

func (l middle) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	width := min(l.width, size.Width-2*l.x)
	setWidth(objects[0], width)
	objects[0].Move(fyne.NewPos(float32(math.Floor(float64(size.Width-width)/2)), l.y))
}

// flow puts objects in a line, and continues below when the line is full.
type flow struct {
	gap    float32
	right  bool // lines are right-aligned
	centre bool // lines are centred
	width  float32
}

func newFlow(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&flow{gap: gap}, objects...)
}

// newActions is a right-aligned line of buttons.
func newActions(objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&flow{gap: 8, right: true}, objects...)
}

func (l *flow) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var size fyne.Size
	for _, o := range objects {
		if o.Visible() {
			size.Width = max(size.Width, o.MinSize().Width)
		}
	}
	size.Height = l.place(objects, max(l.width, size.Width), false)
	return size
}

func (l *flow) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.width = size.Width
	l.place(objects, size.Width, true)
}

func (l *flow) place(objects []fyne.CanvasObject, width float32, move bool) (height float32) {
	var line []fyne.CanvasObject
	var x, y, high float32
	end := func() {
		left := float32(0)
		if l.right {
			left = width - (x - l.gap)
		} else if l.centre {
			left = (width - (x - l.gap)) / 2
		}
		for _, o := range line {
			if move {
				m := o.MinSize()
				o.Resize(m)
				o.Move(fyne.NewPos(left, y+(high-m.Height)/2))
				left += m.Width + l.gap
			}
		}
	}
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		m := o.MinSize()
		if x > 0 && x+m.Width > width {
			end()
			line, x, y, high = nil, 0, y+high+l.gap, 0
		}
		line = append(line, o)
		x += m.Width + l.gap
		high = max(high, m.Height)
	}
	end()
	return y + high
}

// grid puts objects in as many columns of equal width as fit. A row is as high as its
// highest object.
type grid struct {
	least, gap float32 // least is how narrow a column may be
	most       int     // columns
	width      float32
}

func newGrid(least, gap float32, most int, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&grid{least: least, gap: gap, most: most}, objects...)
}

// columns is how many fit. Four objects are never arranged as three and one.
func (l *grid) columns(width float32, n int) int {
	cols := max(1, min(l.most, n, int((width+l.gap)/(l.least+l.gap))))
	if n == 4 && cols == 3 {
		return 2
	}
	return cols
}

func (l *grid) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var size fyne.Size
	seen := visible(objects)
	for _, o := range seen {
		size.Width = max(size.Width, o.MinSize().Width)
	}
	cols := l.columns(l.width, len(seen))
	for i := 0; i < len(seen); i += cols {
		var high float32
		for _, o := range seen[i:min(i+cols, len(seen))] {
			high = max(high, o.MinSize().Height)
		}
		if i > 0 {
			size.Height += l.gap
		}
		size.Height += high
	}
	return size
}

func (l *grid) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.width = size.Width
	seen := visible(objects)
	cols := l.columns(size.Width, len(seen))
	each := (size.Width - l.gap*float32(cols-1)) / float32(cols)
	y := float32(0)
	for i := 0; i < len(seen); i += cols {
		row := seen[i:min(i+cols, len(seen))]
		var high float32
		for _, o := range row {
			high = max(high, heightAt(o, each))
		}
		for j, o := range row {
			o.Resize(fyne.NewSize(each, high))
			o.Move(fyne.NewPos(float32(j)*(each+l.gap), y))
		}
		y += high + l.gap
	}
}

func visible(objects []fyne.CanvasObject) []fyne.CanvasObject {
	seen := make([]fyne.CanvasObject, 0, len(objects))
	for _, o := range objects {
		if o.Visible() {
			seen = append(seen, o)
		}
	}
	return seen
}

// sides puts objects at the left and right edges and gives the rest of the line to the
// one in the middle. All are centred vertically.
type sides struct {
	gap       float32
	left, all int // how many are at the left; how many there are
}

// newLine is a line of left objects, one that takes the remaining space, and right
// ones.
func newLine(gap float32, left []fyne.CanvasObject, rest fyne.CanvasObject, right ...fyne.CanvasObject) *fyne.Container {
	objects := append(append(append([]fyne.CanvasObject{}, left...), rest), right...)
	return container.New(sides{gap: gap, left: len(left), all: len(objects)}, objects...)
}

func (l sides) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var size fyne.Size
	for i, o := range objects {
		if !o.Visible() {
			continue
		}
		m := o.MinSize()
		size.Height = max(size.Height, m.Height)
		size.Width += m.Width
		if i > 0 {
			size.Width += l.gap
		}
	}
	return size
}

func (l sides) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	x, right := float32(0), size.Width
	place := func(o fyne.CanvasObject, x float32) {
		m := o.MinSize()
		o.Resize(m)
		o.Move(fyne.NewPos(x, (size.Height-m.Height)/2))
	}
	for _, o := range objects[:l.left] {
		if o.Visible() {
			place(o, x)
			x += o.MinSize().Width + l.gap
		}
	}
	for i := len(objects) - 1; i > l.left; i-- {
		if o := objects[i]; o.Visible() {
			right -= o.MinSize().Width
			place(o, right)
			right -= l.gap
		}
	}
	rest := objects[l.left]
	h := setWidth(rest, right-x)
	rest.Move(fyne.NewPos(x, (size.Height-h)/2))
}

// split puts two objects next to each other, the second at the right edge, or below
// each other if they don't fit.
type split struct {
	gap   float32
	need  func() float32 // the width that the left side should have
	width float32
}

func newSplit(left, right fyne.CanvasObject, need func() float32) *fyne.Container {
	return container.New(&split{gap: 12, need: need}, left, right)
}

func (l *split) beside(objects []fyne.CanvasObject, width float32) bool {
	return natural(objects[1])+l.gap+max(l.need(), objects[0].MinSize().Width) <= width
}

// natural is the width of an object if everything is in one line.
func natural(o fyne.CanvasObject) float32 {
	c, ok := o.(*fyne.Container)
	if !ok {
		return o.MinSize().Width
	}
	f, ok := c.Layout.(*flow)
	if !ok {
		return o.MinSize().Width
	}
	w := float32(0)
	for _, o := range visible(c.Objects) {
		w += o.MinSize().Width + f.gap
	}
	return max(0, w-f.gap)
}

func (l *split) MinSize(objects []fyne.CanvasObject) fyne.Size {
	a, b := objects[0].MinSize(), objects[1].MinSize()
	width := max(a.Width, b.Width)
	if natural(objects[1]) == 0 {
		return a
	}
	if l.beside(objects, l.width) {
		return fyne.NewSize(width, max(a.Height, b.Height))
	}
	return fyne.NewSize(width, a.Height+b.Height+l.gap)
}

func (l *split) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.width = size.Width
	objects[0].Move(fyne.NewPos(0, 0))
	if natural(objects[1]) == 0 {
		setWidth(objects[0], size.Width)
		return
	}
	if !l.beside(objects, size.Width) {
		h := setWidth(objects[0], size.Width)
		setWidth(objects[1], size.Width)
		objects[1].Move(fyne.NewPos(0, h+l.gap))
		return
	}
	w := natural(objects[1])
	setWidth(objects[0], size.Width-w-l.gap)
	h := setWidth(objects[1], w)
	objects[1].Move(fyne.NewPos(size.Width-w, max(0, (min(size.Height, objects[0].Size().Height)-h)/2)))
}

// centre centres its only object, which keeps its minimum size.
type centre struct{}

func centred(o fyne.CanvasObject) *fyne.Container { return container.New(centre{}, o) }

func (centre) MinSize(objects []fyne.CanvasObject) fyne.Size { return objects[0].MinSize() }

func (centre) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	m := objects[0].MinSize()
	objects[0].Resize(m)
	objects[0].Move(fyne.NewPos((size.Width-m.Width)/2, (size.Height-m.Height)/2))
}

// fixed is a width.
type fixed float32

// wide gives an object a width.
func wide(width float32, o fyne.CanvasObject) *fyne.Container { return container.New(fixed(width), o) }

func (l fixed) MinSize(objects []fyne.CanvasObject) fyne.Size {
	if !objects[0].Visible() {
		return fyne.Size{}
	}
	return fyne.NewSize(float32(l), objects[0].MinSize().Height)
}

func (l fixed) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	objects[0].Resize(size)
	objects[0].Move(fyne.NewPos(0, 0))
}

// aside shows a second object, while it is visible, beside the first, or below it if
// there is too little space.
type aside struct{}

func newSide(main, second fyne.CanvasObject) *fyne.Container {
	return container.New(aside{}, main, second)
}

const asideWidth = 340

func (aside) MinSize(objects []fyne.CanvasObject) fyne.Size {
	m := objects[0].MinSize()
	if objects[1].Visible() {
		m.Width = max(m.Width, objects[1].MinSize().Width)
	}
	return m
}

func (aside) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	place := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Resize(fyne.NewSize(w, h))
		o.Move(fyne.NewPos(x, y))
		if c, ok := o.(*fyne.Container); ok {
			c.Layout.Layout(c.Objects, fyne.NewSize(w, h))
		}
	}
	switch {
	case !objects[1].Visible():
		place(objects[0], 0, 0, size.Width, size.Height)
	case size.Width >= 980:
		place(objects[0], 0, 0, size.Width-asideWidth, size.Height)
		place(objects[1], size.Width-asideWidth, 0, asideWidth, size.Height)
	default:
		high := min(size.Height*0.6, 300)
		place(objects[0], 0, 0, size.Width, size.Height-high)
		place(objects[1], 0, size.Height-high, size.Width, high)
	}
}

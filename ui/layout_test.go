package ui

import (
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"
)

// probe counts how often it gets another size.
type probe struct {
	widget.BaseWidget
	high float32
	laid int
}

func newProbe(high float32) *probe {
	p := &probe{high: high}
	p.ExtendBaseWidget(p)
	return p
}

func (p *probe) CreateRenderer() fyne.WidgetRenderer { return &probeRenderer{p} }

type probeRenderer struct{ p *probe }

func (r *probeRenderer) Layout(fyne.Size)             { r.p.laid++ }
func (r *probeRenderer) MinSize() fyne.Size           { return fyne.NewSize(10, r.p.high) }
func (r *probeRenderer) Refresh()                     {}
func (r *probeRenderer) Objects() []fyne.CanvasObject { return nil }
func (r *probeRenderer) Destroy()                     {}

// Every second the window is laid out again. Layouts that made their objects small and large
// again had Fyne draw the whole window each time, which took 4 % of a core.
func TestLayoutIsQuietWhenNothingChanged(t *testing.T) {
	test.NewTempApp(t)
	low, high := newProbe(10), newProbe(40)
	for name, c := range map[string]*fyne.Container{
		"grid": newGrid(50, 4, 2, low, high), "stack": newStack(low, high), "padded": newStack(padded(4, 4, low), high),
		"column": newColumn(4, low, high), "line": newLine(4, []fyne.CanvasObject{low}, high), "split": newSplit(low, high, func() float32 { return 10 }),
	} {
		c.Resize(fyne.NewSize(400, 60))
		c.Layout.Layout(c.Objects, c.Size())
		low.laid, high.laid = 0, 0
		c.Layout.Layout(c.Objects, c.Size())
		if low.laid+high.laid != 0 {
			t.Errorf("%s: laid out again, its objects change their size %d times", name, low.laid+high.laid)
		}
	}
}

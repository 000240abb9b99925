package ui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// chart shows one number per minute as bars, the newest on the right. The width
// determines the number of bars; they are made once.
type chart struct {
	widget.BaseWidget
	values []int64
}

func newChart() *chart {
	c := &chart{}
	c.ExtendBaseWidget(c)
	return c
}

func (c *chart) set(values []int64) {
	if !slices.Equal(c.values, values) {
		c.values = slices.Clone(values)
		c.Refresh()
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (c *chart) AccessibilityLabel() string { return tr("Messages per minute in the last hour") }

// AccessibilityRole implements fyne.Accessible.
func (c *chart) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// CreateRenderer implements fyne.Widget.
func (c *chart) CreateRenderer() fyne.WidgetRenderer {
	r := &chartRenderer{chart: c}
	r.Layout(c.Size())
	return r
}

const (
	barWidth = 3
	barGap   = 2
)

type chartRenderer struct {
	chart *chart
	bars  []fyne.CanvasObject
}

func (r *chartRenderer) MinSize() fyne.Size           { return fyne.NewSize(48, 26) }
func (r *chartRenderer) Objects() []fyne.CanvasObject { return r.bars }
func (r *chartRenderer) Destroy()                     {}
func (r *chartRenderer) Refresh()                     { r.Layout(r.chart.Size()) }

func (r *chartRenderer) Layout(size fyne.Size) {
	n := max(0, min(60, int((size.Width+barGap)/(barWidth+barGap))))
	for len(r.bars) < n {
		bar := canvas.NewRectangle(nil)
		bar.CornerRadius = 1
		r.bars = append(r.bars, bar)
	}
	r.bars = r.bars[:n]
	heights := barHeights(r.chart.values, n, size.Height)
	for i, h := range heights {
		bar := r.bars[i].(*canvas.Rectangle)
		name := colorWax
		if h <= idleBar {
			name = "inputBorder"
		}
		if c := paint(name); bar.FillColor != c {
			bar.FillColor = c
			bar.Refresh()
		}
		bar.Resize(fyne.NewSize(barWidth, h))
		bar.Move(fyne.NewPos(size.Width-float32(n-i)*(barWidth+barGap)+barGap, size.Height-h))
	}
}

// idleBar is the height of a minute without messages.
const idleBar = 2

// barHeights are the heights of the last n minutes' bars. The highest bar fills the
// chart.
func barHeights(values []int64, n int, high float32) []float32 {
	if len(values) > n {
		values = values[len(values)-n:]
	}
	most := int64(1)
	for _, v := range values {
		most = max(most, v)
	}
	heights := make([]float32, n)
	for i := range heights {
		heights[i] = idleBar
		if j := i - (n - len(values)); j >= 0 && values[j] > 0 {
			heights[i] = max(idleBar+2, high*float32(values[j])/float32(most))
		}
	}
	return heights
}

// moved is the chart of a snapshot that is a few minutes old: nothing was sent in
// those minutes, otherwise there would be a newer snapshot.
func moved(perMinute []int64, minutes int) []int64 {
	if minutes <= 0 || len(perMinute) == 0 {
		return perMinute
	}
	minutes = min(minutes, len(perMinute))
	return append(slices.Clone(perMinute[minutes:]), make([]int64, minutes)...)
}

// meter shows how much of a limit is used.
type meter struct {
	widget.BaseWidget
	part float32
	fill fyne.ThemeColorName
}

func newMeter() *meter {
	m := &meter{fill: colorWax}
	m.ExtendBaseWidget(m)
	return m
}

func (m *meter) set(n, of int64) {
	part := float32(0)
	if of > 0 {
		part = min(1, float32(n)/float32(of))
	}
	if m.part != part {
		m.part = part
		m.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (m *meter) CreateRenderer() fyne.WidgetRenderer {
	r := &meterRenderer{meter: m, track: newSheet(colorTrack, colorNone, 3), bar: newSheet(m.fill, colorNone, 3)}
	r.Layout(m.Size())
	return r
}

type meterRenderer struct {
	meter      *meter
	track, bar *sheet
}

func (r *meterRenderer) MinSize() fyne.Size { return fyne.NewSize(40, 6) }
func (r *meterRenderer) Refresh()           { r.Layout(r.meter.Size()) }
func (r *meterRenderer) Destroy()           {}

func (r *meterRenderer) Layout(size fyne.Size) {
	r.track.Resize(size)
	show(r.bar, r.meter.part > 0)
	r.bar.Resize(fyne.NewSize(max(size.Height, size.Width*r.meter.part), size.Height))
}

func (r *meterRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.track, r.bar} }

package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// sheet is a plain area with round corners, in colours of the theme.
type sheet struct {
	widget.BaseWidget
	fill, edge fyne.ThemeColorName
	radius     float32
	thick      float32 // of the edge
	least      fyne.Size
}

func newSheet(fill, edge fyne.ThemeColorName, radius float32) *sheet {
	s := &sheet{fill: fill, edge: edge, radius: radius, thick: 1}
	s.ExtendBaseWidget(s)
	return s
}

// newDot is a small disc in a colour.
func newDot(fill fyne.ThemeColorName) *sheet {
	s := newSheet(fill, colorNone, 5)
	s.least = fyne.NewSquareSize(10)
	return s
}

// color changes what the sheet is filled with.
func (s *sheet) color(fill, edge fyne.ThemeColorName) {
	if s.fill != fill || s.edge != edge {
		s.fill, s.edge = fill, edge
		s.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (s *sheet) CreateRenderer() fyne.WidgetRenderer {
	r := &sheetRenderer{sheet: s, area: canvas.NewRectangle(paint(s.fill))}
	r.Refresh()
	r.Layout(s.Size()) // Fyne makes renderers anew of what was long out of sight
	return r
}

type sheetRenderer struct {
	sheet *sheet
	area  *canvas.Rectangle
}

func (r *sheetRenderer) Refresh() {
	r.area.FillColor = paint(r.sheet.fill)
	r.area.CornerRadius = r.sheet.radius
	r.area.StrokeColor = paint(r.sheet.edge)
	r.area.StrokeWidth = 0
	if r.sheet.edge != colorNone {
		r.area.StrokeWidth = r.sheet.thick
	}
	r.area.Refresh()
}

func (r *sheetRenderer) Layout(size fyne.Size)        { r.area.Resize(size) }
func (r *sheetRenderer) MinSize() fyne.Size           { return r.sheet.least }
func (r *sheetRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.area} }
func (r *sheetRenderer) Destroy()                     {}

// card is an area that holds things that belong together.
type card struct {
	*fyne.Container
	back *sheet
}

func newCard(content fyne.CanvasObject) card {
	back := newSheet(colorCard, colorCardBorder, 12)
	return card{newStack(back, padded(16, 14, content)), back}
}

// newBox is a darker box for somebody else's words, or lines to copy.
func newBox(content fyne.CanvasObject) *fyne.Container {
	return newStack(newSheet(colorTrack, colorNone, 8), padded(12, 10, content))
}

// mood chooses colours, never words.
type mood int

const (
	calm mood = iota // nothing to say
	good
	busy
	care
	bad
)

// ink is the colour of a mood's text and dots.
func (m mood) ink() fyne.ThemeColorName {
	return [...]fyne.ThemeColorName{"placeholder", "success", "success", "warning", "error"}[m]
}

// tint is the background colour of such text.
func (m mood) tint() fyne.ThemeColorName {
	return [...]fyne.ThemeColorName{colorTrack, colorGoodTint, colorGoodTint, colorCareTint, colorBadTint}[m]
}

// importance is the mood for labels.
func (m mood) importance() widget.Importance {
	return [...]widget.Importance{widget.LowImportance, widget.SuccessImportance, widget.SuccessImportance,
		widget.WarningImportance, widget.DangerImportance}[m]
}

// badge is a word in a mood.
type badge struct {
	*fyne.Container
	back *sheet
	word *text
}

func newBadge() badge {
	back := newSheet(colorTrack, colorNone, 9)
	word := newWord("", kind{size: "helperText", bold: true})
	return badge{newStack(back, padded(8, 2, word)), back, word}
}

func (b badge) set(word string, m mood) {
	b.word.set(word)
	b.word.mark(m.importance())
	b.back.color(m.tint(), colorNone)
}

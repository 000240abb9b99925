package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// text is a label without the padding that Fyne adds, so that texts and edges align.
// Layouts give it a position and a size without the padding; its own Size and
// Position, used for drawing, include it.
type text struct {
	widget.Label
}

// kind says how a text looks.
type kind struct {
	size     fyne.ThemeSizeName
	bold     bool
	mono     bool
	muted    widget.Importance
	single   bool // one line, cut with an ellipsis where it is too long
	centred  bool
	copyable bool // may be selected and copied
}

func newText(s string, k kind) *text {
	t := &text{}
	t.Text = s
	t.SizeName = k.size
	t.TextStyle = fyne.TextStyle{Bold: k.bold, Monospace: k.mono}
	t.Importance = k.muted
	t.Selectable = k.copyable
	t.Wrapping = fyne.TextWrapWord
	if k.single {
		t.Wrapping, t.Truncation = fyne.TextWrapOff, fyne.TextTruncateEllipsis
	}
	if k.centred {
		t.Alignment = fyne.TextAlignCenter
	}
	t.ExtendBaseWidget(t)
	return t
}

func newTitle(s string) *text {
	return newText(s, kind{size: theme.SizeNameHeadingText, bold: true})
}

func newHeading(s string) *text {
	return newText(s, kind{size: theme.SizeNameSubHeadingText, bold: true})
}

func newBody(s string) *text  { return newText(s, kind{}) }
func newMuted(s string) *text { return newText(s, kind{muted: widget.LowImportance}) }

func newCaption(s string) *text {
	return newText(s, kind{size: theme.SizeNameCaptionText, muted: widget.LowImportance})
}

// newWord is a short text that has the width it needs.
func newWord(s string, k kind) *text {
	t := newText(s, k)
	t.Wrapping, t.Truncation = fyne.TextWrapOff, fyne.TextTruncateOff
	return t
}

// set changes the text, and reports whether it differs.
func (t *text) set(s string) bool {
	if t.Text == s {
		return false
	}
	t.Text = s
	t.Refresh()
	return true
}

// mark changes the text's importance, which is its colour.
func (t *text) mark(i widget.Importance) {
	if t.Importance != i {
		t.Importance = i
		t.Refresh()
	}
}

// show shows or hides an object, and reports whether that changed anything.
func show(o fyne.CanvasObject, visible bool) bool {
	if o.Visible() == visible {
		return false
	}
	if visible {
		o.Show()
	} else {
		o.Hide()
	}
	return true
}

// line is the width of the text in one line.
func (t *text) line() float32 {
	name := t.SizeName
	if name == "" {
		name = theme.SizeNameText
	}
	return fyne.MeasureText(t.Text, t.Theme().Size(name), t.TextStyle).Width
}

func (t *text) space() float32 { return t.Theme().Size(theme.SizeNameInnerPadding) }

// MinSize implements fyne.CanvasObject.
func (t *text) MinSize() fyne.Size {
	m := t.Label.MinSize()
	s := t.space()
	return fyne.NewSize(max(0, m.Width-2*s), max(0, m.Height-2*s))
}

// Resize implements fyne.CanvasObject.
func (t *text) Resize(size fyne.Size) {
	s := t.space()
	t.Label.Resize(size.AddWidthHeight(2*s, 2*s))
}

// Move implements fyne.CanvasObject.
func (t *text) Move(p fyne.Position) {
	s := t.space()
	t.Label.Move(p.SubtractXY(s, s))
}

package ui

import (
	"os"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"
)

// In the narrowest window and the longest language no text of ours is cut, and
// nothing goes over an edge.
func TestTextsFit(t *testing.T) {
	if racing {
		t.Skip("texts are measured without the race detector alone")
	}
	const wide, high = 480, 640
	for _, y := range stories {
		for _, language := range []string{"de", "en"} {
			t.Run(y.name+"/"+language, func(t *testing.T) {
				s := y.stage(t, staging{language: language, size: fyne.NewSize(wide, high)})
				if m := s.w.win.Content().MinSize(); m.Width > wide || m.Height > high {
					t.Errorf("needs %v", m)
				}
				for _, o := range s.w.win.Canvas().Overlays().List() {
					fits(t, o, 0, wide)
				}
				fits(t, s.w.win.Content(), 0, wide)
			})
		}
	}
}

// fits goes through what is drawn. An ellipsis is allowed in foreign texts
// alone: addresses, names of providers and their answers.
func fits(t *testing.T, o fyne.CanvasObject, x, wide float32) {
	t.Helper()
	if !o.Visible() {
		return
	}
	x += o.Position().X
	switch o := o.(type) {
	case *canvas.Text:
		if strings.HasSuffix(o.Text, "…") && !strings.HasSuffix(o.Text, "  …") && cut(o.Text) {
			t.Errorf("%q is cut", o.Text)
		}
		if o.Text != "" && (x < 0 || x+fyne.MeasureText(o.Text, o.TextSize, o.TextStyle).Width > wide+1) {
			t.Errorf("%q goes from %.0f over the edge", o.Text, x)
		}
	case *fyne.Container:
		for _, c := range o.Objects {
			fits(t, c, x, wide)
		}
	case *container.Scroll:
		fits(t, o.Content, x, wide)
	case *widget.Entry, *entry:
		// what is typed may be longer than the field
	case fyne.Widget:
		for _, c := range test.WidgetRenderer(o).Objects() {
			fits(t, c, x, wide)
		}
	}
}

// foreign are the beginnings of texts that may be cut: they are not ours.
var foreign = []string{"a.very.long", "A provider with", "SMTP AUTH is", "Sent ·", "Gesendet ·", "Unclear ·", "Unklar ·",
	"Try later ·", "Später ·", "Refused ·", "Abgelehnt ·", "a-very-long"}

// cut reports whether a text that ends in an ellipsis does so because it was too
// long: some of ours end in one on purpose.
func cut(s string) bool {
	for _, f := range foreign {
		if strings.HasPrefix(s, f) {
			return false
		}
	}
	for _, language := range []string{"en", "de"} {
		data, _ := os.ReadFile("speech/translation/" + language + ".json")
		if strings.Contains(string(data), s+`"`) {
			return false
		}
	}
	return true
}

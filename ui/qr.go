package ui

import (
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
	"rsc.io/qr"
)

// qrPicture shows an address for a phone's camera. It is black on white in every
// theme, because cameras need that.
type qrPicture struct {
	widget.BaseWidget
	image *canvas.Image
	text  string
}

func newQR() *qrPicture {
	q := &qrPicture{image: &canvas.Image{FillMode: canvas.ImageFillContain, ScaleMode: canvas.ImageScalePixels}}
	q.ExtendBaseWidget(q)
	return q
}

// set shows a text, and reports whether that was possible.
func (q *qrPicture) set(s string) bool {
	if s == q.text {
		return s != ""
	}
	code, err := qr.Encode(s, qr.M)
	if err != nil {
		return false
	}
	q.text = s
	q.image.Image = qrImage(code)
	q.Refresh()
	return true
}

// qrImage has one pixel per module, and the quiet zone of four modules that ISO 18004
// requires.
func qrImage(code *qr.Code) image.Image {
	const quiet = 4
	n := code.Size + 2*quiet
	img := image.NewPaletted(image.Rect(0, 0, n, n), color.Palette{color.White, color.Black})
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				img.SetColorIndex(x+quiet, y+quiet, 1)
			}
		}
	}
	return img
}

// AccessibilityLabel implements fyne.Accessible.
func (q *qrPicture) AccessibilityLabel() string { return q.text }

// AccessibilityRole implements fyne.Accessible.
func (q *qrPicture) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// CreateRenderer implements fyne.Widget.
func (q *qrPicture) CreateRenderer() fyne.WidgetRenderer {
	q.image.Resize(q.Size())
	return &qrRenderer{q}
}

type qrRenderer struct{ q *qrPicture }

func (r *qrRenderer) MinSize() fyne.Size           { return fyne.NewSquareSize(156) }
func (r *qrRenderer) Layout(size fyne.Size)        { r.q.image.Resize(size) }
func (r *qrRenderer) Refresh()                     { r.q.image.Refresh() }
func (r *qrRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.q.image} }
func (r *qrRenderer) Destroy()                     {}

package ui

import (
	"context"
	"errors"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"github.com/waxseal/waxseal/assets"
)

type ctx = context.Context

const lowImportance = widget.LowImportance

var errNoBrowser = errors.New("there is no browser")

// frame is the window's frame: the page names at the side (at the bottom of a narrow
// window), the banners, and the place of the page.
type frame struct {
	root    *fyne.Container
	side    *fyne.Container // wide
	foot    *fyne.Container // narrow
	banners *banners
	place   *fyne.Container
	names   []navigation
	wheel   *wheel
	top     float32 // where the page begins, below the banners
	w       *window
	tips    *fyne.Container
}

// navigation is a page's name, once for the side and once for the bottom.
type navigation struct {
	page       string
	side, foot *tile
}

const (
	sideWidth = 196
	// narrow is the width below which the page names are at the bottom.
	narrow = 700
)

func newFrame(w *window) *frame {
	f := &frame{w: w, banners: newBanners(w), place: container.NewStack(), tips: w.tips.root}
	type name struct {
		page, label string
		icon        fyne.Resource
	}
	names := []name{
		{"overview", tr("Overview"), theme.HomeIcon()},
		{"activity", tr("Activity"), theme.HistoryIcon()},
		{"settings", tr("Settings"), theme.SettingsIcon()},
		{"check", tr("Diagnostics"), theme.ConfirmIcon()},
	}
	side, foot := newColumn(2), container.NewGridWithColumns(len(names))
	for _, n := range names {
		open := func() { w.show(Page{Name: n.page}) }
		line := newLine(12, []fyne.CanvasObject{newSymbol(n.icon, 20)}, newText(n.label, kind{single: true}))
		below := newColumn(2, newSymbol(n.icon, 20), newText(n.label, kind{size: theme.SizeNameCaptionText, centred: true, single: true}))
		nav := navigation{n.page, w.kit.tile(padded(12, 9, line), n.label, open), w.kit.tile(padded(4, 7, below), n.label, open)}
		f.names = append(f.names, nav)
		side.Add(nav.side)
		foot.Add(nav.foot)
	}
	brand := newLine(10, []fyne.CanvasObject{newSeal(30)}, newText("Waxseal", kind{size: theme.SizeNameSubHeadingText, bold: true, single: true}))
	about := w.kit.tile(padded(12, 9, newText(tr("About Waxseal"), kind{size: theme.SizeNameCaptionText, muted: lowImportance, single: true})),
		tr("About Waxseal"), func() { w.show(Page{Name: "about"}) })
	f.names = append(f.names, navigation{"about", about, about})
	f.side = newStack(newSheet(colorSidebar, colorNone, 0),
		container.New(sidebar{}, newColumn(18, padded(8, 4, brand), side), about))
	f.foot = newStack(newSheet(colorSidebar, colorNone, 0), padded(6, 4, foot))
	f.wheel = newWheel(w)
	f.root = container.New(frameLayout{f}, newSheet("background", colorNone, 0), f.banners.root, f.place, f.side, f.foot, f.wheel, w.tips.root)
	return f
}

// put shows a page.
func (f *frame) put(name string, root fyne.CanvasObject) {
	f.place.Objects = []fyne.CanvasObject{root}
	f.place.Refresh()
	for _, n := range f.names {
		n.side.choose(n.page == name)
		n.foot.choose(n.page == name)
	}
}

// focus gives the focus to the name of a page, or to the first name if it has none.
func (f *frame) focus(page string) {
	chosen := f.names[0]
	for _, n := range f.names {
		if n.page == page {
			chosen = n
		}
	}
	tile := chosen.side
	if !f.side.Visible() {
		tile = chosen.foot
	}
	f.w.win.Canvas().Focus(tile)
}

// hold scrolls the page as far as a banner has moved it, so that nobody clicks on what
// has just come under the pointer. A page that has only just opened may move.
func (f *frame) hold(moved float32) {
	if moved == 0 || f.w.now().Sub(f.w.shown) < held {
		return
	}
	if bar := f.w.mainScroll(); bar != nil {
		bar.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.Delta{DY: -moved}})
	}
}

// held is how long after a page has opened it begins to stay in place.
const held = time.Second

func (f *frame) draw(v view) { f.banners.draw(v) }

// frameLayout chooses between side and bottom.
type frameLayout struct{ f *frame }

func (l frameLayout) MinSize([]fyne.CanvasObject) fyne.Size {
	m := l.f.place.MinSize().Max(l.f.foot.MinSize())
	m = m.Max(l.f.banners.root.MinSize())
	return fyne.NewSize(m.Width, 480)
}

func (l frameLayout) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	f := l.f
	objects[0].Resize(size)
	x, high := float32(0), size.Height
	wide := size.Width >= narrow
	show(f.side, wide)
	show(f.foot, !wide)
	if wide {
		f.side.Move(fyne.NewPos(0, 0))
		f.side.Resize(fyne.NewSize(sideWidth, size.Height))
		x = sideWidth
	} else {
		h := setWidth(f.foot, size.Width)
		f.foot.Move(fyne.NewPos(0, size.Height-h))
		high -= h
	}
	y := float32(0)
	if f.banners.root.Visible() {
		y = setWidth(f.banners.root, size.Width-x)
		f.banners.root.Move(fyne.NewPos(x, 0))
	}
	defer f.hold(y - f.top)
	f.top = y
	f.place.Move(fyne.NewPos(x, y))
	inner := fyne.NewSize(size.Width-x, high-y)
	f.place.Resize(inner)
	f.wheel.Resize(size)
	f.tips.Resize(size)
	for _, o := range f.place.Objects {
		o.Resize(inner)
		if c, ok := o.(*fyne.Container); ok {
			c.Layout.Layout(c.Objects, inner)
		}
	}
}

// sidebar keeps its second object at the bottom.
type sidebar struct{}

func (sidebar) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(sideWidth, 0) }

func (sidebar) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	const edge = 12
	setWidth(objects[0], size.Width-2*edge)
	objects[0].Move(fyne.NewPos(edge, 16))
	h := setWidth(objects[1], size.Width-2*edge)
	objects[1].Move(fyne.NewPos(edge, size.Height-h-edge))
}

// newSeal is Waxseal's own icon.
func newSeal(size float32) fyne.CanvasObject {
	icon := canvas.NewImageFromResource(fyne.NewStaticResource("waxseal.png", assets.Icon))
	icon.FillMode = canvas.ImageFillContain
	icon.ScaleMode = canvas.ImageScaleSmooth
	return container.New(exactly(size), icon)
}

// newSymbol is an icon of a size, in the colour of the text.
func newSymbol(icon fyne.Resource, size float32) fyne.CanvasObject {
	return container.New(exactly(size), widget.NewIcon(icon))
}

// exactly is a centred square of a size.
type exactly float32

func (l exactly) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSquareSize(float32(l)) }

func (l exactly) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	objects[0].Resize(fyne.NewSquareSize(float32(l)))
	objects[0].Move(fyne.NewPos((size.Width-float32(l))/2, (size.Height-float32(l))/2))
}

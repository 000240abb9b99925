package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// question asks before something with large effects. importance is that of the button:
// danger for something that can't be undone.
func (w *window) question(title, words, yes string, importance widget.Importance, then func()) {
	no := w.kit.button(tr("Cancel"), nil, func() { w.closeOverlays() })
	do := w.kit.button(yes, nil, func() {
		w.closeOverlays()
		then()
	})
	do.Importance = importance
	w.dialog(no, newHeading(title), newBody(words), newActions(no, do))
}

// dialog shows something over the window that has to be answered, with the focus on
// first. Escape closes it.
func (w *window) dialog(first fyne.Focusable, content ...fyne.CanvasObject) {
	card := newStack(newSheet("overlayBackground", colorCardBorder, 14), padded(22, 18, newColumn(12, content...)))
	overlay := container.New(inTheMiddle(420), newCurtain(), card)
	w.win.Canvas().Overlays().Add(overlay)
	overlay.Resize(w.win.Canvas().Size())
	w.win.Canvas().Focus(first)
}

// settleDialog lays out a dialog again after something in it may have changed its size.
func (w *window) settleDialog() {
	if o, ok := w.win.Canvas().Overlays().Top().(*fyne.Container); ok {
		o.Layout.Layout(o.Objects, o.Size())
	}
}

// curtain covers the window during a question, and catches clicks.
type curtain struct{ sheet }

func newCurtain() *curtain {
	c := &curtain{sheet{fill: colorCurtain, edge: colorNone}}
	c.ExtendBaseWidget(c)
	return c
}

// Tapped implements fyne.Tappable.
func (c *curtain) Tapped(*fyne.PointEvent) {}

// inTheMiddle gives the first object all the space, and centres the second with a
// width.
type inTheMiddle float32

func (l inTheMiddle) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.Size{} }

func (l inTheMiddle) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	objects[0].Resize(size)
	w := min(float32(l), size.Width-32)
	h := setWidth(objects[1], w)
	objects[1].Move(fyne.NewPos((size.Width-w)/2, (size.Height-h)/2))
}

// askQuit asks whether to quit Waxseal.
func (w *window) askQuit() {
	w.question(tr("Quit Waxseal?"), tr("Until you start it again, mail programs can’t send through it. Messages in progress are finished first."),
		tr("Quit Waxseal"), widget.DangerImportance, func() {
			w.inBackground(w.backend.Quit, func(err error) {
				if err != nil && !w.view.gone {
					w.frame.banners.fail(err)
					return
				}
				w.win.Close()
			})
		})
}

// askRemove asks whether to remove an account.
func (w *window) askRemove(address string) {
	w.question(tr("Remove this account?"),
		tr("Mail programs can no longer use {{.Address}} through Waxseal. Waxseal gives up its access at the provider and deletes the password for mail programs.",
			values{"Address": clean(address)}),
		tr("Remove"), widget.DangerImportance, func() {
			var note string
			w.inBackground(func(ctx ctx) (err error) {
				note, err = w.backend.Remove(ctx, address)
				return err
			}, func(err error) {
				w.frame.banners.fail(err)
				if err == nil && note != "" {
					w.frame.banners.tell(sentence(note))
				}
				if w.name == "setup" {
					w.show(Page{})
				}
			})
		})
}

// menu shows a menu at an object.
func (w *window) menu(at fyne.CanvasObject, items ...*fyne.MenuItem) {
	pos := w.app.Driver().AbsolutePositionForObject(at)
	m := widget.NewPopUpMenu(fyne.NewMenu("", items...), w.win.Canvas())
	size := m.MinSize()
	x := max(4, min(pos.X+at.Size().Width-size.Width, w.win.Canvas().Size().Width-size.Width-4))
	y := pos.Y + at.Size().Height + 2
	if y+size.Height > w.win.Canvas().Size().Height {
		y = max(4, pos.Y-size.Height-2)
	}
	m.ShowAtPosition(fyne.NewPos(x, y))
	w.win.Canvas().Focus(m)
}

// accountMenu is what can be done with an account.
func (w *window) accountMenu(address string) []*fyne.MenuItem {
	item := func(label string, icon fyne.Resource, f func()) *fyne.MenuItem {
		return fyne.NewMenuItemWithIcon(label, icon, f)
	}
	trial := tr("Send a test message")
	for _, a := range w.view.snapshot.Accounts {
		if a.Address == address && !a.Sends() {
			trial = tr("Check reading")
		}
	}
	return []*fyne.MenuItem{
		item(tr("Set up a mail program"), theme.MailComposeIcon(), func() { w.show(Page{Name: "setup", Account: address}) }),
		item(trial, theme.MailSendIcon(), func() {
			w.show(Page{Name: "setup", Account: address})
			w.pages["setup"].(*setup).revealTest()
		}),
		item(tr("Sign in again"), theme.LoginIcon(), func() { w.show(Page{Name: "add", Account: address}) }),
		fyne.NewMenuItemSeparator(),
		item(tr("Remove…"), theme.DeleteIcon(), func() { w.askRemove(address) }),
	}
}

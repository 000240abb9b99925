package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
)

// keys are the window's shortcuts, all with Ctrl (Command on macOS).
func (w *window) keys() map[fyne.KeyName]func() {
	to := func(page string) func() { return func() { w.show(Page{Name: page}) } }
	return map[fyne.KeyName]func(){
		fyne.Key1: to("overview"),
		fyne.Key2: to("activity"),
		fyne.Key3: to("settings"),
		fyne.Key4: to("check"),
		fyne.KeyN: to("add"),
		fyne.KeyW: w.win.Close,
		fyne.KeyQ: w.askQuit,
		fyne.KeyF: w.find,
	}
}

func (w *window) addShortcuts() {
	for key, f := range w.keys() {
		s := &desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierShortcutDefault}
		w.win.Canvas().AddShortcut(s, func(fyne.Shortcut) { f() })
	}
}

// shortcut handles a shortcut that was typed in a field, and reports whether it is one
// of the window's.
func (w *window) shortcut(s fyne.Shortcut) bool {
	c, ok := s.(*desktop.CustomShortcut)
	if !ok || c.Modifier != fyne.KeyModifierShortcutDefault {
		return false
	}
	f := w.keys()[c.KeyName]
	if f != nil {
		f()
	}
	return f != nil
}

// otherKey handles a key that no control uses, and reports whether it did.
func (w *window) otherKey(e *fyne.KeyEvent) bool {
	if e.Name != fyne.KeyEscape {
		return w.scrollKey(e.Name)
	}
	if w.closeOverlays() {
		return true
	}
	if p, ok := w.current.(interface{ escape() bool }); ok && p.escape() {
		return true
	}
	if p, ok := w.current.(interface{ searchField() *entry }); ok && p.searchField().Text != "" {
		p.searchField().SetText("")
		return true
	}
	if w.name != "overview" {
		w.show(Page{})
		return true
	}
	return false
}

// closeOverlays closes menus and questions, and reports whether there were any.
func (w *window) closeOverlays() bool {
	overlays := w.win.Canvas().Overlays()
	top := overlays.Top()
	for o := top; o != nil; o = overlays.Top() {
		overlays.Remove(o)
	}
	return top != nil
}

// find moves the focus to the page's search field.
func (w *window) find() {
	if p, ok := w.current.(interface{ searchField() *entry }); ok && p.searchField().Visible() {
		w.win.Canvas().Focus(p.searchField())
	}
}

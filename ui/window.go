package ui

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/assets"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/ui/speech"
)

// page is a page of the window.
type page interface {
	root() fyne.CanvasObject
	enter()    // it is about to be shown
	leave()    // another page is shown instead
	draw(view) // while it is shown
}

// window is the window: the frame with the page names, the banners, and the current
// page.
type window struct {
	app     fyne.App
	win     fyne.Window
	backend Backend
	options Options
	work    *work
	feed    feed
	look    *look
	kit     *kit
	tips    *tips
	view    view // as drawn last

	frame    *frame
	pages    map[string]page
	variants map[string]fyne.ThemeVariant // in which each page was drawn last
	current  page
	name     string    // of the current page
	shown    time.Time // when it was opened
}

func newWindow(a fyne.App, b Backend, o Options) *window {
	if o.now == nil {
		o.now = time.Now
	}
	if o.do == nil {
		o.do = fyne.Do
	}
	w := &window{app: a, backend: b, options: o, work: newWork(o.do)}
	w.look, _ = a.Settings().Theme().(*look)
	if w.look == nil {
		w.look = newLook()
		a.Settings().SetTheme(w.look)
	}
	w.useTheme(o.Theme)
	w.win = a.NewWindow("Waxseal")
	w.win.SetIcon(fyne.NewStaticResource("waxseal.png", assets.Icon))
	w.win.SetPadded(false)
	w.build(o.Language)
	w.win.Resize(w.lastSize())
	w.win.SetOnClosed(w.keepSize)
	w.win.Canvas().SetOnTypedKey(func(e *fyne.KeyEvent) { w.otherKey(e) })
	w.win.SetOnDropped(func(_ fyne.Position, files []fyne.URI) { w.dropped(files) })
	w.addShortcuts()
	w.show(o.Page)
	return w
}

// build makes everything in the window, in a language.
func (w *window) build(language string) {
	if err := speech.Use(language); err != nil {
		fyne.LogError("loading the texts", err)
	}
	w.tips = newTips(w)
	w.kit = &kit{reveal: w.reveal, otherKey: w.otherKey, shortcut: w.shortcut, press: w.press, tip: w.tips.say}
	w.frame = newFrame(w)
	w.pages = map[string]page{
		"overview": newOverview(w),
		"add":      newAdd(w),
		"setup":    newSetup(w),
		"register": newRenewal(w),
		"import":   newImport(w),
		"provider": newProvider(w),
		"activity": newActivity(w),
		"settings": newSettings(w),
		"check":    newCheck(w),
		"about":    newAbout(w),
	}
	w.variants = map[string]fyne.ThemeVariant{}
	for name := range w.pages {
		w.variants[name] = w.app.Settings().ThemeVariant()
	}
	w.win.SetContent(w.frame.root)
}

// rebuild shows the settings in another theme or language. Pages are made in one
// language, and those that are not shown would keep the old colours.
func (w *window) rebuild(now api.Settings) {
	w.closeOverlays()
	w.current.leave()
	w.useTheme(now.Theme)
	w.build(now.Language)
	w.frame.draw(w.view)
	p := w.pages["settings"].(*settings)
	p.fill(now)
	w.current = nil
	w.show(Page{Name: "settings"})
}

// The window's size is kept in the desktop's preferences for the application: it says
// nothing about mail, and another screen has another one.
const (
	widthKey, highKey     = "window.width", "window.height"
	defaultWidth          = 900
	defaultHeight         = 640
	leastWidth, leastHigh = 360, 480
)

// lastSize is the size that the window had when it was last closed.
func (w *window) lastSize() fyne.Size {
	p := w.app.Preferences()
	width, high := p.FloatWithFallback(widthKey, defaultWidth), p.FloatWithFallback(highKey, defaultHeight)
	return fyne.NewSize(max(leastWidth, float32(width)), max(leastHigh, float32(high)))
}

func (w *window) keepSize() {
	size := w.win.Canvas().Size()
	w.app.Preferences().SetFloat(widthKey, float64(size.Width))
	w.app.Preferences().SetFloat(highKey, float64(size.Height))
}

// start starts watching the backend.
func (w *window) start() {
	w.work.start(w.work.ctx, func(ctx ctx, screen func(func())) {
		w.feed.run(ctx, w.backend, w.options.now, screen, w.draw)
	})
	w.work.start(w.work.ctx, func(ctx ctx, screen func(func())) { w.feed.beat(ctx, screen, w.draw) })
	w.work.start(w.work.ctx, func(ctx ctx, screen func(func())) { w.feed.feel(ctx, w.backend, screen, w.draw) })
	if w.options.Pages == nil {
		return
	}
	w.work.start(w.work.ctx, func(ctx ctx, screen func(func())) {
		for p, err := range w.options.Pages(ctx) {
			if err != nil {
				return // the feed tells that the engine is gone
			}
			screen(func() {
				w.bring(p)
				w.win.RequestFocus()
			})
		}
	})
}

// stop ends everything that start and the pages started, and waits for it.
func (w *window) stop() {
	w.current.leave()
	w.work.stop()
}

// draw updates everything that is shown.
func (w *window) draw(v view) {
	w.view = v
	w.frame.draw(v)
	w.current.draw(v)
	w.settle()
}

// settle lays out the window again after something may have changed its size.
func (w *window) settle() {
	c := w.frame.root
	c.Layout.Layout(c.Objects, c.Size())
	w.keepFocus()
}

// dropped hands files that were dropped on the window to its page, if that can take them.
func (w *window) dropped(files []fyne.URI) {
	if p, ok := w.current.(interface{ drop([]fyne.URI) }); ok && len(files) > 0 {
		p.drop(files)
	}
}

// bring shows the page that another process asks for. Without one the window stays where it is,
// and so it does after a sign-in that it has followed to its end. An old search must not be in the
// way of what, for example, a notification tells about.
func (w *window) bring(p Page) {
	shown := w.name == "setup" && w.pages["setup"].(*setup).account == p.Account
	if p.Name == "" || p.Name == "signed-in" && shown {
		return
	}
	switch page := w.pages[p.Name].(type) {
	case interface{ fresh() }:
		page.fresh()
	case interface{ searchField() *entry }:
		page.searchField().SetText("")
	}
	w.show(p)
}

// show brings a page to the front.
func (w *window) show(p Page) {
	if p.Name == "signed-in" {
		p.Name = "setup"
		if w.pages["add"].(*add).wait.follows(p.Account) {
			p.Name = "add"
		}
	}
	if p.Name == "" || p.Name != "password" && w.pages[p.Name] == nil {
		p.Name = "overview"
	}
	next := w.pages[p.Name]
	copying := p.Name == "password"
	if copying {
		p.Name, next = "setup", w.pages["setup"]
	}
	if w.current != nil {
		w.closeOverlays()
		w.current.leave()
	}
	w.current, w.name, w.shown = next, p.Name, w.now()
	switch next := next.(type) {
	case *setup:
		next.account = p.Account
		next.copying = copying
	case *renewal:
		next.account = p.Account
	case *add:
		next.begin(p.Account)
	}
	w.tips.hide()
	c := w.win.Canvas()
	typed := c.Focused() != nil // with the keyboard: a click on a button takes the focus away
	w.frame.put(p.Name, next.root())
	if v := w.app.Settings().ThemeVariant(); w.variants[p.Name] != v {
		w.variants[p.Name] = v // the desktop has changed while another page was shown
		w.app.Settings().SetTheme(w.look)
	}
	next.draw(w.view)
	if o, ok := c.Focused().(fyne.CanvasObject); ok && !w.isShown(o) {
		c.Focus(nil) // it went with its page
	}
	next.enter()
	w.settle()
	if typed && c.Focused() == nil {
		w.frame.focus(p.Name) // a banner's button comes before it, and may end the program
	}
}

// press presses a button by keyboard. Fyne takes the focus away from a button that is
// pressed; here it stays, unless the button moves it.
func (w *window) press(b *button) {
	b.Tapped(nil)
	c := w.win.Canvas()
	if c.Focused() != nil || c.Overlays().Top() != nil {
		return
	}
	if c.Focus(b); c.Focused() == nil { // it is gone, or disabled
		c.FocusNext()
	}
}

func (w *window) now() time.Time { return w.options.now() }

// inBackground runs f in the background, until the window is closed at the latest, and
// passes its error to then on the screen's goroutine.
func (w *window) inBackground(f func(ctx) error, then func(error)) {
	w.work.start(w.work.ctx, func(ctx ctx, screen func(func())) {
		err := f(ctx)
		screen(func() { then(err); w.settle() })
	})
}

// open shows a web page in the browser.
func (w *window) open(url string) error {
	if w.options.OpenURL == nil {
		return errNoBrowser
	}
	return w.options.OpenURL(url)
}

func (w *window) copy(s string) { w.app.Clipboard().SetContent(s) }

// copyButton copies a text and says so for a moment.
func (w *window) copyButton(label, say string, content func() string) *button {
	var b *button
	b = w.kit.button(label, theme.ContentCopyIcon(), func() {
		w.copy(content())
		b.SetIcon(theme.ConfirmIcon())
		w.work.after(w.work.ctx, 2*time.Second, func() { b.SetIcon(theme.ContentCopyIcon()) })
	})
	b.say = say
	if label == "" {
		b.Importance = lowImportance
	}
	return b
}

func (w *window) reveal(o fyne.CanvasObject) {
	if s, ok := w.current.(interface{ scroller() *scroll }); ok {
		reveal(s.scroller().bar, o)
	}
}

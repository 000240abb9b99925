package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// banner is a line across the window: what holds for everything, and what can
// be done about it.
type banner struct {
	*fyne.Container
	back  *sheet
	words *text
	more  *text
	act   *button
}

func newBanner(k *kit, m mood, action string, act func()) *banner {
	b := &banner{back: newSheet(m.tint(), colorNone, 0)}
	if m == calm {
		b.back.fill = colorSidebar
	}
	b.words = newText("", kind{bold: true})
	b.words.mark(m.importance())
	b.more = newText("", kind{})
	b.act = k.button(action, nil, act)
	show(b.act, action != "")
	icon := theme.WarningIcon()
	if m == calm {
		icon = theme.InfoIcon()
	}
	line := newLine(12, []fyne.CanvasObject{newSymbol(icon, 20)}, newColumn(2, b.words, b.more), b.act)
	b.Container = newStack(b.back, padded(20, 10, line))
	b.Hide()
	return b
}

// say shows the banner with what it says; "" hides it.
func (b *banner) say(words, more string) {
	show(b.Container, words != "")
	b.words.set(words)
	b.more.set(more)
	show(b.more, more != "")
}

// banners are those that there can be, the most important one first.
type banners struct {
	w                          *window
	root                       *fyne.Container
	gone, keystore, paused, no *banner
	failed                     *banner
	trayless                   bool
	resuming                   bool
}

func newBanners(w *window) *banners {
	b := &banners{w: w, trayless: w.options.TrayMissing}
	b.gone = newBanner(w.kit, bad, "", nil)
	b.failed = newBanner(w.kit, bad, tr("Close"), func() { b.fail(nil) })
	b.keystore = newBanner(w.kit, bad, tr("Check"), func() { w.show(Page{Name: "check"}) })
	b.paused = newBanner(w.kit, care, tr("Resume"), func() { w.setPaused(false) })
	b.no = newBanner(w.kit, calm, tr("Quit Waxseal"), w.askQuit)
	b.root = newColumn(1, b.gone.Container, b.failed.Container, b.keystore.Container, b.paused.Container, b.no.Container)
	b.draw(view{})
	return b
}

func (b *banners) draw(v view) {
	s := v.snapshot
	b.gone.say(only(v.gone, tr("Waxseal’s engine does not answer")), tr("No mail is sent until it is back. Trying to reach it again…"))
	b.keystore.say(only(!v.gone && s.Keystore.Error != "", keystoreTrouble(s.Keystore)), keystoreCure(s.Keystore))
	b.paused.say(only(!v.gone && s.State == "paused", tr("Waxseal is paused")), tr("Mail programs are told to try again later."))
	b.no.say(only(b.trayless, tr("There is no tray for Waxseal’s icon here")),
		tr("Closing this window keeps Waxseal running. Start it again to see this window."))
}

// fail tells what could not be done.
func (b *banners) fail(err error) {
	if err == nil {
		b.failed.say("", "")
	} else {
		words, cure := b.w.explain(err)
		b.failed.say(words, cure)
	}
	b.w.settle()
}

// only is s where it holds.
func only(holds bool, s string) string {
	if holds {
		return s
	}
	return ""
}

func (w *window) setPaused(paused bool) {
	w.inBackground(func(ctx ctx) error { return w.backend.SetPaused(ctx, paused) }, w.frame.banners.fail)
}

// tell says something that went otherwise than hoped, without harm.
func (b *banners) tell(words string) {
	b.failed.say(words, "")
	b.w.settle()
}

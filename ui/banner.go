package ui

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// banner is a line across the window about something that affects everything, with
// what to do.
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
	words := newLine(12, []fyne.CanvasObject{newSymbol(icon, 20)}, newColumn(2, b.words, b.more))
	b.Container = newStack(b.back, padded(20, 10, newSplit(words, newFlow(8, b.act), func() float32 { return 260 })))
	b.Hide()
	return b
}

// say shows the banner with these texts; without words it hides the banner.
func (b *banner) say(words, more string) {
	show(b.Container, words != "")
	b.words.set(words)
	b.more.set(more)
	show(b.more, more != "")
}

// banners are all possible ones, the most important first.
type banners struct {
	w                          *window
	root                       *fyne.Container
	gone, keystore, paused, no *banner
	port                       *banner
	old                        *banner // the running instance is of another version than this window
	failed                     *banner
	taken                      *api.PortTakenError // what the port's banner is about
	trayless                   bool
	unlocking                  bool // what failed is to unlock the keychain
}

func newBanners(w *window) *banners {
	b := &banners{w: w, trayless: w.options.TrayMissing}
	b.gone = newBanner(w.kit, bad, "", nil)
	b.failed = newBanner(w.kit, bad, tr("Close"), func() { b.fail(nil) })
	b.keystore = newBanner(w.kit, bad, tr("Run diagnostics"), func() {
		if p := w.view.snapshot.Keystore.Problem; p != nil {
			w.do(errandOf(p.Do, p.Account))
		}
	})
	b.port = newBanner(w.kit, bad, tr("Use another port"), b.changePort)
	b.paused = newBanner(w.kit, care, tr("Resume"), func() { w.setPaused(false) })
	b.old = newBanner(w.kit, calm, tr("Restart Waxseal"), func() { w.inBackground(func(ctx) error { return w.options.Restart() }, b.fail) })
	b.no = newBanner(w.kit, calm, tr("Quit Waxseal"), w.askQuit)
	b.root = newColumn(1, b.gone.Container, b.failed.Container, b.port.Container, b.keystore.Container, b.paused.Container, b.old.Container, b.no.Container)
	b.draw(view{})
	return b
}

func (b *banners) draw(v view) {
	s := v.snapshot
	more := tr("No mail is sent until it is back. Trying to reach it…")
	if v.frozen {
		more = tr("It is running but does not answer. If this lasts, end Waxseal and start it again. Your mail program keeps the messages that it was sending.")
	}
	b.gone.say(only(v.gone || v.frozen, tr("Waxseal isn’t responding")), more)
	if p := s.Keystore.Problem; p != nil && !v.gone {
		b.keystore.say(phrase(say(p.What)), say(p.Cure))
		if label := say(p.Do.Label()); label != b.keystore.act.Text {
			b.keystore.act.SetText(label)
		}
		show(b.keystore.act, p.Do != "")
	} else {
		b.keystore.say("", "")
	}
	if b.unlocking && s.Keystore.Problem == nil {
		b.unlocked(nil)
	}
	if b.taken = s.PortTaken; b.taken != nil && !v.gone {
		if b.taken.Free != "" {
			b.port.act.SetText(tr("Use {{.Address}}", values{"Address": b.taken.Free}))
		}
		show(b.port.act, b.taken.Free != "")
		b.port.say(say(b.taken.Text()), tr("Waxseal starts accepting mail once the port is free. If you choose another port, change it in your mail programs too."))
	} else {
		b.port.say("", "")
	}
	b.paused.say(only(!v.gone && s.State == api.Paused, tr("Waxseal is paused")), tr("Mail programs are told to try again later."))
	older := b.w.options.Restart != nil && s.Version != "" && s.Version != b.w.options.Version
	b.old.say(only(older && !v.gone, tr("Waxseal has been updated")),
		tr("Version {{.Old}} is still running. Restart Waxseal to use version {{.New}}. Messages in progress are finished first.", values{"Old": clean(s.Version), "New": clean(b.w.options.Version)}))
	b.no.say(only(b.trayless, tr("This desktop has no system tray")),
		tr("Closing this window keeps Waxseal running. Start it again to see this window."))
}

// changePort replaces the taken port with the free one.
func (b *banners) changePort() {
	taken := b.taken
	if taken == nil {
		return
	}
	var is api.Settings
	b.w.inBackground(func(ctx ctx) (err error) {
		is, err = b.w.backend.Settings(ctx)
		if err != nil {
			return err
		}
		to := is
		for _, list := range []*[]string{&to.Listen, &to.ListenTLS, &to.ListenIMAP, &to.ListenIMAPTLS, &to.ListenPOP, &to.ListenPOPTLS} {
			*list = replaced(*list, taken)
		}
		_, err = b.w.backend.Configure(ctx, is.Change(to))
		return err
	}, func(err error) {
		b.fail(err)
		if err != nil {
			return
		}
		b.tell(strings.TrimSpace(tr("Waxseal accepts mail at {{.Address}} now.", values{"Address": taken.Free}) + " " +
			b.w.changedPorts(protocolAt(is, taken.Address), []string{taken.Address}, []string{taken.Free})))
		if s, ok := b.w.current.(*settings); ok {
			s.enter() // it shows the old address
		}
	})
}

// unlocked shows why the keychain is still locked, until it is unlocked.
func (b *banners) unlocked(err error) {
	b.fail(err)
	b.unlocking = err != nil
}

// fail shows an error.
func (b *banners) fail(err error) {
	b.unlocking = false
	if err == nil {
		b.failed.say("", "")
	} else {
		e := b.w.explain(err)
		b.failed.say(e.words, e.cure)
	}
	b.w.settle()
}

// only returns s if the condition holds, otherwise "".
func only(holds bool, s string) string {
	if holds {
		return s
	}
	return ""
}

func (w *window) setPaused(paused bool) {
	w.inBackground(func(ctx ctx) error { return w.backend.SetPaused(ctx, paused) }, w.frame.banners.fail)
}

// tell shows something that went differently than expected but did no harm.
func (b *banners) tell(words string) {
	b.failed.say(words, "")
	b.w.settle()
}

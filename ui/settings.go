package ui

import (
	"context"
	"errors"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// settings shows the configuration and changes one setting at a time.
type settings struct {
	w       *window
	scroll  *scroll
	loading *text
	notice  *notice
	all     *fyne.Container
	notes   *text // when a change takes effect

	listen, listenTLS, metrics, proxy *setting
	notify, autostart                 *check
	level                             *choice
	folder                            *text
	openFolder                        *button
	keystore                          *keystore
	certificate                       *certificate

	now     api.Settings // as the engine has them
	filling bool         // widgets are changed by us, not by a person
	cancel  context.CancelFunc
}

// levels are the log's, in the order of the list.
var levels = []string{"debug", "info", "warn", "error"}

func newSettings(w *window) *settings {
	s := &settings{w: w, notice: newNotice(w), loading: newMuted(tr("Loading the settings…")), certificate: newCertificate(w), keystore: newKeystore(w)}
	s.notes = newText("", kind{bold: true})
	s.notes.mark(good.importance())
	s.notes.Hide()
	s.listen = newSetting(s, tr("Unencrypted or STARTTLS"), tr("One or more addresses, separated by commas. Most mail programs use these."), "127.0.0.1:1587", checkAddresses,
		func(p *api.Settings, v string) { p.Listen = addresses(v) })
	s.listenTLS = newSetting(s, tr("Implicit TLS"), "", "127.0.0.1:1465", checkAddresses,
		func(p *api.Settings, v string) { p.ListenTLS = addresses(v) })
	s.metrics = newSetting(s, tr("Metrics for Prometheus"), tr("Leave empty to turn off."), "127.0.0.1:9587", checkOneAddress,
		func(p *api.Settings, v string) { p.Metrics = v })
	s.proxy = newSetting(s, tr("HTTP proxy"), tr("Waxseal reaches providers through it, for sign-in and mail. Leave empty to use the system’s proxy."), "http://proxy.example.com:3128", checkProxy,
		func(p *api.Settings, v string) { p.HTTPProxy = v })
	s.notify = w.kit.check(tr("Notifications"), func(on bool) { s.change(func(p *api.Settings) { p.Notifications = on }, nil) })
	s.autostart = w.kit.check(tr("Start Waxseal when I log in"), func(on bool) { s.setAutostart(on) })
	s.level = w.kit.choice([]string{tr("Debug"), tr("Normal"), tr("Warnings"), tr("Errors")}, func(string) {
		s.change(func(p *api.Settings) { p.LogLevel = levels[s.level.SelectedIndex()] }, nil)
	})
	s.folder = newText("", kind{mono: true, size: theme.SizeNameCaptionText})
	s.openFolder = w.kit.button(tr("Open folder"), theme.FolderOpenIcon(), func() { s.showFolder() })

	section := func(title string, objects ...fyne.CanvasObject) fyne.CanvasObject {
		return newCard(newColumn(14, append([]fyne.CanvasObject{newHeading(title)}, objects...)...)).Container
	}
	s.all = newColumn(16,
		section(tr("This computer"), padded(-8, -4, newColumn(0, s.autostart, s.notify))),
		section(tr("Local mail server"), s.listen.root, s.listenTLS.root),
		section(tr("Certificate"), s.certificate.root),
		section(tr("Network"), s.proxy.root, s.metrics.root),
		section(tr("Passwords and sign-ins"), s.keystore.root),
		section(tr("Log"), newField(tr("Log level"), "", s.level.framed()).Container, newColumn(8, s.folder, newFlow(8, s.openFolder))),
		padded(-8, 0, newFlow(8, w.kit.quiet(tr("About Waxseal"), theme.InfoIcon(), func() { w.show(Page{Name: "about"}) }))))
	s.scroll = newScroll(720, newColumn(16, newTitle(tr("Settings")), s.notes, s.loading, s.notice.Container, s.all))
	return s
}

func (s *settings) root() fyne.CanvasObject { return s.scroll.Container }
func (s *settings) scroller() *scroll       { return s.scroll }
func (s *settings) draw(v view)             { s.keystore.draw(v) }

func (s *settings) leave() {
	if s.cancel != nil {
		s.cancel()
	}
	s.notes.Hide()
}

func (s *settings) enter() {
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(s.w.work.ctx)
	s.all.Hide()
	s.loading.Show()
	s.notice.say("", "")
	s.keystore.clear()
	ask(s.w.work, ctx, s.w.backend.Settings, func(p api.Settings, err error) {
		s.loading.Hide()
		s.notice.tell(s.w.explain(err))
		show(s.all, err == nil)
		s.fill(p)
		s.w.settle()
	})
	ask(s.w.work, ctx, s.w.backend.Certificate, func(c api.Certificate, err error) {
		s.certificate.set(c, err)
		s.w.settle()
	})
	show(s.autostart, s.w.options.Autostart != nil && s.w.options.SetAutostart != nil)
	if !s.autostart.Visible() {
		return
	}
	ask(s.w.work, ctx, func(context.Context) (bool, error) { return s.w.options.Autostart() }, func(on bool, err error) {
		s.filling = true
		s.autostart.SetChecked(on)
		s.filling = false
	})
}

// fill shows what the engine has.
func (s *settings) fill(p api.Settings) {
	s.now = p
	s.filling = true
	s.listen.set(strings.Join(p.Listen, ", "))
	s.listenTLS.set(strings.Join(p.ListenTLS, ", "))
	s.metrics.set(p.Metrics)
	s.proxy.set(p.HTTPProxy)
	s.notify.SetChecked(p.Notifications)
	if i := slices.Index(levels, p.LogLevel); i >= 0 {
		s.level.SetSelectedIndex(i)
	}
	s.folder.set(p.LogFolder)
	show(s.openFolder, p.LogFolder != "" && s.w.options.OpenFolder != nil)
	s.filling = false
}

// change asks the engine to change the settings. An error is shown at the field that
// it belongs to, if any.
func (s *settings) change(edit func(*api.Settings), at *setting) {
	if s.filling {
		return
	}
	next := s.now
	edit(&next)
	var notes []string
	s.notes.Hide()
	s.notice.say("", "")
	s.w.inBackground(func(ctx ctx) (err error) {
		notes, err = s.w.backend.Configure(ctx, next)
		return err
	}, func(err error) {
		switch {
		case err == nil:
			s.fill(next)
			s.notes.set(saved(notes))
			s.notes.Show()
		case at != nil:
			at.refuse(err)
		default:
			s.fill(s.now)
			s.notice.tell(s.w.explain(err))
		}
	})
}

// saved says that a change was made, and when it takes effect if not now.
func saved(notes []string) string {
	if len(notes) == 0 {
		return tr("Saved. It takes effect now.")
	}
	for i := range notes {
		notes[i] = sentence(notes[i])
	}
	return tr("Saved.") + " " + strings.Join(notes, " ")
}

func (s *settings) setAutostart(on bool) {
	if s.filling {
		return
	}
	s.w.inBackground(func(ctx) error { return s.w.options.SetAutostart(on) }, func(err error) {
		if err != nil {
			s.filling = true
			s.autostart.SetChecked(!on)
			s.filling = false
		}
		s.notice.tell(s.w.explain(err))
	})
}

func (s *settings) showFolder() {
	if err := s.w.options.OpenFolder(s.now.LogFolder); err != nil {
		s.w.copy(s.now.LogFolder)
		s.notice.say(tr("The folder could not be opened. Its path was copied instead."), "")
		s.w.settle()
	}
}

// setting is a value that is entered as text. Enter or the button that appears after a
// change saves it.
type setting struct {
	root  *fyne.Container
	entry *entry
	field field
	save  *button
	undo  *button
	free  *button // takes the free address that was offered
	is    string  // as the engine has it
	offer string
	s     *settings
	check func(string) string
	edit  func(*api.Settings, string)
}

func newSetting(s *settings, name, hint, example string, check func(string) string, edit func(*api.Settings, string)) *setting {
	k := s.w.kit
	t := &setting{s: s, check: check, edit: edit}
	t.entry = k.entry(example, func(string) { t.typed() })
	t.entry.OnSubmitted = func(string) { t.apply() }
	t.save = k.primary(tr("Save"), nil, func() { t.apply() })
	t.undo = k.button(tr("Discard"), nil, func() { t.set(t.is) })
	t.free = k.button("", nil, func() { t.entry.SetText(t.offer); t.apply() })
	t.field = newField(name, hint, t.entry)
	t.root = newColumn(8, t.field.Container, newFlow(8, t.free, t.save, t.undo))
	t.set("")
	return t
}

func (t *setting) set(value string) {
	t.is = value
	t.entry.SetText(value)
	t.typed()
}

// typed shows mistakes while they are typed.
func (t *setting) typed() {
	differs := strings.TrimSpace(t.entry.Text) != t.is
	show(t.save, differs)
	show(t.undo, differs)
	show(t.free, false)
	wrong := ""
	if differs {
		wrong = t.check(strings.TrimSpace(t.entry.Text))
	}
	t.field.refuse(wrong)
	t.save.enable(wrong == "")
	show(t.root.Objects[1], differs)
	t.s.w.settle()
}

func (t *setting) apply() {
	value := strings.TrimSpace(t.entry.Text)
	if value == t.is || t.check(value) != "" {
		return
	}
	t.s.change(func(p *api.Settings) { t.edit(p, value) }, t)
}

// refuse shows why the engine did not accept the value. For a taken port it offers a
// free one.
func (t *setting) refuse(err error) {
	t.field.refuse(t.s.w.explain(err).text())
	var taken *api.PortTakenError
	if errors.As(err, &taken) && taken.Free != "" {
		t.offer = strings.Replace(strings.TrimSpace(t.entry.Text), taken.Address, taken.Free, 1)
		t.free.SetText(tr("Use {{.Address}}", values{"Address": taken.Free}))
		show(t.free, true)
	}
}

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

	listen, listenTLS, metrics, proxy *setting
	reading                           []readPorts
	notify, autostart, history        *check
	level, theme, language            *choice
	themed, spoken                    *remark
	folder                            *text
	openFolder                        *button
	keystore                          *keystore
	registrations                     *registrations
	certificate                       *certificate
	devices                           *devices

	now     api.Settings // as the engine has them
	known   bool         // now has been read
	filling bool         // widgets are changed by us, not by a person
	said    answer       // the last one that says something
	cancel  context.CancelFunc
}

// levels are the log's, in the order of the list.
var levels = []string{"debug", "info", "warn", "error"}

// themes and languages are those of the window, in the order of their lists.
var (
	themes    = []string{"system", "light", "dark"}
	languages = []string{"system", "en", "de"}
)

func newSettings(w *window) *settings {
	s := &settings{w: w, notice: newNotice(w), loading: newMuted(tr("Loading the settings…")), certificate: newCertificate(w), keystore: newKeystore(w), registrations: newRegistrations(w)}
	s.listen = newSetting(s, tr("Unencrypted or STARTTLS"), tr("One or more addresses, separated by commas. Most mail programs use these."), "127.0.0.1:1587", checkAddresses,
		func(p *api.Settings, v string) { p.Listen = addresses(v) })
	s.listenTLS = newSetting(s, tr("Implicit TLS"), "", "127.0.0.1:1465", checkAddresses,
		func(p *api.Settings, v string) { p.ListenTLS = addresses(v) })
	s.listen.follows, s.listenTLS.follows = w.portNote(api.SMTP), w.portNote(api.SMTP)
	s.reading = newReadPorts(s)
	s.metrics = newSetting(s, tr("Metrics for Prometheus"), tr("Leave empty to turn off."), "127.0.0.1:9587", checkOneAddress,
		func(p *api.Settings, v string) { p.Metrics = v })
	s.proxy = newSetting(s, tr("HTTP proxy"), tr("Waxseal reaches providers through it, for sign-in and mail. Leave empty to use the system’s proxy."), "http://proxy.example.com:3128", checkProxy,
		func(p *api.Settings, v string) { p.HTTPProxy = v })
	notified, started, logged, kept := newRemark(), newRemark(), newRemark(), newRemark()
	s.notify = w.kit.check(tr("Notifications"), func(on bool) { s.change(func(p *api.Settings) { p.Notifications = on }, notified) })
	s.history = w.kit.check(tr("Keep the activity after a restart"), func(on bool) { s.change(func(p *api.Settings) { p.History = on }, kept) })
	s.autostart = w.kit.check(tr("Start Waxseal when I log in"), func(on bool) { s.setAutostart(on, started) })
	s.level = w.kit.choice([]string{tr("Debug"), tr("Normal"), tr("Warnings"), tr("Errors")}, func(string) {
		s.change(func(p *api.Settings) { p.LogLevel = levels[s.level.SelectedIndex()] }, logged)
	})
	s.themed, s.spoken = newRemark(), newRemark()
	s.theme = w.kit.choice([]string{tr("Like the desktop"), tr("Light"), tr("Dark")}, func(string) {
		s.change(func(p *api.Settings) { p.Theme = themes[s.theme.SelectedIndex()] }, s.themed)
	})
	// Everybody finds their own language under its own name.
	s.language = w.kit.choice([]string{tr("Like the desktop"), "English", "Deutsch"}, func(string) {
		s.change(func(p *api.Settings) { p.Language = languages[s.language.SelectedIndex()] }, s.spoken)
	})
	s.folder = newText("", kind{mono: true, size: theme.SizeNameCaptionText})
	s.openFolder = w.kit.button(tr("Open folder"), theme.FolderOpenIcon(), func() { s.showFolder(logged) })

	s.devices = newDevices(s)

	section := func(title string, objects ...fyne.CanvasObject) fyne.CanvasObject {
		return newCard(newColumn(14, append([]fyne.CanvasObject{newHeading(title)}, objects...)...)).Container
	}
	s.all = newColumn(16,
		section(tr("This computer"), newColumn(0, padded(-8, -4, s.autostart), started.beside(28), padded(-8, -4, s.notify), notified.beside(28),
			padded(-8, -4, s.history), kept.beside(28)),
			newGrid(220, 14, 2, newColumn(6, newField(tr("Theme"), "", s.theme.framed()).Container, s.themed.text),
				newColumn(6, newField(tr("Language"), "", s.language.framed()).Container, s.spoken.text))),
		section(tr("Local mail server"), s.listen.root, s.listenTLS.root, s.reading[0].root, s.reading[1].root),
		section(tr("Devices on my network"), s.devices.root),
		section(tr("Certificate"), s.certificate.root),
		section(tr("Network"), s.proxy.root, s.metrics.root),
		section(tr("Passwords and sign-ins"), s.keystore.root),
		s.registrations.root,
		section(tr("Log"), newColumn(6, newField(tr("Log level"), "", s.level.framed()).Container, logged.text), newColumn(8, s.folder, newFlow(8, s.openFolder))),
		padded(-8, 0, newFlow(8, w.kit.quiet(tr("About Waxseal"), theme.InfoIcon(), func() { w.show(Page{Name: "about"}) }))))
	s.scroll = newScroll(720, newColumn(16, newTitle(tr("Settings")), s.loading, s.notice.Container, s.all))
	return s
}

func (s *settings) root() fyne.CanvasObject { return s.scroll.Container }
func (s *settings) scroller() *scroll       { return s.scroll }

func (s *settings) draw(v view) {
	for _, r := range s.reading {
		show(r.root, s.w.does(r.protocol))
	}
	s.keystore.draw(v)
	s.registrations.draw(v)
}

func (s *settings) leave() {
	if s.cancel != nil {
		s.cancel()
	}
	s.hush()
}

// hush takes back what was said about the last change.
func (s *settings) hush() {
	if s.said != nil {
		s.said.hush()
		s.said = nil
	}
}

func (s *settings) enter() {
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(s.w.work.ctx)
	show(s.all, s.known)
	show(s.loading, !s.known)
	s.notice.say("", "")
	s.keystore.clear()
	ask(s.w.work, ctx, s.w.backend.Settings, func(p api.Settings, err error) {
		s.loading.Hide()
		s.notice.tell(s.w.explain(err))
		if show(s.all, err == nil); err == nil {
			s.fill(p)
		}
		s.w.settle()
	})
	ask(s.w.work, ctx, s.w.backend.Certificate, func(c api.Certificate, err error) {
		s.certificate.set(c, err)
		s.w.settle()
	})
	show(s.autostart, s.w.startsAtLogin())
	if !s.autostart.Visible() {
		return
	}
	ask(s.w.work, ctx, func(context.Context) (bool, error) { return s.w.options.Autostart() }, func(on bool, err error) {
		s.filling = true
		s.autostart.SetChecked(on)
		s.filling = false
	})
}

// fill shows what the engine has. What somebody is typing stays.
func (s *settings) fill(p api.Settings) {
	s.now, s.known = p, true
	s.filling = true
	s.listen.update(strings.Join(p.Listen, ", "))
	s.listenTLS.update(strings.Join(p.ListenTLS, ", "))
	for _, r := range s.reading {
		r.update(p)
	}
	s.metrics.update(p.Metrics)
	s.proxy.update(p.HTTPProxy)
	s.notify.SetChecked(p.Notifications)
	s.history.SetChecked(p.History)
	s.devices.set(p)
	for _, list := range []struct {
		choice *choice
		names  []string
		is     string
	}{{s.level, levels, p.LogLevel}, {s.theme, themes, p.Theme}, {s.language, languages, p.Language}} {
		if i := slices.Index(list.names, list.is); i >= 0 {
			list.choice.SetSelectedIndex(i)
		}
	}
	s.folder.set(p.LogFolder)
	show(s.openFolder, p.LogFolder != "" && s.w.options.OpenFolder != nil)
	s.filling = false
}

// change asks the engine to change what edit changes, and nothing else: another window
// or program may have changed other settings since. The answer is shown at the control.
func (s *settings) change(edit func(*api.Settings), at answer) {
	s.changeBy(edit, func(ctx ctx, was, to api.Settings) ([]string, error) {
		return s.w.backend.Configure(ctx, was.Change(to))
	}, at)
}

// changeBy is change with another way to ask the engine.
func (s *settings) changeBy(edit func(*api.Settings), configure func(ctx ctx, was, to api.Settings) (notes []string, err error), at answer) {
	if s.filling {
		return
	}
	was, next := s.now, s.now
	edit(&next)
	now := was
	var notes []string
	s.hush()
	s.w.inBackground(func(ctx ctx) (err error) {
		if notes, err = configure(ctx, was, next); err != nil {
			return err
		}
		now, err = s.w.backend.Settings(ctx)
		return err
	}, func(err error) {
		s.hush()
		s.said = at
		if err != nil {
			s.fill(s.now)
			at.refuse(s.w, err)
			return
		}
		at.accept(saved(notes))
		before := s.now
		s.fill(now)
		if before.Theme != now.Theme || before.Language != now.Language {
			s.w.rebuild(now)
			s.w.pages["settings"].(*settings).rebuilt(was.Change(next))
		}
	})
}

// rebuilt confirms a change in the page that was made anew because of it.
func (s *settings) rebuilt(by api.SettingsChange) {
	choice, remark := s.theme, s.themed
	if by.Language != nil {
		choice, remark = s.language, s.spoken
	}
	remark.accept(saved(nil))
	s.said = remark
	s.w.win.Canvas().Focus(choice)
	s.w.settle()
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

func (s *settings) setAutostart(on bool, at answer) {
	if s.filling {
		return
	}
	s.hush()
	s.w.inBackground(func(ctx) error { return s.w.options.SetAutostart(on) }, func(err error) {
		s.said = at
		if err == nil {
			at.accept(saved(nil))
			return
		}
		s.filling = true
		s.autostart.SetChecked(!on)
		s.filling = false
		at.refuse(s.w, err)
	})
}

func (s *settings) showFolder(at *remark) {
	if err := s.w.options.OpenFolder(s.now.LogFolder); err != nil {
		s.w.copy(s.now.LogFolder)
		s.said = at
		at.say(tr("The folder could not be opened. Its path was copied instead."), bad)
		s.w.settle()
	}
}

// answer is where a control says what became of a change.
type answer interface {
	accept(words string)
	refuse(w *window, err error)
	hush()
}

// remark is an answer below a control.
type remark struct{ *text }

func newRemark() *remark {
	r := &remark{newText("", kind{bold: true})}
	r.Hide()
	return r
}

// beside is the remark, moved to the right as far as a check's label.
func (r *remark) beside(x float32) fyne.CanvasObject {
	space := newSheet(colorNone, colorNone, 0)
	space.least = fyne.NewSize(x-8, 1)
	return newLine(8, []fyne.CanvasObject{space}, r.text)
}

func (r *remark) accept(words string)         { r.say(words, good) }
func (r *remark) refuse(w *window, err error) { r.say(w.explain(err).text(), bad) }
func (r *remark) hush()                       { r.say("", calm) }

func (r *remark) say(words string, m mood) {
	r.mark(m.importance())
	r.set(words)
	show(r.text, words != "")
}

// setting is a value that is entered as text. Enter or the button that appears after a
// change saves it.
type setting struct {
	root    *fyne.Container
	entry   *entry
	field   field
	save    *button
	undo    *button
	free    *button // takes the free address that was offered
	is      string  // as the engine has it
	offer   string
	s       *settings
	check   func(string) string
	edit    func(*api.Settings, string)
	follows func(was, to []string) string // what a change means for others; "" is nothing
}

func newSetting(s *settings, name, hint, example string, check func(string) string, edit func(*api.Settings, string)) *setting {
	k := s.w.kit
	t := &setting{s: s, check: check, edit: edit, follows: func(_, _ []string) string { return "" }}
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

func (t *setting) typedText() string { return strings.TrimSpace(t.entry.Text) }

// set shows a value in place of what was typed.
func (t *setting) set(value string) {
	t.is = value
	t.entry.SetText(value)
	t.typed()
}

// update shows what the engine has, unless somebody is typing something else.
func (t *setting) update(value string) {
	if draft := t.typedText(); draft != t.is && draft != value {
		t.is = value
		return
	}
	if t.is != value || t.typedText() != value {
		t.set(value)
	}
}

// typed shows mistakes while they are typed, and what else a change needs.
func (t *setting) typed() {
	differs := t.typedText() != t.is
	show(t.save, differs)
	show(t.undo, differs)
	show(t.free, false)
	wrong := ""
	if differs {
		wrong = t.check(t.typedText())
	}
	t.field.refuse(wrong)
	if differs && wrong == "" {
		t.field.say(t.follows(addresses(t.is), addresses(t.typedText())), care)
	}
	t.save.enable(wrong == "")
	show(t.root.Objects[1], differs)
	t.s.w.settle()
}

func (t *setting) apply() {
	value := t.typedText()
	if value == t.is || t.check(value) != "" {
		return
	}
	t.s.change(func(p *api.Settings) { t.edit(p, value) }, t)
}

// accept shows the new value, and what else it needs.
func (t *setting) accept(words string) {
	also := t.follows(addresses(t.is), addresses(t.typedText()))
	t.set(t.typedText())
	t.field.say(strings.TrimSpace(words+" "+also), good)
	if t.s.w.win.Canvas().Focused() == nil {
		t.s.w.win.Canvas().Focus(t.entry) // the button that was pressed is gone
	}
}

// hush shows the hint again.
func (t *setting) hush() { t.field.refuse("") }

// refuse shows why the engine did not accept the value. For a taken port it offers a
// free one.
func (t *setting) refuse(w *window, err error) {
	t.field.refuse(w.explain(err).text())
	var taken *api.PortTakenError
	if errors.As(err, &taken) && taken.Free != "" {
		t.offer = strings.Replace(t.typedText(), taken.Address, taken.Free, 1)
		t.free.SetText(tr("Use {{.Address}}", values{"Address": taken.Free}))
		show(t.free, true)
	}
}

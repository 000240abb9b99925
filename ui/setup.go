package ui

import (
	"context"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"github.com/waxseal/waxseal/proxy/api"
)

// setup is the page with an account's settings for mail programs, the steps for common
// ones, and a test message.
type setup struct {
	w       *window
	account string
	scroll  *scroll
	title   *text
	state   badge
	trouble *notice
	welcomed,
	loading *text
	notice *notice
	rows   *fyne.Container
	ways   *segments // without or with TLS
	values map[string]*valueRow
	steps  *programs
	test   *sendTest
	facts  *text
	all    *fyne.Container // what needs the settings

	copying  bool // the password is copied as soon as it is known
	settings api.MailSettings
	server   api.MailServer
	cancel   context.CancelFunc
}

func newSetup(w *window) *setup {
	s := &setup{w: w, values: map[string]*valueRow{}, steps: newPrograms(w), test: newSendTest(w), state: newBadge(), notice: newNotice(w)}
	k := w.kit
	s.title = newText("", kind{size: theme.SizeNameHeadingText, bold: true, single: true})
	s.facts = newMuted("")
	s.trouble = newNotice(w)
	s.welcomed = newText("", kind{bold: true})
	s.welcomed.mark(good.importance())
	s.welcomed.Hide()
	s.loading = newMuted(tr("Loading the settings…"))
	var more *button
	more = k.icon(tr("More"), theme.MoreVerticalIcon(), func() { w.menu(more, s.menu()...) })

	s.ways = newSegments(w.kit, []string{tr("Unencrypted or STARTTLS"), tr("SSL/TLS")}, func(int) { s.fill() })
	s.rows = newColumn(0)
	for i, name := range []string{tr("Server"), tr("Port"), tr("Security"), tr("User name"), tr("Password")} {
		key := [...]string{"server", "port", "security", "user", "password"}[i]
		row := newValueRow(w, name, key == "password")
		s.values[key] = row
		if i > 0 {
			s.rows.Add(newRule())
		}
		s.rows.Add(row.root)
	}
	mail := newCard(newColumn(12, newHeading(tr("Settings for your mail program")), s.ways.root, s.rows))
	s.all = newColumn(16, mail.Container, newCard(s.steps.root).Container, newCard(s.test.root).Container)
	s.scroll = newScroll(720, newColumn(16, k.back(func() { w.show(Page{}) }, more),
		newColumn(4, newSplit(s.title, newFlow(0, s.state.Container), s.title.line), s.facts),
		s.welcomed, s.trouble.Container, s.loading, s.notice.Container, s.all))
	return s
}

// newRule is a thin line.
func newRule() fyne.CanvasObject {
	r := newSheet("separator", colorNone, 0)
	r.least = fyne.NewSize(1, 1)
	return r
}

func (s *setup) root() fyne.CanvasObject { return s.scroll.Container }
func (s *setup) scroller() *scroll       { return s.scroll }

func (s *setup) enter() {
	s.scroll.bar.ScrollToTop()
	s.welcomed.Hide()
	s.title.set(clean(s.account))
	s.test.begin(s.account)
	s.load(false)
}

func (s *setup) leave() {
	if s.cancel != nil {
		s.cancel()
	}
	s.test.stop()
	s.settings = api.MailSettings{} // it holds a password
	s.values["password"].set("")
}

// welcome says that an account was just added or signed in again.
func (s *setup) welcome(again bool) {
	s.welcomed.set(tr("Signed in. Enter these settings in your mail program:"))
	if again {
		s.welcomed.set(tr("Signed in again. Your mail programs need no changes."))
	} else {
		s.w.offerAutostart(s.account)
	}
	show(s.welcomed, true)
	s.w.settle()
}

func (s *setup) menu() []*fyne.MenuItem {
	items := s.w.accountMenu(s.account)[2:]
	renew := fyne.NewMenuItemWithIcon(tr("New password…"), theme.ViewRefreshIcon(), func() {
		s.w.question(tr("Create a new password?"), tr("Mail programs with the old password can’t send until you enter the new one in them."),
			tr("Create new password"), widget.DangerImportance, func() { s.load(true) })
	})
	return append([]*fyne.MenuItem{renew}, items...)
}

// load asks for the settings, with a new password if renew is set.
func (s *setup) load(renew bool) {
	if s.cancel != nil {
		s.cancel()
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(s.w.work.ctx)
	keep := renew && s.settings.User != "" // what is shown stays until the answer
	show(s.loading, !keep)
	show(s.all, keep)
	s.notice.say("", "")
	account := s.account
	ask(s.w.work, ctx, func(ctx context.Context) (api.MailSettings, error) {
		return s.w.backend.MailSettings(ctx, account, renew)
	}, func(m api.MailSettings, err error) {
		s.loading.Hide()
		if err != nil {
			s.notice.tell(s.w.explain(err))
			s.notice.unless(s.trouble)
		} else {
			s.settings = m
			show(s.all, true)
			if s.copying {
				s.copying = false
				s.w.copy(m.Password)
				s.welcomed.set(tr("The password is in the clipboard. Paste it into your mail program."))
				s.welcomed.Show()
			}
			s.ways.limit(len(m.Servers) > 0 && find(m.Servers, true) != nil, find(m.Servers, false) != nil)
			s.fill()
		}
		s.w.settle()
		s.goToTest()
	})
}

// find is the first server with TLS from the first byte, or without.
func find(list []api.MailServer, tls bool) *api.MailServer {
	for i := range list {
		if list[i].TLS == tls {
			return &list[i]
		}
	}
	return nil
}

// fill writes the settings for the chosen kind of security.
func (s *setup) fill() {
	if server := find(s.settings.Servers, s.ways.chosen == 1); server != nil {
		s.server = *server
	} else if len(s.settings.Servers) > 0 {
		s.server = s.settings.Servers[0]
	}
	s.values["server"].set(s.server.Host)
	s.values["port"].set(strconv.Itoa(s.server.Port))
	s.values["security"].set(securityName(s.server))
	s.values["user"].set(s.settings.User)
	s.values["password"].set(s.settings.Password)
	s.steps.fill(s.settings, s.server)
	s.w.settle()
}

// securityName is the security setting as mail programs call it.
func securityName(m api.MailServer) string {
	if m.TLS {
		return tr("SSL/TLS")
	}
	if api.IsLoopback(m.Host) {
		return tr("None")
	}
	return tr("STARTTLS")
}

func (s *setup) draw(v view) {
	for _, a := range v.snapshot.Accounts {
		if a.Address != s.account {
			continue
		}
		word, m := accountState(a)
		s.state.set(word, m)
		show(s.state.Container, true)
		now := s.w.now()
		facts := []string{clean(a.Name), sentToday(a), lastMessage(a, now)}
		if c := consent(a, now); c != "" {
			facts = append(facts, c)
		}
		s.facts.set(strings.Join(facts, " · "))
		s.trouble.tell(accountTrouble(a))
		s.notice.unless(s.trouble)
		return
	}
	show(s.state.Container, false)
	s.facts.set("")
	s.trouble.say("", "")
}

// revealTest scrolls to the test message as soon as it is there.
func (s *setup) revealTest() {
	s.test.wanted = true
	s.goToTest()
}

func (s *setup) goToTest() {
	if s.test.wanted && s.all.Visible() {
		s.test.wanted = false
		s.w.win.Canvas().Focus(s.test.send)
	}
}

// valueRow is one value to enter in a mail program, with a button that copies it.
type valueRow struct {
	root  *fyne.Container
	value *text
	is    string
	eye   *button
	shown bool
}

func newValueRow(w *window, name string, secret bool) *valueRow {
	r := &valueRow{shown: !secret}
	r.value = newText("", kind{mono: true, single: true})
	label := wide(112, newText(name, kind{muted: lowImportance, single: true}))
	buttons := []fyne.CanvasObject{}
	if secret {
		r.eye = w.kit.icon(tr("Show the password"), theme.VisibilityIcon(), func() { r.reveal(!r.shown) })
		buttons = append(buttons, r.eye)
	}
	buttons = append(buttons, w.copyButton("", tr("Copy: {{.Name}}", values{"Name": name}), func() string { return r.is }))
	r.root = padded(0, 2, newLine(4, []fyne.CanvasObject{label}, r.value, buttons...))
	return r
}

func (r *valueRow) set(s string) {
	if r.is != s && r.eye != nil {
		r.shown = false
	}
	r.is = s
	r.reveal(r.shown)
}

func (r *valueRow) reveal(shown bool) {
	r.shown = shown
	s := r.is
	if !shown && s != "" {
		s = strings.Repeat("•", 12)
	}
	r.value.set(s)
	if r.eye != nil {
		icon := theme.VisibilityIcon()
		if shown {
			icon = theme.VisibilityOffIcon()
		}
		r.eye.SetIcon(icon)
	}
}

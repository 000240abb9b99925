package ui

import (
	"context"
	"slices"
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
	notice       *notice
	rows         *fyne.Container
	speak        *segments // for which of api.Protocols
	ways         *segments // without or with TLS
	doing        *doing
	read         *readTest
	sends, reads *fyne.Container // the tests
	values       map[string]*valueRow
	steps        *programs
	test         *sendTest
	facts        *text
	all          *fyne.Container // what needs the settings

	copying  bool // the password is copied as soon as it is known
	settings access
	server   api.MailServer
	cancel   context.CancelFunc
}

func newSetup(w *window) *setup {
	s := &setup{w: w, values: map[string]*valueRow{}, steps: newPrograms(w), test: newSendTest(w), read: newReadTest(w), doing: newDoing(w), state: newBadge(), notice: newNotice(w)}
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

	s.speak = newSegments(w.kit, []string{tr("Sending (SMTP)"), tr("Reading (IMAP)"), tr("Reading (POP)")}, func(int) { s.fill() })
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
	mail := newCard(newColumn(12, newHeading(tr("Settings for your mail program")), s.speak.root, s.ways.root, s.rows))
	s.sends, s.reads = newCard(s.test.root).Container, newCard(s.read.root).Container
	s.all = newColumn(16, mail.Container, newCard(s.steps.root).Container, s.sends, s.reads)
	s.scroll = newScroll(720, newColumn(16, k.back(func() { w.show(Page{}) }, more),
		newColumn(4, newSplit(s.title, newFlow(0, s.state.Container), s.title.line), s.facts),
		s.welcomed, s.trouble.Container, s.doing.root, s.loading, s.notice.Container, s.all))
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
	s.read.begin(s.account)
	s.speak.mark(0)
	s.doing.begin()
	s.load(false)
	account := s.account
	ask(s.w.work, s.w.work.ctx, func(ctx context.Context) (api.Preflight, error) {
		return s.w.backend.Preflight(ctx, api.Account{Address: account})
	}, func(p api.Preflight, _ error) {
		if account != s.account {
			return
		}
		s.doing.knows(p) // without an answer there is only nothing to add
		s.draw(s.w.view)
		s.w.settle()
	})
}

func (s *setup) leave() {
	if s.cancel != nil {
		s.cancel()
	}
	s.test.stop()
	s.read.stop()
	s.settings = access{} // it holds a password
	s.values["password"].set("")
}

// welcome says that an account was just added or signed in again, or does something else now:
// changed, if that is not empty.
func (s *setup) welcome(again bool, changed ...api.Protocol) {
	s.welcomed.set(tr("Signed in. Enter these settings in your mail program:"))
	switch {
	case slices.ContainsFunc(changed, api.Protocol.Reads):
		s.welcomed.set(tr("Done. Enter these settings for reading in your mail program:"))
		s.speak.choose(slices.IndexFunc(api.Protocols, func(p api.Protocol) bool { return p.Reads() && slices.Contains(changed, p) }))
	case len(changed) > 0:
		s.welcomed.set(saved(nil))
	case again:
		s.welcomed.set(tr("Signed in again. Your mail programs need no changes."))
	default:
		s.w.offerAutostart(s.account)
	}
	show(s.welcomed, true)
	s.w.settle()
}

func (s *setup) menu() []*fyne.MenuItem {
	items := s.w.accountMenu(s.account)[2:]
	renew := fyne.NewMenuItemWithIcon(tr("New password…"), theme.ViewRefreshIcon(), func() {
		s.w.question(tr("Create a new password?"), tr("Mail programs with the old password can’t log in until you enter the new one in them."),
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
	ask(s.w.work, ctx, func(ctx context.Context) (access, error) {
		m, err := s.w.backend.MailSettings(ctx, account, renew)
		if err != nil {
			return access{}, err
		}
		cert, _ := s.w.backend.Certificate(ctx) // without it, lines for programs do not name it
		return access{m, cert.File, s.w.options.Waxseal}, nil
	}, func(m access, err error) {
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
			s.speak.offer(func(i int) bool { return serves(m.Servers, api.Protocols[i]) })
			s.fill()
		}
		s.w.settle()
		s.goToTest()
	})
}

// serves reports whether there is a server for p.
func serves(list []api.MailServer, p api.Protocol) bool {
	return find(list, p, true) != nil || find(list, p, false) != nil
}

// find is the first server for p with TLS from the first byte, or without.
func find(list []api.MailServer, p api.Protocol, tls bool) *api.MailServer {
	for i := range list {
		if list[i].TLS == tls && (list[i].Protocol == p || list[i].Protocol == "" && p == api.SMTP) {
			return &list[i]
		}
	}
	return nil
}

// fill writes the settings for the chosen protocol and kind of security.
func (s *setup) fill() {
	list, protocol := s.settings.Servers, api.Protocols[s.speak.chosen]
	s.ways.limit(find(list, protocol, true) != nil, find(list, protocol, false) != nil)
	if server := find(list, protocol, s.ways.chosen == 1); server != nil {
		s.server = *server
	} else if len(list) > 0 {
		s.server = list[0]
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
		facts := []string{clean(a.Name)}
		if !a.Reads() { // else they are with what the account does
			facts = append(facts, sentToday(a), lastMinute(a), lastMessage(a, now))
		}
		if c := consent(a, now); c != "" {
			facts = append(facts, c)
		}
		s.facts.set(joined(facts...))
		s.trouble.tell(sendTrouble(a))
		s.notice.unless(s.trouble)
		s.doing.draw(a, s.trouble)
		s.read.offer(a)
		show(s.sends, a.Sends())
		show(s.reads, a.Reads())
		return
	}
	show(s.state.Container, false)
	s.facts.set("")
	s.trouble.say("", "")
	show(s.doing.root, false)
	show(s.reads, false)
}

// revealTest scrolls to the test message as soon as it is there, or to the check of reading for an
// account that does not send.
func (s *setup) revealTest() {
	s.test.wanted = true
	s.goToTest()
}

func (s *setup) goToTest() {
	if s.test.wanted && s.all.Visible() {
		s.test.wanted = false
		trial := s.test.send
		switch {
		case s.sends.Visible():
		case s.read.imap.Visible():
			trial = s.read.imap
		default:
			trial = s.read.pop
		}
		s.w.win.Canvas().Focus(trial)
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

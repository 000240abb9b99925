package ui

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2/test"

	"github.com/waxseal/waxseal/proxy/api"
)

// One tick more than for sending makes an account that sends and reads.
func TestAddAccountThatReads(t *testing.T) {
	b := busyOffice()
	b.consent = func(context.Context) (bool, error) { return true, nil }
	s, a := begun(t, b)
	if a.who.does.root.Visible() {
		t.Error("it asks what the account does before the provider is known")
	}
	typeAddress(s, "grace@corp.example")
	d := a.who.does
	if got := d.chosen(); !slices.Equal(got, []api.Protocol{api.SMTP}) {
		t.Errorf("at first it does %v", got)
	}
	sending := d.note.Text
	test.Tap(d.checks[1])
	if got := d.note.Text; !strings.Contains(got, "allow reading too") || got == sending {
		t.Errorf("says %q", got)
	}
	for _, c := range d.checks[:2] {
		test.Tap(c)
	}
	if !a.who.next.Disabled() || d.note.Text != "Choose at least one." {
		t.Errorf("an account may do nothing: %q", d.note.Text)
	}
	for _, c := range d.checks[:2] {
		test.Tap(c)
	}
	test.Tap(a.who.next)
	s.until("the settings are shown", func() bool { return s.w.name == "setup" })
	if !b.called("add grace@corp.example microsoft    to do [smtp imap]") {
		t.Errorf("asked %q", b.calls())
	}
}

// Where the provider has no server for reading, there is nothing to choose.
func TestNothingToChoose(t *testing.T) {
	b := base()
	b.prospects[1].Protocols = nil
	s, a := begun(t, b)
	if typeAddress(s, "ada@corp.example"); a.who.does.root.Visible() {
		t.Error("it can be chosen to read")
	}
}

// A button on the account's page leads to a question, and that to the sign-in, if the provider
// wants one.
func TestReadMailToo(t *testing.T) {
	b := busyOffice()
	b.consent = func(context.Context) (bool, error) { return true, nil }
	s := (story{page: Page{Name: "setup", Account: "ada@corp.example"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := s.w.pages["setup"].(*setup)
	test.Tap(p.doing.ask)
	s.w.win.Canvas().Focused().(*button).OnTapped() // Cancel is the default
	if s.w.win.Canvas().Overlays().Top() != nil || b.called("authorize ada@corp.example to do [smtp imap]") {
		t.Error("Cancel changes something, or leaves the question there")
	}
	s.w.changeProtocols("ada@corp.example", []api.Protocol{api.SMTP, api.IMAP}, p.doing.prospect)
	if a := s.w.pages["add"].(*add); s.w.name != "add" || a.title.Text != "Change what the account does" {
		t.Errorf("it shows %s: %s", s.w.name, a.title.Text)
	}
	s.until("the settings are back", func() bool { return s.w.name == "setup" && !p.loading.Visible() })
	if !b.called("authorize ada@corp.example to do [smtp imap]") || p.welcomed.Text != "Done. Enter these settings for reading in your mail program:" {
		t.Errorf("says %q, asked %q", p.welcomed.Text, b.calls())
	}
	s.w.show(Page{Name: "add", Account: "ada@corp.example"})
	s.until("a sign-in alone changes nothing", func() bool { return b.called("authorize ada@corp.example") })
}

// Whoever cancels comes back to the account.
func TestCancelReadMailToo(t *testing.T) {
	b := busyOffice()
	b.prompts = []api.Prompt{{URL: consentPage}}
	s := (story{page: Page{Name: "setup", Account: "ada@corp.example"}, backend: func() *fake { return b }}).stage(t, staging{})
	s.w.changeProtocols("ada@corp.example", api.Protocols, api.Preflight{})
	a := s.w.pages["add"].(*add)
	s.until("it waits", func() bool { return a.wait.link.Visible() })
	test.Tap(a.wait.cancel)
	s.until("the engine was told", func() bool { return b.called("cancel ada@corp.example") })
	if s.w.name != "setup" {
		t.Errorf("it shows %s", s.w.name)
	}
}

// Every state of reading reaches the badge, the headline, the card and the page, as the same state
// of sending does.
func TestEveryStateOfReadingIsShown(t *testing.T) {
	newStage(t, busyOffice(), staging{}) // its language
	for _, state := range api.States {
		p := troubles("ada@corp.example")[state]
		if p == nil && state.Severity() >= api.Passing {
			p = problem(state, "ada@corp.example", "", "The keychain is locked.", "", "Try again in a minute.")
		}
		sends, reads := account("ada@corp.example", "Microsoft 365"), account("ada@corp.example", "Microsoft 365")
		sends.State, sends.Problem = state, p
		reads.Reading = []api.ReadStatus{{Protocol: api.IMAP, State: api.Ready}, {Protocol: api.POP, State: state, Problem: p}}
		if state.Severity() < api.Passing {
			if got := readTrouble(reads, reads.Reading[1]); got != (explained{}) {
				t.Errorf("%s: the trouble is %+v", state, got)
			}
			continue
		}
		title := func(a api.AccountStatus) string {
			title, _ := headline(view{snapshot: api.Snapshot{State: api.Serving, Accounts: []api.AccountStatus{a}}, known: true})
			return title
		}
		if got, want := title(reads), title(sends); got != want {
			t.Errorf("%s: the headline is %q, want %q", state, got, want)
		}
		got, want := accountText(reads, noon), accountText(sends, noon)
		if got.state != want.state || got.mood != want.mood || got.trouble != want.trouble {
			t.Errorf("%s: the card says %+v, want %+v", state, got, want)
		}
		if got, want := readTrouble(reads, reads.Reading[1]), accountTrouble(sends); got != want {
			t.Errorf("%s: the page says %+v, want %+v", state, got, want)
		}
		if got := sendTrouble(reads); got != (explained{}) {
			t.Errorf("%s: the page says %+v of sending", state, got)
		}
	}
}

func TestReadFacts(t *testing.T) {
	english(t)
	for want, r := range map[string]api.ReadStatus{
		"0 connections · no login yet": {},
		"2 of 15 connections in use · 1 in reserve · last login 3 minutes ago · 1.5 MB read so far": {Sessions: 2, Limit: 15, Spare: true, LastLogin: noon.Add(-3 * time.Minute), Down: 1_500_000},
	} {
		if got := readFacts(r, noon); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Sessions that ended are listed, can be listed alone, and only a lost connection is a problem.
func TestActivityOfReading(t *testing.T) {
	s := newStage(t, readingOffice(), staging{})
	s.shows()
	s.w.show(Page{Name: "activity"})
	a := listed(s)
	a.kinds.choose(2)
	if len(a.seen) != 3 {
		t.Errorf("%d sessions are listed", len(a.seen))
	}
	a.failed.SetChecked(true)
	if len(a.seen) != 1 || a.all[a.seen[0]].Ended != api.ByNetwork {
		t.Errorf("%d of them are problems", len(a.seen))
	}
	a.fresh()
	if len(a.seen) != len(s.b.activity) {
		t.Error("a filter stays")
	}
	a.choose(11)
	if !strings.HasPrefix(a.details.meant.Text, "This is normal") || a.details.cure.Visible() {
		t.Errorf("explains %q", a.details.meant.Text)
	}
	if got := activityText(a.details.entry); !strings.Contains(got, "protocol: imap\nended by: provider\nbytes down: 22400000\n") {
		t.Errorf("copies %q", got)
	}
	a.choose(9)
	if a.details.meant.Visible() {
		t.Error("the explanation stays")
	}
}

func TestReadTest(t *testing.T) {
	b := readingOffice()
	b.checks = []api.Check{{Name: api.CheckLogin, OK: true}, *failed(api.CheckFolders, "", readingDisabled("ada@corp.example"), 0).Check}
	b.test = func(context.Context) error { return readingDisabled("ada@corp.example") }
	s := (story{page: Page{Name: "setup", Account: "ada@corp.example"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := s.w.pages["setup"].(*setup).read
	if p.pop.Visible() {
		t.Error("POP can be checked, which the account does not do")
	}
	test.Tap(p.imap)
	s.until("it failed", func() bool { return p.verdict.Visible() })
	if !b.called("read ada@corp.example imap") || p.verdict.Text != "Mail programs can’t read this account’s mail." || p.imap.Disabled() {
		t.Errorf("says %q, asked %q", p.verdict.Text, b.calls())
	}
}

// The settings, the steps and the lines to copy have the values of the protocol.
func TestSettingsForReading(t *testing.T) {
	s := (story{page: Page{Name: "setup", Account: "ada@corp.example"}, backend: readingEverything}).stage(t, staging{})
	p := s.w.pages["setup"].(*setup)
	for i, want := range []string{"1587", "1143", "1110"} {
		if p.speak.choose(i); p.values["port"].is != want {
			t.Errorf("%s: port %s, want %s", api.Protocols[i], p.values["port"].is, want)
		}
	}
	if p.ways.choose(1); p.values["port"].is != "1995" || p.values["security"].is != "SSL/TLS" {
		t.Errorf("with TLS: port %s", p.values["port"].is)
	}
	m := p.settings.MailSettings
	for _, tls := range []bool{false, true} {
		for program := range script + 1 {
			steps := strings.Join(programSteps(program, m, *outgoing(m, tls)), "\n")
			if strings.Contains(steps, "<no value>") || strings.Contains(steps, "{{") {
				t.Errorf("a value is missing: %s", steps)
			}
			port := map[bool]string{false: "1143", true: "1993"}[tls]
			if program <= appleMail && !strings.Contains(steps, port) {
				t.Errorf("program %d does not name port %s: %s", program, port, steps)
			}
		}
	}
}

func TestSnippetsForReading(t *testing.T) {
	m := readingEverything().mail
	m.User = `o'ne "two"@corp.example`
	names := func(list []snippet) (all []string) {
		for _, s := range list {
			all = append(all, s.program)
			if strings.Contains(s.lines, "%!") || strings.Contains(s.lines, m.Password) {
				t.Errorf("%s: %s", s.program, s.lines)
			}
		}
		return all
	}
	all := access{m, "/home/o'ne/localhost.crt", "waxseal --config 'a b'"}
	if got := names(snippetsFor(terminal, all, false)); len(got) != 7 {
		t.Errorf("for a terminal there are %q", got)
	}
	if mutt := snippetsFor(terminal, all, false)[1].lines; !strings.Contains(mutt, "`waxseal --config 'a b' account password ") {
		t.Errorf("Mutt gets the password otherwise: %s", mutt)
	}
	if python := snippetsFor(script, all, true)[1].lines; !strings.Contains(python, `cafile="/home/o'ne/localhost.crt"`) {
		t.Errorf("Python does not know the certificate: %s", python)
	}
	if got := names(snippetsFor(script, all, false)); !slices.Equal(got, []string{"swaks", "Python", "Python, IMAP", "Python, POP"}) {
		t.Errorf("for scripts there are %q", got)
	}
	only := access{MailSettings: api.MailSettings{User: "a@b.example", Servers: []api.MailServer{{Protocol: api.POP, Host: "mail.b.example", Port: 1995, TLS: true}}}}
	if got := snippetsFor(terminal, only, false); len(got) != 2 || !strings.Contains(got[0].lines, "SimplePOP3SSLRetriever") || !strings.Contains(got[1].lines, "\n  ssl keep") {
		t.Errorf("for POP with TLS there is %+v", got)
	}
	if got := names(snippetsFor(script, only, true)); !slices.Equal(got, []string{"Python, POP"}) {
		t.Errorf("for an account that only reads there are %q", got)
	}
}

// Where a port for reading changes, the form names the accounts that read.
func TestAnotherPortForReading(t *testing.T) {
	s := (story{page: Page{Name: "settings"}, backend: readingEverything}).stage(t, staging{})
	p := configured(s)
	p.reading[0].plain.entry.SetText("127.0.0.1:2143")
	if got := p.reading[0].plain.field.below.Text; got != "Change the port from 1143 to 2143 in the mail programs of: ada@corp.example, ada.lovelace@gmail.com." {
		t.Errorf("says %q", got)
	}
	p.reading[0].plain.apply()
	s.until("it is saved", func() bool {
		s.b.mu.Lock()
		defer s.b.mu.Unlock()
		return slices.Equal(s.b.settings.ListenIMAP, []string{"127.0.0.1:2143"})
	})
	if got := protocolAt(s.b.settings, "127.0.0.1:1995"); got != api.POP {
		t.Errorf("127.0.0.1:1995 is for %s", got)
	}
}

// An account that only reads has no test message: its menu leads to the check of reading.
func TestMenuLeadsToTheReadTest(t *testing.T) {
	s := newStage(t, changed(readingOffice, func(b *fake) { b.snapshot.Accounts[0].Protocols = []api.Protocol{api.IMAP} })(), staging{})
	s.shows()
	item := s.w.accountMenu("ada@corp.example")[1]
	item.Action()
	p := s.w.pages["setup"].(*setup)
	s.until("the button has the keyboard", func() bool { return s.w.win.Canvas().Focused() == p.read.imap })
	if item.Label != "Check reading" || p.sends.Visible() {
		t.Errorf("the menu says %q", item.Label)
	}
}

package ui

import (
	"net/url"
	"strings"

	"fyne.io/fyne/v2"

	"github.com/waxseal/waxseal/proxy/api"
)

// providerPage describes a provider that is not built in.
type providerPage struct {
	w      *window
	scroll *scroll
	notice *notice
	save   *button
	ways   *segments

	name, domains, signIn, token, scopes, server, imap, pop *line
}

// line is a field with what its text must be like.
type line struct {
	field
	entry *entry
	wrong func(string) string // what is wrong with a text; "" is nothing
}

func newProvider(w *window) *providerPage {
	p := &providerPage{w: w, notice: newNotice(w)}
	p.name = p.line(tr("Name"), "", "Corp Mail", func(s string) string { return only(s == "", tr("Enter a name.")) })
	p.domains = p.line(tr("Domains"), tr("What its addresses end in, separated by commas."), "corp.example", func(s string) string {
		for _, d := range addresses(s) {
			if !complete("x@" + strings.TrimPrefix(d, "*.")) {
				return tr("“{{.Text}}” is not a domain. Write it like example.com.", values{"Text": clean(d)})
			}
		}
		return only(s == "", tr("Enter at least one domain."))
	})
	p.signIn = p.line(tr("Sign-in page"), tr("The provider’s documents call it the authorization endpoint."), "https://login.corp.example/authorize", checkEndpoint)
	p.token = p.line(tr("Token address"), tr("The provider’s documents call it the token endpoint."), "https://login.corp.example/token", checkEndpoint)
	p.scopes = p.line(tr("Permissions"), tr("The scopes that allow sending mail, and reading it if you want that, separated by spaces."), "mail.send offline_access", func(s string) string {
		return only(s == "", tr("Enter at least one permission."))
	})
	p.server = p.line(tr("Mail server for sending"), "", "smtp.corp.example:587", func(s string) string {
		if s == "" {
			return tr("Enter the server and its port, like smtp.example.com:587.")
		}
		return checkAddress(s)
	})
	reading := func(s string) string {
		if s == "" {
			return ""
		}
		return checkAddress(s)
	}
	p.imap = p.line(tr("IMAP server"), tr("Optional, for reading mail."), "imap.corp.example:993", reading)
	p.pop = p.line(tr("POP server"), tr("Optional, for reading mail."), "pop.corp.example:995", reading)
	p.ways = newSegments(w.kit, []string{tr("STARTTLS"), tr("SSL/TLS")}, func(int) {})
	p.save = w.kit.primary(tr("Add provider"), nil, func() { p.submit() })
	column := newColumn(14)
	for _, l := range p.lines() {
		column.Add(l.Container)
		if l == p.server {
			column.Add(newField(tr("Security"), "", p.ways.root).Container)
		}
	}
	p.scroll = newScroll(560, newColumn(16, w.kit.back(func() { w.show(Page{Name: "add"}) }), newTitle(tr("Another provider")),
		newMuted(tr("For a provider that Waxseal does not know. Its administrator, or its documents for developers, have these values.")),
		newCard(column).Container, p.notice.Container, newActions(p.save)))
	return p
}

func (p *providerPage) line(name, hint, example string, wrong func(string) string) *line {
	l := &line{wrong: wrong}
	l.entry = p.w.kit.entry(example, func(string) { l.refuse("") })
	l.entry.OnSubmitted = func(string) { p.submit() }
	l.field = newField(name, hint, l.entry)
	return l
}

func (p *providerPage) lines() []*line {
	return []*line{p.name, p.domains, p.signIn, p.token, p.scopes, p.server, p.imap, p.pop}
}

func (p *providerPage) root() fyne.CanvasObject { return p.scroll.Container }
func (p *providerPage) scroller() *scroll       { return p.scroll }
func (p *providerPage) draw(view)               {}
func (p *providerPage) leave()                  {}

// enter keeps what was typed before, and begins with the domain of the address to add.
func (p *providerPage) enter() {
	p.notice.say("", "")
	if _, domain, ok := strings.Cut(strings.TrimSpace(p.w.pages["add"].(*add).who.address.Text), "@"); ok && p.domains.entry.Text == "" {
		p.domains.entry.SetText(domain)
	}
	p.w.win.Canvas().Focus(p.name.entry)
}

func (p *providerPage) submit() {
	var first *line
	for _, l := range p.lines() {
		wrong := l.wrong(strings.TrimSpace(l.entry.Text))
		l.refuse(wrong)
		if wrong != "" && first == nil {
			first = l
		}
	}
	p.w.settle()
	if first != nil {
		p.w.win.Canvas().Focus(first.entry)
		return
	}
	text := func(l *line) string { return strings.TrimSpace(l.entry.Text) }
	n := api.NewProvider{Name: text(p.name), Domains: addresses(text(p.domains)), AuthURL: text(p.signIn), TokenURL: text(p.token),
		Scopes: strings.Fields(text(p.scopes)), SMTP: text(p.server), TLS: p.ways.chosen == 1,
		IMAP: text(p.imap), POP: text(p.pop)}
	p.save.enable(false)
	p.w.inBackground(func(ctx ctx) error { return p.w.backend.AddProvider(ctx, n) }, func(err error) {
		p.save.enable(true)
		if err != nil {
			p.notice.tell(p.w.explain(err))
			p.w.settle()
			return
		}
		for _, l := range p.lines() {
			l.entry.SetText("")
		}
		p.w.show(Page{Name: "add"}) // which finds it by the address
	})
}

// checkEndpoint checks the address of a page or an endpoint. A provider on this computer needs no
// encryption.
func checkEndpoint(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && !(u.Scheme == "http" && api.IsLoopback(u.Hostname())) {
		return tr("Write it like https://login.example.com/….")
	}
	return ""
}

package ui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// protocolChoice is the choice of what an account does: send, and read with IMAP or POP.
type protocolChoice struct {
	root   *fyne.Container
	checks []*check // as in api.Protocols
	lines  []*fyne.Container
	note   *text // what the provider will ask for

	prospect api.Preflight
	was      []api.Protocol // what an account that is there does; nil for a new one
	filling  bool
	changed  func()
}

func newProtocolChoice(k *kit, changed func()) *protocolChoice {
	c := &protocolChoice{changed: changed, note: newMuted("")}
	labels := []string{tr("Send mail"), tr("Read mail with IMAP"), tr("Read mail with POP")}
	hints := []string{"", tr("Keeps the folders of your mail program in step with the provider. Most programs use it."), tr("Only fetches the messages in your inbox.")}
	list := newColumn(2)
	for i, label := range labels {
		box := k.check(label, func(bool) { c.draw() })
		line := newColumn(0, padded(-8, -4, box))
		if hints[i] != "" {
			line.Add(newRemarkLine(20, newCaption(hints[i])))
		}
		c.checks, c.lines = append(c.checks, box), append(c.lines, line)
		list.Add(line)
	}
	c.root = newColumn(10, list, c.note)
	return c
}

// newRemarkLine is a text, moved to the right as far as the label of a check.
func newRemarkLine(x float32, t *text) fyne.CanvasObject { return newBeside(x-10, newSpace(1), t) }

// offer shows the protocols that a provider has servers for, with some of them chosen. was is what
// an account that is there does.
func (c *protocolChoice) offer(p api.Preflight, chosen, was []api.Protocol) {
	c.prospect, c.was, c.filling = p, was, true
	for i, protocol := range api.Protocols {
		show(c.lines[i], p.Offers(protocol) || slices.Contains(was, protocol))
		c.checks[i].SetChecked(slices.Contains(chosen, protocol) && c.lines[i].Visible())
	}
	c.filling = false
	c.draw()
}

// possible reports whether there is anything to choose.
func (c *protocolChoice) possible() bool { return readable(c.prospect) }

// readable reports whether a provider has a server for reading.
func readable(p api.Preflight) bool { return p.Offers(api.IMAP) || p.Offers(api.POP) }

// chosen is what the account is to do.
func (c *protocolChoice) chosen() (list []api.Protocol) {
	for i, p := range api.Protocols {
		if c.checks[i].Checked {
			list = append(list, p)
		}
	}
	return list
}

// differs reports whether something else is chosen than the account does.
func (c *protocolChoice) differs() bool { return !slices.Equal(c.chosen(), c.was) }

func (c *protocolChoice) draw() {
	if c.filling {
		return
	}
	list := c.chosen()
	c.note.mark(lowImportance)
	if len(list) == 0 {
		c.note.mark(bad.importance())
	}
	c.note.set(consentNote(c.prospect, list, c.was))
	show(c.note, c.note.Text != "")
	c.changed()
}

// consentNote says what the provider will ask for, for an account that is to do list.
func consentNote(p api.Preflight, list, was []api.Protocol) string {
	name := values{"Provider": clean(p.Name)}
	begins := func(protocol api.Protocol) bool {
		return slices.Contains(list, protocol) && !slices.Contains(was, protocol)
	}
	reads := slices.ContainsFunc(list, api.Protocol.Reads)
	reading := begins(api.IMAP) || begins(api.POP)
	switch {
	case len(list) == 0:
		return tr("Choose at least one.")
	case was != nil && !reading && !begins(api.SMTP):
		return only(len(list) < len(was), tr("Mail programs can no longer use what you switch off. They are disconnected."))
	case p.NoSignIn:
		return only(reads, tr("An administrator must have allowed this program to read mail."))
	case !p.ReadingScopes && was != nil:
		return tr("You don’t have to sign in again: your sign-in covers sending and reading.")
	case !p.ReadingScopes:
		return tr("Your sign-in at {{.Provider}} covers sending and reading. You can change this later without signing in again.", name)
	case was != nil:
		return tr("{{.Provider}} will ask you to sign in and to allow this. In an organisation, an administrator may have to agree first. Until then, everything stays as it is.", name)
	case reads:
		return tr("{{.Provider}} will ask you to allow reading too. In an organisation, an administrator may have to agree first.", name)
	}
	return tr("{{.Provider}} will only ask you to allow sending. You can add reading later; you then sign in again.", name)
}

// askProtocols asks what an account is to do, and changes it.
func (w *window) askProtocols(a api.AccountStatus, p api.Preflight, suggested []api.Protocol) {
	var choice *protocolChoice
	no := w.kit.button(tr("Cancel"), nil, func() { w.closeOverlays() })
	do := w.kit.primary(tr("Change"), nil, func() {
		to := choice.chosen()
		w.closeOverlays()
		w.changeProtocols(a.Address, to, p)
	})
	choice = newProtocolChoice(w.kit, func() {
		do.enable(choice.differs() && len(choice.chosen()) > 0)
		w.settleDialog()
	})
	choice.offer(p, suggested, doesOf(a))
	w.dialog(no, newHeading(tr("What should this account do?")), choice.root, newActions(no, do))
}

// changeProtocols has the engine change what an account does. The page of a sign-in follows it, since
// the provider may ask for one.
func (w *window) changeProtocols(address string, to []api.Protocol, p api.Preflight) {
	page := w.pages["add"].(*add)
	page.next = &protocolChange{to, p}
	w.show(Page{Name: "add", Account: address})
}

// doesOf is what an account does.
func doesOf(a api.AccountStatus) []api.Protocol {
	if len(a.Protocols) == 0 {
		return []api.Protocol{api.SMTP}
	}
	return a.Protocols
}

// withIMAP is what an account does, and IMAP, or POP where there is no IMAP.
func withIMAP(does []api.Protocol, p api.Preflight) []api.Protocol {
	if slices.ContainsFunc(does, api.Protocol.Reads) {
		return does
	}
	if p.Offers(api.IMAP) {
		return append(slices.Clone(does), api.IMAP)
	}
	return append(slices.Clone(does), api.POP)
}

// doing is the part of an account's page that shows what the account does, how that is going, and
// what else it could do.
type doing struct {
	root   *fyne.Container
	card   *fyne.Container
	lines  map[api.Protocol]*doingLine
	invite *fyne.Container // to read too, while the account only sends
	change *button
	ask    *button // in invite

	w        *window
	status   api.AccountStatus
	prospect api.Preflight
	asked    bool // the engine has answered what the provider offers
}

// doingLine is one protocol.
type doingLine struct {
	root    *fyne.Container
	state   badge
	facts   *text
	trouble *notice
}

func newDoing(w *window) *doing {
	d := &doing{w: w, lines: map[api.Protocol]*doingLine{}}
	list := newColumn(12)
	names := map[api.Protocol]string{api.SMTP: tr("Sends mail"), api.IMAP: tr("Reads mail with IMAP"), api.POP: tr("Reads mail with POP")}
	for _, p := range api.Protocols {
		l := &doingLine{state: newBadge(), facts: newMuted(""), trouble: newNotice(w)}
		name := newText(names[p], kind{bold: true})
		l.root = newColumn(6, newColumn(2, newLine(8, nil, name, l.state.Container), l.facts), l.trouble.Container)
		d.lines[p] = l
		list.Add(l.root)
	}
	d.change = w.kit.button(tr("Change…"), theme.SettingsIcon(), func() { w.askProtocols(d.status, d.prospect, doesOf(d.status)) })
	d.card = newCard(newColumn(14, newSplit(newHeading(tr("What this account does")), newFlow(8, d.change), func() float32 { return 200 }), list)).Container
	d.ask = w.kit.quiet(tr("Read mail too…"), theme.DownloadIcon(), func() {
		w.askProtocols(d.status, d.prospect, withIMAP(doesOf(d.status), d.prospect))
	})
	d.invite = padded(-8, 0, newFlow(8, d.ask))
	d.root = newColumn(0, d.card, d.invite)
	return d
}

// begin forgets the last account.
func (d *doing) begin() { d.prospect, d.asked = api.Preflight{}, false }

// knows is called with what the account's provider offers.
func (d *doing) knows(p api.Preflight) { d.prospect, d.asked = p, true }

// draw shows an account. above is the page's own notice, which says what affects all of it.
func (d *doing) draw(a api.AccountStatus, above *notice) {
	d.status = a
	now := d.w.now()
	reads := a.Reads()
	show(d.card, reads)
	show(d.invite, !reads && readable(d.prospect))
	show(d.root, reads || d.invite.Visible())
	send := d.lines[api.SMTP]
	show(send.root, a.Sends())
	send.state.set(stateWord(a.State), moodOf(a.State))
	send.facts.set(joined(sentToday(a), lastMinute(a), lastMessage(a, now)))
	send.trouble.tell(explained{})
	for _, p := range []api.Protocol{api.IMAP, api.POP} {
		i := slices.IndexFunc(a.Reading, func(r api.ReadStatus) bool { return r.Protocol == p })
		l := d.lines[p]
		if show(l.root, i >= 0); i < 0 {
			continue
		}
		r := a.Reading[i]
		l.state.set(stateWord(r.State), moodOf(r.State))
		l.facts.set(readFacts(r, now))
		l.trouble.tell(readTrouble(a, r))
		l.trouble.unless(above)
	}
}

package ui

import (
	"context"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// addWait is the second step: the provider's page is open, and each stage is
// shown as it ends.
type addWait struct {
	a      *add
	root   *fyne.Container
	where  *text
	checks *checks
	until  *text
	link   *fyne.Container
	device *deviceCode
	errors *pageErrors
	notice *notice
	retry  *button
	other  *button
	cancel *button
	finish *button

	to       api.ConsentRequest
	prospect api.Preflight
	url      string // the provider's page
	running  bool   // it follows a sign-in
	joined   bool   // that somebody else has begun, with a browser
}

func newAddWait(a *add) *addWait {
	k := a.w.kit
	s := &addWait{a: a, checks: newChecks(a.w), device: newDeviceCode(a.w), where: newText("", kind{bold: true, single: true}), until: newCaption("")}
	s.link = newFlow(8,
		k.button(tr("Open browser"), theme.LoginIcon(), func() { s.browse() }),
		a.w.copyButton(tr("Copy link"), "", func() string { return s.url }))
	s.retry = k.primary(tr("Try again"), theme.ViewRefreshIcon(), func() { s.run(s.to.Device) })
	s.other = k.button(tr("Sign in on another device"), nil, func() { s.run(true) })
	s.errors = newPageErrors(a.w, func() api.Account { return s.to.Account })
	s.notice = newNotice(a.w)
	s.cancel = k.button(tr("Cancel"), nil, func() { s.stop() })
	s.finish = k.button(tr("Show settings"), nil, func() { s.done() })
	card := newCard(newColumn(16, s.where, s.checks.root, s.device.root, s.link, s.until, s.notice.Container, s.errors.root))
	s.root = newColumn(16, card.Container, newActions(s.cancel, s.other, s.finish, s.retry))
	return s
}

// begin starts a sign-in, or joins the one that is going on for this account.
func (s *addWait) begin(to api.ConsentRequest, p api.Preflight) {
	s.to, s.prospect = to, p
	s.to.Window = true
	s.where.set(clean(to.Account.Address))
	s.run(to.Device)
}

// follows reports whether it follows the sign-in of an account.
func (s *addWait) follows(address string) bool {
	return s.running && address != "" && strings.EqualFold(s.to.Account.Address, address)
}

func (s *addWait) run(device bool) {
	w := s.a.w
	s.to.Device, s.joined, s.running = device, false, true
	s.checks.clear()
	s.checks.wait(tr("Connecting to the provider…"))
	s.notice.say("", "")
	s.device.root.Hide()
	s.link.Hide()
	s.until.set("")
	s.until.Hide()
	s.errors.close()
	s.errors.root.Hide()
	s.retry.Hide()
	s.other.Hide()
	s.finish.Hide()
	s.cancel.SetText(tr("Cancel"))
	w.settle()
	w.win.Canvas().Focus(nil) // Enter must not cancel
	to, ctx := s.to, s.a.under()
	w.work.start(ctx, func(ctx context.Context, screen func(func())) {
		consented, err := w.backend.Authorize(ctx, to, func(p api.Prompt) { screen(func() { s.prompt(p) }) })
		screen(func() {
			s.running = false
			if err != nil {
				s.failed(consented, err)
				return
			}
			s.done()
		})
	})
}

// stop cancels the sign-in. The engine removes an account that was added for it; another try
// waits for that.
func (s *addWait) stop() {
	s.a.stop()
	if s.running {
		s.running = false
		w, address := s.a.w, s.to.Account.Address
		w.inBackground(func(ctx ctx) error { return w.backend.CancelSignIn(ctx, address) }, w.frame.banners.fail)
	}
	s.a.back()
}

// prompt shows what the engine asks to show.
func (s *addWait) prompt(p api.Prompt) {
	switch {
	case p.Joined:
		s.joined = true
	case p.URL != "":
		s.url = p.URL
		s.link.Show()
		s.errors.root.Show()
		s.checks.wait(tr("Waiting for you to sign in in the browser…"))
		if !s.joined {
			s.browse()
		}
	case p.Device != nil:
		s.device.show(*p.Device)
		s.errors.root.Show()
		s.checks.wait(tr("Waiting for you to sign in on the other device…"))
	case p.Check != nil:
		s.link.Hide()
		s.device.root.Hide()
		show(s.errors.root, s.errors.root.Visible() && !p.Check.OK)
		s.checks.add(*p.Check)
		s.checks.wait(only(p.Check.OK, s.checking()))
	}
	if show(s.until, !p.Ends.IsZero()) {
		s.until.set(tr("Waxseal waits until {{.Time}}. You can look at other pages or close this window in the meantime.",
			values{"Time": p.Ends.In(s.a.w.now().Location()).Format("15:04")}))
	}
	s.a.w.settle()
}

// checking says what is checked after the approval.
func (s *addWait) checking() string {
	if slices.ContainsFunc(slices.Concat(s.to.Account.Protocols, s.to.Protocols), api.Protocol.Reads) {
		return tr("Checking that mail programs can use the account…")
	}
	return tr("Checking that mail can be sent…")
}

// browse opens the provider's page. Without a browser, the link stays to be copied.
func (s *addWait) browse() {
	if err := s.a.w.open(s.url); err != nil {
		s.notice.say(tr("The browser could not be opened."), tr("Copy the link and open it on this computer."))
	}
}

func (s *addWait) failed(consented bool, err error) {
	s.checks.wait("")
	s.link.Hide()
	s.until.Hide()
	s.device.root.Hide()
	e := s.a.w.explain(err)
	if said(s.checks.all, e.words) { // the last check says it already
		e = explained{words: tr("That didn’t work.")}
	}
	s.notice.say(e.words, e.cure) // this page has its own buttons
	s.cancel.SetText(tr("Back"))  // to what was entered
	s.retry.Show()
	show(s.other, !s.to.Device && s.prospect.Device && !consented)
	show(s.finish, consented)
	s.a.w.settle()
	if s.a.w.current == page(s.a) {
		s.a.w.win.Canvas().Focus(s.retry)
	}
}

func said(list []api.Check, words string) bool {
	for _, c := range list {
		if checkResult(c).words == words {
			return true
		}
	}
	return false
}

// done goes on to the settings for the mail program.
func (s *addWait) done() {
	s.checks.wait("")
	changed := s.to.Protocols
	s.to = api.ConsentRequest{Account: s.to.Account} // the secret is in the keystore now
	s.a.who.clear()
	s.a.w.show(Page{Name: "setup", Account: s.to.Account.Address})
	s.a.w.pages["setup"].(*setup).welcome(s.a.again != "", changed...)
}

// deviceCode is a code that is entered on another device (RFC 8628).
type deviceCode struct {
	root    *fyne.Container
	code    *text
	address *text
	picture *qrPicture
	value   api.DeviceCode
}

func newDeviceCode(w *window) *deviceCode {
	d := &deviceCode{picture: newQR()}
	d.code = newText("", kind{size: sizeCode, bold: true, mono: true, centred: true})
	d.address = newText("", kind{centred: true, bold: true})
	copies := newFlow(8,
		w.copyButton(tr("Copy code"), "", func() string { return d.value.UserCode }),
		w.copyButton(tr("Copy address"), "", func() string { return d.value.VerificationURL }))
	d.root = newColumn(10,
		newText(tr("On any device with a browser, go to"), kind{centred: true, muted: lowImportance}), d.address,
		newText(tr("and enter this code:"), kind{centred: true, muted: lowImportance}), d.code,
		centredFlow(copies), centred(d.picture))
	d.root.Hide()
	return d
}

func (d *deviceCode) show(c api.DeviceCode) {
	d.value = c
	d.code.set(clean(c.UserCode))
	d.address.set(clean(c.VerificationURL))
	page := c.VerificationURLComplete
	if page == "" {
		page = c.VerificationURL
	}
	show(d.picture, d.picture.set(page))
	d.root.Show()
}

// centredFlow is a line in the middle.
func centredFlow(c *fyne.Container) *fyne.Container {
	f := c.Layout.(*flow)
	f.centre = true
	return c
}

package ui

import (
	"context"
	"strings"
	"time"

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
	link   *fyne.Container
	device *deviceCode
	notice *notice
	retry  *button
	other  *button
	cancel *button
	finish *button

	account  api.Account
	prospect api.Preflight
	secret   string
	byCode   bool
	url      string          // the provider's page
	tried    map[string]bool // accounts that this page added and that can't send yet
	before   chan struct{}   // closed when the previous attempt has ended
}

func newAddWait(a *add) *addWait {
	k := a.w.kit
	s := &addWait{a: a, tried: map[string]bool{}, checks: newChecks(a.w), device: newDeviceCode(a.w), where: newText("", kind{bold: true, single: true})}
	s.link = newFlow(8,
		k.button(tr("Open browser"), theme.LoginIcon(), func() { s.browse() }),
		a.w.copyButton(tr("Copy link"), "", func() string { return s.url }))
	s.retry = k.primary(tr("Try again"), theme.ViewRefreshIcon(), func() { s.run(s.byCode) })
	s.other = k.button(tr("Sign in on another device"), nil, func() { s.run(true) })
	s.notice = newNotice(a.w)
	s.cancel = k.button(tr("Cancel"), nil, func() { s.a.back() })
	s.finish = k.button(tr("Show settings"), nil, func() { s.done() })
	card := newCard(newColumn(16, s.where, s.checks.root, s.device.root, s.link, s.notice.Container))
	s.root = newColumn(16, card.Container, newActions(s.cancel, s.other, s.finish, s.retry))
	return s
}

// begin adds an account, unless it exists, and starts the sign-in.
func (s *addWait) begin(account api.Account, p api.Preflight, secret string, device bool) {
	s.account, s.prospect, s.secret = account, p, secret
	s.where.set(clean(account.Address))
	s.run(device)
}

// removeTimeout limits the cleaning up after a cancelled sign-in.
const removeTimeout = 10 * time.Second

// exists reports whether the account existed before this page added it.
func (s *addWait) exists() bool {
	if s.tried[s.account.Address] {
		return false
	}
	for _, a := range s.a.w.view.snapshot.Accounts {
		if strings.EqualFold(a.Address, s.account.Address) {
			return true
		}
	}
	return s.a.again != ""
}

func (s *addWait) run(device bool) {
	w := s.a.w
	s.byCode = device
	s.checks.clear()
	s.checks.wait(tr("Connecting to the provider…"))
	s.notice.say("", "")
	s.device.root.Hide()
	s.link.Hide()
	s.retry.Hide()
	s.other.Hide()
	s.finish.Hide()
	s.cancel.Show()
	w.settle()
	w.win.Canvas().Focus(s.cancel)
	job := authorization{account: s.account, secret: s.secret, exists: s.exists(), device: device, before: s.before, done: make(chan struct{})}
	s.before = job.done
	if !job.exists {
		s.tried[job.account.Address] = true
	}
	w.work.start(s.a.under(), func(ctx context.Context, screen func(func())) { s.authorize(ctx, screen, job) })
}

// authorization is one attempt to sign in.
type authorization struct {
	account        api.Account
	secret         string
	exists, device bool
	before, done   chan struct{}
}

// authorize runs in the background. It removes an account that it added and that
// nobody signed in to, even after a cancellation; the next attempt waits for that.
func (s *addWait) authorize(ctx context.Context, screen func(func()), job authorization) {
	defer close(job.done)
	if job.before != nil {
		<-job.before
	}
	if ctx.Err() != nil {
		return
	}
	b, address := s.a.w.backend, job.account.Address
	if !job.exists {
		if _, err := b.Add(ctx, job.account, job.secret); err != nil {
			screen(func() { s.failed(false, err) })
			return
		}
	}
	consented, err := b.Authorize(ctx, address, job.device, func(p api.Prompt) {
		screen(func() { s.prompt(p) })
	})
	if !consented && !job.exists {
		rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		b.Remove(rest, address) // it was never able to send
		cancel()
	}
	screen(func() {
		if consented {
			delete(s.tried, address)
		}
		if err != nil {
			s.failed(consented, err)
			return
		}
		s.done()
	})
}

// prompt shows what the engine asks to show.
func (s *addWait) prompt(p api.Prompt) {
	switch {
	case p.URL != "":
		s.url = p.URL
		s.link.Show()
		s.checks.wait(tr("Waiting for you to sign in in the browser…"))
		s.browse()
	case p.Device != nil:
		s.device.show(*p.Device)
		s.checks.wait(tr("Waiting for you to sign in on the other device…"))
	case p.Check != nil:
		s.link.Hide()
		s.device.root.Hide()
		s.checks.add(*p.Check)
		s.checks.wait(only(p.Check.OK, tr("Checking that mail can be sent…")))
	}
	s.a.w.settle()
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
	s.device.root.Hide()
	e := s.a.w.explain(err)
	if said(s.checks.all, e.words) { // the last check says it already
		e = explained{words: tr("That didn’t work.")}
	}
	s.notice.say(e.words, e.cure) // this page has its own buttons
	s.retry.Show()
	show(s.other, !s.byCode && s.prospect.Device && !consented)
	show(s.finish, consented)
	s.a.w.settle()
	s.a.w.win.Canvas().Focus(s.retry)
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
	s.a.w.show(Page{Name: "setup", Account: s.account.Address})
	s.a.w.pages["setup"].(*setup).welcome(s.a.again != "")
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

package ui

import (
	"context"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy"
)

// add is the way to an account: its address, the provider's page in the
// browser, done. It signs an account in again too, from the second step on.
type add struct {
	w      *window
	scroll *scroll
	title  *text
	steps  *fyne.Container
	who    *addWho
	wait   *addWait

	again  string             // the account that is signed in again
	cancel context.CancelFunc // of what is under way, nil when nothing is
}

// patience is how long typing rests before the provider is looked for.
var patience = 300 * time.Millisecond

func newAdd(w *window) *add {
	a := &add{w: w}
	a.title = newTitle("")
	a.who, a.wait = newAddWho(a), newAddWait(a)
	a.steps = newColumn(0, a.who.root, a.wait.root)
	back := w.kit.quiet(tr("Back"), theme.NavigateBackIcon(), func() { w.otherKey(&fyne.KeyEvent{Name: fyne.KeyEscape}) })
	a.scroll = newScroll(560, newColumn(16, newLine(0, []fyne.CanvasObject{padded(-8, 0, back)}, newBody("")), a.title, a.steps))
	return a
}

func (a *add) root() fyne.CanvasObject { return a.scroll.Container }
func (a *add) scroller() *scroll       { return a.scroll }
func (a *add) draw(view)               {}
func (a *add) leave()                  { a.stop() }

// begin chooses the first step: for an account that there is already, the
// browser.
func (a *add) begin(address string) {
	a.stop()
	a.again = address
	show(a.who.root, address == "")
	show(a.wait.root, address != "")
	a.title.set(tr("Add an account"))
	a.who.clear()
	if address != "" {
		a.title.set(tr("Sign in again"))
	}
}

func (a *add) enter() {
	if a.again == "" {
		a.w.win.Canvas().Focus(a.who.address)
		return
	}
	a.wait.begin(proxy.Account{Address: a.again}, proxy.Provider{}, "", false)
}

// escape goes one step back, and tells whether there was one.
func (a *add) escape() bool {
	if a.wait.root.Visible() && a.again == "" {
		a.back()
		return true
	}
	return false
}

// back goes from the browser back to the address.
func (a *add) back() {
	a.stop()
	if a.again != "" {
		a.w.show(Page{})
		return
	}
	a.wait.root.Hide()
	a.who.root.Show()
	a.w.settle()
	a.w.win.Canvas().Focus(a.who.address)
}

// stop ends what is under way.
func (a *add) stop() {
	if a.cancel != nil {
		a.cancel()
		a.cancel = nil
	}
}

// under gives a context for something that begins now and ends what was before.
func (a *add) under() ctx {
	a.stop()
	ctx, cancel := context.WithCancel(a.w.work.ctx)
	a.cancel = cancel
	return ctx
}

// addWho is the first step: whose account, and at which provider.
type addWho struct {
	a        *add
	root     *fyne.Container
	address  *entry
	field    field
	found    *fyne.Container // the provider's name
	name     *text
	note     *text
	choice   *choice
	choose   *fyne.Container
	instead  *notice // what to do where there is no OAuth
	register *register
	next     *button
	code     *button

	provider  proxy.Provider // what was found or chosen; no ID while there is none
	providers []proxy.Provider
}

func newAddWho(a *add) *addWho {
	k := a.w.kit
	s := &addWho{a: a, register: newRegister(a.w)}
	s.address = k.entry(tr("you@example.com"), func(string) { s.typed() })
	s.address.OnSubmitted = func(string) { s.submit() }
	s.field = newField(tr("Mail address"), tr("The provider is found from it."), s.address)
	s.name = newText("", kind{bold: true})
	s.note = newCaption("")
	s.found = newStack(newSheet(colorGoodTint, colorNone, 10), padded(14, 12,
		newLine(10, []fyne.CanvasObject{newSymbol(theme.NewSuccessThemedResource(theme.ConfirmIcon()), 20)}, newColumn(2, s.name, s.note))))
	s.choice = k.choice(nil, func(name string) { s.chosen(name) })
	s.choice.PlaceHolder = tr("Choose a provider")
	s.choose = newField(tr("Provider"), tr("None is known for this address. Choose whose mail service it is."), s.choice.framed()).Container
	s.instead = newNotice()
	s.register.id.OnChanged = func(string) { s.ready() }
	s.register.id.OnSubmitted = func(string) { s.submit() }
	s.register.secret.OnSubmitted = func(string) { s.submit() }
	s.next = k.primary(tr("Open browser"), theme.LoginIcon(), func() { s.submit() })
	s.code = k.quiet(tr("Use a code on another device"), nil, func() { s.proceed(true) })
	s.root = newColumn(16,
		newMuted(tr("You sign in on your provider’s own page. Waxseal never sees your password there.")),
		s.field.Container, s.found, s.choose, s.instead.Container, s.register.root,
		newActions(s.code, s.next))
	s.clear()
	return s
}

func (s *addWho) clear() {
	s.address.SetText("")
	s.offer(proxy.Provider{})
	show(s.choose, false)
	s.field.refuse("")
	s.register.clear()
	s.ready()
}

// typed looks for the provider when typing has rested.
func (s *addWho) typed() {
	address := strings.TrimSpace(s.address.Text)
	s.offer(proxy.Provider{})
	show(s.choose, false)
	s.field.refuse("")
	ctx := s.a.under()
	if !complete(address) {
		s.ready()
		return
	}
	s.a.w.work.after(ctx, patience, func() { s.recognise(ctx, address) })
}

func (s *addWho) recognise(ctx ctx, address string) {
	w := s.a.w
	ask(w.work, ctx, func(ctx context.Context) (proxy.Provider, error) { return w.backend.Recognise(ctx, address) },
		func(p proxy.Provider, err error) {
			if err != nil {
				s.list(ctx)
				return
			}
			s.offer(p)
			w.settle()
		})
}

// list lets a person choose where nothing was recognised.
func (s *addWho) list(ctx ctx) {
	w := s.a.w
	ask(w.work, ctx, w.backend.Providers, func(list []proxy.Provider, err error) {
		if err != nil {
			words, _ := w.explain(err)
			s.field.refuse(words)
			w.settle()
			return
		}
		s.providers = list
		s.choice.Options = s.choice.Options[:0]
		for _, p := range list {
			s.choice.Options = append(s.choice.Options, clean(p.Name))
		}
		s.choice.ClearSelected()
		show(s.choose, true)
		s.ready()
		w.settle()
	})
}

func (s *addWho) chosen(name string) {
	for _, p := range s.providers {
		if clean(p.Name) == name {
			s.offer(p)
			s.found.Hide() // its name stands in the list
			s.a.w.settle()
			return
		}
	}
}

// offer shows a provider and what it needs; one without an ID shows nothing.
func (s *addWho) offer(p proxy.Provider) {
	s.provider = p
	none := p.ID == ""
	s.name.set(clean(p.Name))
	s.note.set(clean(p.SMTP))
	show(s.found, !none && p.NoOAuth == "")
	s.instead.say(only(p.NoOAuth != "", tr("{{.Name}} does not offer this way of signing in", values{"Name": clean(p.Name)})), sentence(p.NoOAuth))
	s.register.show(p)
	show(s.code, !none && p.DeviceURL != "" && p.NoOAuth == "")
	s.next.SetText(tr("Open browser"))
	if p.Grant != "" {
		s.next.SetText(tr("Connect"))
	}
	s.ready()
}

// ready lets go on where there is all that is needed.
func (s *addWho) ready() {
	ok := s.provider.ID != "" && s.provider.NoOAuth == "" && s.register.complete()
	s.next.enable(ok)
	s.code.enable(ok)
}

func (s *addWho) submit() {
	address := strings.TrimSpace(s.address.Text)
	switch {
	case !complete(address):
		s.field.refuse(tr("Enter a whole mail address, like you@example.com."))
		s.a.w.settle()
	case !s.next.Disabled():
		s.proceed(false)
	}
}

func (s *addWho) proceed(device bool) {
	account := proxy.Account{Address: strings.TrimSpace(s.address.Text), Provider: s.provider.ID}
	secret := ""
	if s.register.root.Visible() {
		account.ClientID = strings.TrimSpace(s.register.id.Text)
		secret = strings.TrimSpace(s.register.secret.Text)
	}
	s.root.Hide()
	s.a.wait.root.Show()
	s.a.wait.begin(account, s.provider, secret, device)
}

// complete reports whether an address looks like a whole one.
func complete(address string) bool {
	local, domain, ok := strings.Cut(address, "@")
	dot := strings.LastIndexByte(domain, '.')
	return ok && local != "" && !strings.ContainsAny(address, " \t,;<>") && dot > 0 && len(domain)-dot > 2
}

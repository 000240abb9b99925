package ui

import (
	"context"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// add is the page that adds an account: first its address, then the provider's page in
// the browser. The second step alone signs an existing account in again.
//
// A sign-in goes on while other pages are shown, and after the window was closed. What was
// typed stays until the account has been added.
type add struct {
	w      *window
	scroll *scroll
	title  *text
	steps  *fyne.Container
	who    *addWho
	wait   *addWait

	again  string             // the account that is signed in again
	change *protocolChange    // what that account is to do from then on, if that changes
	next   *protocolChange    // becomes change when the page begins
	cancel context.CancelFunc // of what this page asks the engine for; nil if nothing
}

// protocolChange is what an account that is there is to do, and its provider.
type protocolChange struct {
	to       []api.Protocol
	prospect api.Preflight
}

// patience is how long after the last key the provider is looked for.
var patience = 300 * time.Millisecond

func newAdd(w *window) *add {
	a := &add{w: w}
	a.title = newTitle("")
	a.who, a.wait = newAddWho(a), newAddWait(a)
	a.steps = newColumn(0, a.who.root, a.wait.root)
	a.scroll = newScroll(560, newColumn(16, w.kit.back(func() { w.otherKey(&fyne.KeyEvent{Name: fyne.KeyEscape}) }), a.title, a.steps))
	return a
}

func (a *add) root() fyne.CanvasObject { return a.scroll.Container }
func (a *add) scroller() *scroll       { return a.scroll }
func (a *add) draw(view)               {}

func (a *add) leave() {
	if !a.wait.running {
		a.stop()
	}
}

// drop takes the provider's file while one is asked for.
func (a *add) drop(files []fyne.URI) {
	if a.who.root.Visible() && a.who.register.root.Visible() {
		a.who.register.file.drop(files)
	}
}

// begin chooses the first step. For an existing account that is the browser. A sign-in that
// is going on stays.
func (a *add) begin(address string) {
	change := a.next
	a.next = nil
	if a.wait.running && address == "" || a.wait.follows(address) {
		return
	}
	a.stop()
	a.wait.running = false
	a.again, a.change = address, change
	show(a.who.root, address == "")
	show(a.wait.root, address != "")
	a.title.set(tr("Add an account"))
	switch {
	case change != nil:
		a.title.set(tr("Change what the account does"))
	case address != "":
		a.title.set(tr("Sign in again"))
	}
}

func (a *add) enter() {
	switch {
	case a.wait.running:
	case a.again == "":
		a.w.win.Canvas().Focus(a.who.address)
		a.who.lookAgain()
	case a.change != nil:
		a.wait.begin(api.ConsentRequest{Account: api.Account{Address: a.again}, Protocols: a.change.to}, a.change.prospect)
	default:
		a.wait.begin(api.ConsentRequest{Account: api.Account{Address: a.again}}, api.Preflight{})
	}
}

// escape cancels the sign-in, or goes one step back, and reports whether there was one.
func (a *add) escape() bool {
	switch {
	case a.wait.running:
		a.wait.stop()
		return true
	case a.wait.root.Visible() && a.again == "":
		a.back()
		return true
	}
	return false
}

// back returns from the browser to the address.
func (a *add) back() {
	a.stop()
	switch {
	case a.change != nil:
		a.w.show(Page{Name: "setup", Account: a.again})
		return
	case a.again != "":
		a.w.show(Page{})
		return
	}
	a.wait.root.Hide()
	a.who.root.Show()
	a.w.settle()
	a.w.win.Canvas().Focus(a.who.address)
}

// stop ends what this page asks for. A sign-in goes on; addWait.stop cancels it.
func (a *add) stop() {
	if a.cancel != nil {
		a.cancel()
		a.cancel = nil
	}
}

// under returns a context for something that starts now, and cancels what ran before.
func (a *add) under() ctx {
	a.stop()
	ctx, cancel := context.WithCancel(a.w.work.ctx)
	a.cancel = cancel
	return ctx
}

// addWho is the first step: the address and the provider.
type addWho struct {
	a        *add
	root     *fyne.Container
	address  *entry
	field    field
	found    *fyne.Container // the provider's name
	name     *text
	there    *text
	choice   *choice
	choose   *fyne.Container
	instead  *notice // why it cannot be added, and what to do instead
	shared   *button // asks who signs in
	sharing  *fyne.Container
	login    *entry
	signer   field
	does     *protocolChoice
	register *register
	next     *button
	code     *button

	prospect api.Preflight // of the provider that was found or chosen, if any
	choices  []api.Choice
}

func newAddWho(a *add) *addWho {
	k := a.w.kit
	s := &addWho{a: a, register: newRegister(a.w)}
	s.address = k.entry(tr("you@example.com"), func(string) { s.typed() })
	s.address.OnSubmitted = func(string) { s.submit() }
	s.field = newField(tr("Email address"), tr("Waxseal finds your provider from the address."), s.address)
	s.name = newText("", kind{bold: true})
	s.there = newCaption(tr("This account already exists. You will sign in again."))
	s.found = newStack(newSheet(colorGoodTint, colorNone, 10), padded(14, 12,
		newLine(10, []fyne.CanvasObject{newSymbol(theme.NewSuccessThemedResource(theme.ConfirmIcon()), 20)}, newColumn(2, s.name, s.there))))
	s.choice = k.choice(nil, func(name string) { s.chosen(name) })
	s.choice.PlaceHolder = tr("Choose a provider")
	s.choose = newColumn(8, newField(tr("Provider"), tr("We couldn’t detect the provider. Choose who hosts this mailbox."), s.choice.framed()).Container,
		padded(-8, 0, newFlow(8, k.quiet(tr("Another provider…"), nil, func() { a.w.show(Page{Name: "provider"}) }))))
	s.shared = k.quiet(tr("Shared mailbox or alias?"), nil, func() {
		s.askLogin(true)
		a.w.win.Canvas().Focus(s.login)
	})
	s.sharing = padded(-8, 0, newFlow(8, s.shared))
	s.login = k.entry(tr("you@example.com"), func(string) { s.signer.refuse("") })
	s.login.OnSubmitted = func(string) { s.submit() }
	s.signer = newField(tr("Who signs in"), tr("The user who may use the mailbox above, if that is another one."), s.login)
	s.instead = newNotice(a.w)
	s.does = newProtocolChoice(k, func() {
		s.ready()
		a.w.settle()
	})
	for _, e := range []*entry{s.register.id, s.register.secret} {
		e.OnChanged = func(string) {
			s.register.file.paste(e)
			s.ready()
		}
	}
	s.register.id.OnSubmitted = func(string) { s.submit() }
	s.register.secret.OnSubmitted = func(string) { s.submit() }
	s.register.tenant.OnSubmitted = func(string) { s.submit() }
	s.next = k.primary(tr("Sign in"), theme.LoginIcon(), func() { s.submit() })
	s.code = k.quiet(tr("Sign in on another device"), nil, func() { s.proceed(true) })
	s.root = newColumn(16,
		newMuted(tr("You sign in on your provider’s own page. Waxseal never sees that password.")),
		s.field.Container, s.found, s.choose, s.instead.Container, s.does.root, s.sharing, s.signer.Container, s.register.root,
		newActions(s.code, s.next),
		padded(-8, 0, newFlow(8, k.quiet(tr("Import from email-oauth2-proxy…"), nil, func() { a.w.show(Page{Name: "import"}) }))))
	s.clear()
	return s
}

func (s *addWho) clear() {
	s.address.SetText("")
	s.login.SetText("")
	s.askLogin(false)
	s.forget()
	s.register.clear()
}

// forget hides everything that was found out about an address.
func (s *addWho) forget() {
	s.does.offer(api.Preflight{}, nil, nil)
	s.offer(api.Preflight{})
	s.choose.Hide()
	s.instead.say("", "")
	s.field.refuse("")
}

// lookAgain looks for the provider of an address that was typed before another page was shown.
func (s *addWho) lookAgain() {
	account := api.Account{Address: strings.TrimSpace(s.address.Text)}
	if !complete(account.Address) {
		return
	}
	if s.choose.Visible() {
		account.Provider = s.prospect.Provider
	}
	s.look(s.a.under(), account)
}

// typed looks for the provider once typing has paused.
func (s *addWho) typed() {
	s.forget()
	ctx := s.a.under()
	if address := strings.TrimSpace(s.address.Text); complete(address) {
		s.a.w.work.after(ctx, patience, func() { s.look(ctx, api.Account{Address: address}) })
	}
}

// look asks what adding the account requires.
func (s *addWho) look(ctx ctx, account api.Account) {
	w := s.a.w
	ask(w.work, ctx, func(ctx context.Context) (api.Preflight, error) { return w.backend.Preflight(ctx, account) },
		func(p api.Preflight, err error) {
			switch {
			case err != nil:
				s.instead.say(tr("This account can’t be added"), w.explain(err).text())
			case p.Provider == "":
				s.list(p.Choices)
			default:
				s.offer(p)
			}
			show(s.found, s.prospect.Provider != "" && !s.choose.Visible()) // otherwise its name is in the list
			w.settle()
		})
}

// list offers the providers to choose from when none was detected.
func (s *addWho) list(choices []api.Choice) {
	s.choices = choices
	s.choice.Options = s.choice.Options[:0]
	for _, c := range choices {
		s.choice.Options = append(s.choice.Options, clean(c.Name))
	}
	s.choice.ClearSelected()
	s.choose.Show()
}

func (s *addWho) chosen(name string) {
	for _, c := range s.choices {
		if clean(c.Name) == name {
			s.offer(api.Preflight{})
			s.instead.say("", "")
			s.look(s.a.under(), api.Account{Address: strings.TrimSpace(s.address.Text), Provider: c.ID})
			return
		}
	}
}

// offer shows a provider and what it requires. One without an ID shows nothing.
func (s *addWho) offer(p api.Preflight) {
	s.prospect = p
	s.name.set(clean(p.Name))
	show(s.there, p.There)
	show(s.found, p.Provider != "")
	s.register.show(p)
	show(s.code, p.Device)
	does := s.does.chosen()
	if len(does) == 0 {
		does = []api.Protocol{api.SMTP}
	}
	s.does.offer(p, does, nil)
	show(s.does.root, s.does.possible() && !p.There)
	s.askLogin(s.signer.Visible())
	switch {
	case p.NoSignIn:
		s.next.SetText(tr("Connect"))
	case p.Provider != "":
		s.next.SetText(tr("Sign in with {{.Provider}}", values{"Provider": clean(p.Name)}))
	default:
		s.next.SetText(tr("Sign in"))
	}
	s.ready()
}

// askLogin asks who signs in, or offers to ask. Where nobody signs in, there is nothing to ask.
func (s *addWho) askLogin(ask bool) {
	some := s.prospect.Provider != "" && !s.prospect.NoSignIn
	show(s.signer.Container, some && (ask || s.login.Text != ""))
	show(s.sharing, some && !s.signer.Visible())
	s.a.w.settle()
}

// ready enables the next step once everything required is entered.
func (s *addWho) ready() {
	ok := s.prospect.Provider != "" && s.register.complete() && len(s.does.chosen()) > 0
	s.next.enable(ok)
	s.code.enable(ok)
}

func (s *addWho) submit() {
	address := strings.TrimSpace(s.address.Text)
	switch {
	case !complete(address):
		s.field.refuse(tr("Enter a full email address, like you@example.com."))
		s.a.w.settle()
	case !s.next.Disabled():
		s.proceed(false)
	}
}

func (s *addWho) proceed(device bool) {
	login := ""
	if s.signer.Visible() {
		login = strings.TrimSpace(s.login.Text)
	}
	if login != "" && !complete(login) {
		s.signer.refuse(tr("Enter a full email address, like you@example.com."))
		s.a.w.settle()
		return
	}
	to := api.ConsentRequest{New: !s.prospect.There, Device: device,
		Account: api.Account{Address: strings.TrimSpace(s.address.Text), Provider: s.prospect.Provider, Login: login}}
	if list := s.does.chosen(); s.does.root.Visible() && !slices.Equal(list, []api.Protocol{api.SMTP}) {
		to.Account.Protocols = list
	}
	if s.register.root.Visible() {
		to.Account.ClientID = strings.TrimSpace(s.register.id.Text)
		if s.register.needs.Secret != "none" {
			to.ClientSecret = strings.TrimSpace(s.register.secret.Text)
		}
		if s.register.needs.Tenant {
			to.Account.Tenant = strings.TrimSpace(s.register.tenant.Text)
		}
	}
	s.root.Hide()
	s.a.wait.root.Show()
	s.a.wait.begin(to, s.prospect)
}

// complete reports whether an address looks complete.
func complete(address string) bool {
	local, domain, ok := strings.Cut(address, "@")
	dot := strings.LastIndexByte(domain, '.')
	return ok && local != "" && !strings.ContainsAny(address, " \t,;<>") && dot > 0 && len(domain)-dot > 2
}

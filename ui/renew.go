package ui

import (
	"context"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// renewal is the page for a registration, such as one that the provider rejects: it shows
// how to register, and takes another client ID or a new client secret.
type renewal struct {
	w       *window
	account string
	scroll  *scroll
	trouble *notice
	loading *text
	notice  *notice
	all     *fyne.Container // what needs the provider's answer
	how     *fyne.Container
	id      *entry
	secret  *entry
	file    *clientFile
	field   *fyne.Container
	next    *button

	needs  api.Registration
	was    string // the client ID
	cancel context.CancelFunc
}

func newRenewal(w *window) *renewal {
	r := &renewal{w: w, trouble: newNotice(w), notice: newNotice(w), how: newColumn(8)}
	r.loading = newMuted(tr("Loading the registration…"))
	r.id, r.secret = w.kit.entry("", nil), w.kit.secret("")
	r.file = newClientFile(w, func(_ string, c api.Client) { r.fill(c) }, r.notice.tell)
	for _, e := range []*entry{r.id, r.secret} {
		e.OnChanged = func(string) {
			r.file.paste(e)
			r.ready()
		}
		e.OnSubmitted = func(string) { r.submit() }
	}
	id := newField(tr("Client ID"), tr("After another client ID, every account with this registration has to sign in again."), r.id)
	r.field = newField(tr("New client secret"), tr("Waxseal stores it in the keystore and uses it for every account with this registration."), r.secret).Container
	r.next = w.kit.primary("", theme.LoginIcon(), func() { r.submit() })
	r.all = newColumn(16, newCard(newColumn(14, newHeading(tr("How to register")), r.how, r.file.root, id.Container, r.field)).Container, newActions(r.next))
	r.scroll = newScroll(560, newColumn(16, w.kit.back(func() { w.show(Page{Name: "setup", Account: r.account}) }),
		newTitle(tr("Change registration")), r.trouble.Container, r.loading, r.notice.Container, r.all))
	return r
}

func (r *renewal) root() fyne.CanvasObject { return r.scroll.Container }
func (r *renewal) scroller() *scroll       { return r.scroll }

func (r *renewal) enter() {
	ctx := r.under()
	r.scroll.bar.ScrollToTop()
	r.secret.SetText("")
	r.notice.say("", "")
	r.all.Hide()
	r.loading.Show()
	account := api.Account{Address: r.account}
	ask(r.w.work, ctx, func(ctx context.Context) (api.Preflight, error) { return r.w.backend.Preflight(ctx, account) },
		func(p api.Preflight, err error) {
			r.loading.Hide()
			r.notice.tell(r.w.explain(err))
			if err == nil {
				r.show(p)
			}
			r.w.settle()
		})
}

func (r *renewal) leave() {
	if r.cancel != nil {
		r.cancel()
	}
	r.secret.SetText("") // only the engine keeps it
}

// under gives a context for something that begins now, and ends what ran before.
func (r *renewal) under() ctx {
	if r.cancel != nil {
		r.cancel()
	}
	ctx, cancel := context.WithCancel(r.w.work.ctx)
	r.cancel = cancel
	return ctx
}

// show tells how to register. A public client has no secret to enter.
func (r *renewal) show(p api.Preflight) {
	r.needs, r.was = p.Registration, p.ClientID
	r.how.Objects = registrationSteps(r.w, r.needs)
	r.id.SetText(p.ClientID)
	show(r.field, r.needs.Secret != "none")
	show(r.file.root, r.needs.Secret != "none")
	r.ready()
	r.all.Show()
}

// fill enters what a file has.
func (r *renewal) fill(c api.Client) {
	if c.ID != "" {
		r.id.SetText(c.ID)
	}
	r.secret.SetText(c.Secret)
}

// entered is what there is to change.
func (r *renewal) entered() api.Client {
	c := api.Client{ID: strings.TrimSpace(r.id.Text)}
	if r.needs.Secret != "none" {
		c.Secret = strings.TrimSpace(r.secret.Text)
	}
	if c.ID == r.was {
		c.ID = ""
	}
	return c
}

// ready lets somebody go on once there is something to save. Without a secret, one may sign in
// again with the registration as it is.
func (r *renewal) ready() {
	c, public := r.entered(), r.needs.Secret == "none"
	r.next.SetText(tr("Save and sign in"))
	if public && c.ID == "" {
		r.next.SetText(tr("Sign in again"))
	}
	r.next.enable(strings.TrimSpace(r.id.Text) != "" && (c.Secret != "" || public || c.ID != "" && r.needs.Secret != "needed"))
}

// submit stores what was entered and signs the account in with it.
func (r *renewal) submit() {
	c, signIn := r.entered(), Page{Name: "add", Account: r.account}
	switch {
	case r.next.Disabled():
		return
	case c == api.Client{}:
		r.w.show(signIn)
		return
	}
	r.next.enable(false)
	r.notice.say("", "")
	account := r.account
	ask(r.w.work, r.under(), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.w.backend.SetClient(ctx, account, c)
	}, func(_ struct{}, err error) {
		if err == nil {
			r.w.show(signIn)
			return
		}
		r.ready()
		r.notice.tell(r.w.explain(err))
		r.w.settle()
	})
}

// drop takes the provider's file.
func (r *renewal) drop(files []fyne.URI) {
	if r.all.Visible() && r.file.root.Visible() {
		r.file.drop(files)
	}
}

// draw says what is wrong, as long as it is.
func (r *renewal) draw(v view) {
	for _, a := range v.snapshot.Accounts {
		if a.Address == r.account {
			e := accountTrouble(a)
			e.do = errand{} // which leads here
			r.trouble.tell(e)
			return
		}
	}
	r.trouble.say("", "")
}

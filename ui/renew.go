package ui

import (
	"context"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// renewal is the page for an account whose registration the provider rejects: it
// shows how to register, and takes a new client secret.
type renewal struct {
	w       *window
	account string
	scroll  *scroll
	trouble *notice
	loading *text
	notice  *notice
	all     *fyne.Container // what needs the provider's answer
	how     *fyne.Container
	secret  *entry
	file    *clientFile
	field   *fyne.Container
	next    *button

	needs  api.Registration
	cancel context.CancelFunc
}

func newRenewal(w *window) *renewal {
	r := &renewal{w: w, trouble: newNotice(w), notice: newNotice(w), how: newColumn(8)}
	r.loading = newMuted(tr("Loading the registration…"))
	r.secret = w.kit.secret("")
	r.secret.OnChanged = func(text string) {
		if isClientJSON(text) {
			r.file.take(text)
		}
		r.ready()
	}
	r.secret.OnSubmitted = func(string) { r.submit() }
	r.file = newClientFile(w, func(text string, _ api.Client) { // whole, so that the engine sees whose it is
		if r.secret.Text != text {
			r.secret.SetText(strings.TrimSpace(text))
		}
	}, r.notice.tell)
	r.field = newColumn(8, newField(tr("New client secret"), tr("Waxseal stores it in the keystore and uses it for every account with this registration."), r.secret).Container,
		r.file.root)
	r.next = w.kit.primary("", theme.LoginIcon(), func() { r.submit() })
	r.all = newColumn(16, newCard(newColumn(14, newHeading(tr("How to register")), r.how, r.field)).Container, newActions(r.next))
	back := w.kit.quiet(tr("Back"), theme.NavigateBackIcon(), func() { w.show(Page{Name: "setup", Account: r.account}) })
	r.scroll = newScroll(560, newColumn(16, newLine(0, []fyne.CanvasObject{padded(-8, 0, back)}, newBody("")),
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
				r.show(p.Registration)
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
func (r *renewal) show(needs api.Registration) {
	r.needs = needs
	r.how.Objects = registrationSteps(r.w, needs)
	show(r.field, needs.Secret != "none")
	r.next.SetText(tr("Save and sign in"))
	if needs.Secret == "none" {
		r.next.SetText(tr("Sign in again"))
	}
	r.ready()
	r.all.Show()
}

func (r *renewal) ready() {
	r.next.enable(r.needs.Secret == "none" || strings.TrimSpace(r.secret.Text) != "")
}

// submit stores the secret and signs the account in with it.
func (r *renewal) submit() {
	secret, signIn := strings.TrimSpace(r.secret.Text), Page{Name: "add", Account: r.account}
	switch {
	case r.next.Disabled():
		return
	case r.needs.Secret == "none":
		r.w.show(signIn)
		return
	}
	r.next.enable(false)
	r.notice.say("", "")
	account := r.account
	ask(r.w.work, r.under(), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.w.backend.SetClientSecret(ctx, account, secret)
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

// drop takes the provider's file with the new secret.
func (r *renewal) drop(files []fyne.URI) {
	if r.all.Visible() && r.field.Visible() {
		r.file.drop(files)
	}
}

// draw says what is wrong, as long as it is.
func (r *renewal) draw(v view) {
	for _, a := range v.snapshot.Accounts {
		if a.Address == r.account {
			e := accountTrouble(a)
			r.trouble.say(e.words, e.cure) // the button leads here
			return
		}
	}
	r.trouble.say("", "")
}

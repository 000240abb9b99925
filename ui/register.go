package ui

import (
	"strings"

	"fyne.io/fyne/v2"

	"github.com/waxseal/waxseal/proxy/api"
)

// register asks for the client ID that a provider knows Waxseal by, and says how
// to come by one.
type register struct {
	root        *fyne.Container
	how         *fyne.Container
	title       *text
	once        *text
	page        *button
	id          *entry
	secret      *entry
	secretField *fyne.Container

	needs api.Registration
}

func newRegister(w *window) *register {
	r := &register{how: newColumn(8), title: newText("", kind{bold: true})}
	r.id, r.secret = w.kit.entry("", nil), w.kit.secret("")
	r.once = newMuted(tr("The provider wants to know the program. This is done once, and takes some minutes."))
	r.secretField = newField(tr("Client secret"), tr("Where the provider gave one. It is kept in the keystore."), r.secret).Container
	r.page = w.kit.button(tr("Open the provider’s page"), nil, func() {
		if w.open(r.needs.Page) != nil {
			w.copy(r.needs.Page)
		}
	})
	r.root = newStack(newSheet(colorCard, colorCardBorder, 12), padded(16, 14, newColumn(14,
		r.title, r.once,
		r.how, newFlow(8, r.page),
		newField(tr("Client ID"), "", r.id).Container,
		r.secretField)))
	return r
}

func (r *register) clear() {
	r.id.SetText("")
	r.secret.SetText("")
}

// show asks where the provider has no client ID yet.
func (r *register) show(p api.Preflight) {
	show(r.root, p.NoClientID && !p.There)
	if !r.root.Visible() {
		return
	}
	r.needs = p.Registration
	r.title.set(tr("Register Waxseal at {{.Name}}", values{"Name": clean(p.Name)}))
	show(r.page, r.needs.Page != "")
	show(r.once, r.needs.Closed == "")
	show(r.secretField, r.needs.Secret != "none")
	r.how.Objects = nil
	if r.needs.Closed != "" {
		r.how.Add(newBody(sentence(r.needs.Closed)))
	}
	for i, s := range r.needs.Steps {
		r.how.Add(numbered(i+1, sentence(s)))
	}
}

// complete reports whether all is entered that the provider wants to see.
func (r *register) complete() bool {
	switch {
	case !r.root.Visible():
		return true
	case r.needs.Secret == "needed" && strings.TrimSpace(r.secret.Text) == "":
		return false
	}
	return strings.TrimSpace(r.id.Text) != ""
}

// numbered is a step of a list of steps.
func numbered(n int, s string) fyne.CanvasObject {
	return newBeside(24, newStack(newSheet(colorTrack, colorNone, 12), padded(0, 2, newText(number(int64(n)), kind{size: "helperText", bold: true, centred: true}))),
		padded(0, 1, newBody(s)))
}

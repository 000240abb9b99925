package ui

import (
	"strings"

	"fyne.io/fyne/v2"

	"github.com/waxseal/waxseal/proxy/api"
)

// register asks for the client ID that a provider knows Waxseal by, and says how
// to get one.
type register struct {
	w           *window
	root        *fyne.Container
	how         *fyne.Container
	title       *text
	once        *text
	id          *entry
	secret      *entry
	secretField *fyne.Container
	tenant      *entry
	tenantField *fyne.Container
	file        *clientFile
	trouble     *notice // with the file

	needs api.Registration
}

func newRegister(w *window) *register {
	r := &register{w: w, how: newColumn(8), title: newText("", kind{bold: true})}
	r.id, r.secret, r.tenant = w.kit.entry("", nil), w.kit.secret(""), w.kit.entry("", nil)
	r.once = newMuted(tr("Your provider requires every program to be registered. You do this once; it takes a few minutes."))
	r.secretField = newField(tr("Client secret"), tr("Waxseal stores it in the keystore."), r.secret).Container
	r.trouble = newNotice(w)
	r.file = newClientFile(w, func(_ string, c api.Client) { r.fill(c) }, r.trouble.tell)
	r.tenantField = newField(tr("Tenant"), tr("Only if the registration is for one directory: its ID or domain."), r.tenant).Container
	r.root = newStack(newSheet(colorCard, colorCardBorder, 12), padded(16, 14, newColumn(14,
		r.title, r.once,
		r.how,
		r.file.root, r.trouble.Container,
		newField(tr("Client ID"), "", r.id).Container,
		r.secretField, r.tenantField)))
	return r
}

func (r *register) clear() {
	r.id.SetText("")
	r.secret.SetText("")
	r.tenant.SetText("")
	r.trouble.say("", "")
}

// fill enters what a file has.
func (r *register) fill(c api.Client) {
	if c.ID != "" {
		r.id.SetText(c.ID)
	}
	if c.Secret != "" {
		r.secret.SetText(c.Secret)
	}
}

// show asks for a client ID if the provider has none yet.
func (r *register) show(p api.Preflight) {
	show(r.root, p.NoClientID && !p.There)
	if !r.root.Visible() {
		return
	}
	r.needs = p.Registration
	r.title.set(tr("Register Waxseal with {{.Name}}", values{"Name": clean(p.Name)}))
	show(r.once, r.needs.Closed.IsZero())
	show(r.secretField, r.needs.Secret != "none")
	show(r.tenantField, r.needs.Tenant)
	show(r.file.root, r.needs.Secret != "none")
	r.how.Objects = registrationSteps(r.w, r.needs)
}

// registrationSteps say how to register with a provider, or why nobody can.
func registrationSteps(w *window, r api.Registration) (lines []fyne.CanvasObject) {
	if !r.Closed.IsZero() {
		lines = append(lines, newBody(say(r.Closed)))
	}
	for i, s := range r.Steps {
		lines = append(lines, registrationStep(w, i+1, s))
	}
	return lines
}

// registrationStep is a step with a button for its page, and its value to copy.
func registrationStep(w *window, n int, s api.Step) fyne.CanvasObject {
	column := newColumn(4, numbered(n, say(s.Text)))
	if s.Link != "" {
		column.Add(newBeside(24, newBody(""), newFlow(8, linkButton(w, s.Link))))
	}
	if s.Copy != "" {
		column.Add(newBeside(24, newBody(""), copyLine(w, s.Copy)))
	}
	return column
}

// complete reports whether everything the provider requires is entered.
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

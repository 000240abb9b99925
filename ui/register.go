package ui

import (
	"strings"

	"fyne.io/fyne/v2"

	"github.com/waxseal/waxseal/proxy"
)

// register asks for the client ID that a provider knows Waxseal by, and says how
// to come by one.
type register struct {
	root   *fyne.Container
	how    *fyne.Container
	title  *text
	page   *button
	id     *entry
	secret *entry
	url    string
}

func newRegister(w *window) *register {
	r := &register{how: newColumn(8), title: newText("", kind{bold: true})}
	r.id, r.secret = w.kit.entry("", nil), w.kit.secret("")
	r.page = w.kit.button(tr("Open the provider’s page"), nil, func() {
		if w.open(r.url) != nil {
			w.copy(r.url)
		}
	})
	r.root = newStack(newSheet(colorCard, colorCardBorder, 12), padded(16, 14, newColumn(14,
		r.title, newMuted(tr("The provider wants to know the program. This is done once, and takes some minutes.")),
		r.how, newFlow(8, r.page),
		newField(tr("Client ID"), "", r.id).Container,
		newField(tr("Client secret"), tr("Only where the provider gave one. It is kept in the keystore."), r.secret).Container)))
	return r
}

func (r *register) clear() {
	r.id.SetText("")
	r.secret.SetText("")
}

// show asks where the provider has no client ID yet.
func (r *register) show(p proxy.Provider) {
	show(r.root, p.ID != "" && p.NoOAuth == "" && p.ClientID == "")
	if !r.root.Visible() {
		return
	}
	r.title.set(tr("Register Waxseal at {{.Name}}", values{"Name": clean(p.Name)}))
	steps, url := registration(p.ID)
	r.url = url
	show(r.page, url != "")
	r.how.Objects = nil
	for i, s := range steps {
		r.how.Add(numbered(i+1, s))
	}
}

func (r *register) complete() bool {
	return !r.root.Visible() || strings.TrimSpace(r.id.Text) != ""
}

// registration is how a provider takes a program's registration, and the page
// where it does.
func registration(id string) (steps []string, url string) {
	switch id {
	case "google":
		return []string{
			tr("Make a project, and enable the Gmail API in it."),
			tr("Set up the consent screen: “Internal” for a Workspace domain, else “External”. While it is in testing, add yourself as a test user."),
			tr("Under “Clients”, create one of the type “Desktop app”."),
			tr("Copy its client ID and its client secret to here."),
		}, "https://console.cloud.google.com/auth/clients"
	case "microsoft", "outlook":
		return []string{
			tr("Under “App registrations”, register an application."),
			tr("Under “Authentication”, add “Mobile and desktop applications” with the redirect http://localhost, and allow public client flows."),
			tr("Under “API permissions”, add SMTP.Send and offline_access (delegated)."),
			tr("Copy the application (client) ID to here. There is no secret."),
		}, "https://entra.microsoft.com/"
	case "yahoo", "aol":
		return []string{
			tr("This provider takes no new programs. Where you have no client ID from earlier, make an app password there and give it to your mail program directly."),
		}, ""
	}
	return []string{
		tr("Register a desktop program at your provider, with the redirect http://127.0.0.1."),
		tr("Copy its client ID to here, and its secret where there is one."),
	}, ""
}

// numbered is a step of a list of steps.
func numbered(n int, s string) fyne.CanvasObject {
	return newBeside(24, newStack(newSheet(colorTrack, colorNone, 12), padded(0, 2, newText(number(int64(n)), kind{size: "helperText", bold: true, centred: true}))),
		padded(0, 1, newBody(s)))
}

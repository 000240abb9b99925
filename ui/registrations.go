package ui

import (
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"github.com/waxseal/waxseal/proxy/api"
)

// registrations lists by which client IDs the providers know Waxseal, and which accounts use each.
type registrations struct {
	w     *window
	root  *fyne.Container
	list  *fyne.Container
	shown []registration
}

// registration is a client ID at a provider.
type registration struct {
	provider, id string
	accounts     string // as shown
	first        string // one of them, through which it is changed
}

func newRegistrations(w *window) *registrations {
	r := &registrations{w: w, list: newColumn(16)}
	r.root = newCard(newColumn(14, newHeading(tr("Registrations")), r.list)).Container
	return r
}

// draw lists them anew when one has changed.
func (r *registrations) draw(v view) {
	now := registrationsOf(v.snapshot.Accounts)
	if show(r.root, len(now) > 0); slices.Equal(now, r.shown) {
		return
	}
	r.shown, r.list.Objects = now, nil
	for _, one := range now {
		r.list.Add(r.entry(one))
	}
	r.list.Refresh()
}

func (r *registrations) entry(one registration) fyne.CanvasObject {
	change := r.w.kit.button(tr("Change registration"), nil, func() { r.w.show(Page{Name: "register", Account: one.first}) })
	return newColumn(4, newText(clean(one.provider), kind{bold: true}), copyLine(r.w, one.id),
		newMuted(one.accounts), padded(0, 4, newFlow(8, change)))
}

// registrationsOf are the registrations that accounts use, in the accounts' order.
func registrationsOf(accounts []api.AccountStatus) (list []registration) {
	users := map[registration][]string{}
	for _, a := range accounts {
		if a.ClientID == "" {
			continue
		}
		key := registration{provider: a.Name, id: a.ClientID}
		if users[key] == nil {
			list = append(list, key)
		}
		users[key] = append(users[key], a.Address)
	}
	for i, key := range list {
		names := users[key]
		list[i].first = names[0]
		named := clean(strings.Join(names[:min(len(names), mostNamed)], ", "))
		list[i].accounts = tr("Used by {{.Accounts}}", values{"Accounts": named})
		if more := len(names) - mostNamed; more > 0 {
			list[i].accounts = trn("Used by {{.Accounts}} and {{.N}} more", int64(more), values{"Accounts": named})
		}
	}
	return list
}

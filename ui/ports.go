package ui

import (
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// mostNamed is how many accounts a sentence names.
const mostNamed = 3

// portNote says which mail programs need another port once Waxseal listens on other
// addresses; "" if none do.
func (w *window) portNote(was, to []string) string {
	gone, added := without(ports(was), ports(to)), without(ports(to), ports(was))
	if len(gone) == 0 || len(w.view.snapshot.Accounts) == 0 {
		return ""
	}
	places := values{"Old": strings.Join(gone, ", "), "New": strings.Join(added, ", "), "Accounts": w.accountList()}
	if len(added) == 0 {
		return tr("Mail programs that use port {{.Old}} can no longer send. This affects the mail programs of: {{.Accounts}}.", places)
	}
	return tr("Change the port from {{.Old}} to {{.New}} in the mail programs of: {{.Accounts}}.", places)
}

// accountList names the accounts, those that have sent mail first.
func (w *window) accountList() string {
	var used, unused []string
	for _, a := range w.view.snapshot.Accounts {
		if a.LastMessage.IsZero() {
			unused = append(unused, clean(a.Address))
		} else {
			used = append(used, clean(a.Address))
		}
	}
	all := append(used, unused...)
	if more := len(all) - mostNamed; more > 0 {
		all = append(all[:mostNamed], tr("{{.N}} more", values{"N": number(int64(more))}))
	}
	return strings.Join(all, ", ")
}

// ports are the ports of some addresses, each of them once.
func ports(addresses []string) (all []string) {
	for _, a := range addresses {
		if port := a[strings.LastIndexByte(a, ':')+1:]; !slices.Contains(all, port) {
			all = append(all, port)
		}
	}
	return all
}

func without(list, others []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(others, s) })
}

// replaced are some addresses with the free one in place of the one that is taken.
func replaced(list []string, taken *api.PortTakenError) []string {
	list = slices.Clone(list)
	for i, address := range list {
		if address == taken.Address {
			list[i] = taken.Free
		}
	}
	return list
}

// fromOutside are those of some addresses that other computers can connect to.
func fromOutside(addresses []string) []string {
	return slices.DeleteFunc(slices.Clone(addresses), func(address string) bool {
		host := strings.Trim(address[:max(strings.LastIndexByte(address, ':'), 0)], "[]")
		return host == "" || api.IsLoopback(host)
	})
}

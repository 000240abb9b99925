package ui

import (
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// mostNamed is how many accounts a sentence names.
const mostNamed = 3

// portNote makes a function that says which mail programs of a protocol need another port once
// Waxseal listens on other addresses; "" if none do.
func (w *window) portNote(p api.Protocol) func(was, to []string) string {
	return func(was, to []string) string { return w.changedPorts(p, was, to) }
}

func (w *window) changedPorts(p api.Protocol, was, to []string) string {
	gone, added := without(ports(was), ports(to)), without(ports(to), ports(was))
	if len(gone) == 0 || !w.does(p) {
		return ""
	}
	places := values{"Old": strings.Join(gone, ", "), "New": strings.Join(added, ", "), "Accounts": w.accountList(p)}
	if len(added) == 0 {
		return tr("Mail programs that use port {{.Old}} can no longer connect. This affects the mail programs of: {{.Accounts}}.", places)
	}
	return tr("Change the port from {{.Old}} to {{.New}} in the mail programs of: {{.Accounts}}.", places)
}

// accountList names the accounts that do p, those that have been used for it first.
func (w *window) accountList(p api.Protocol) string {
	var used, unused []string
	for _, a := range w.view.snapshot.Accounts {
		idle := a.LastMessage.IsZero()
		for _, r := range a.Reading {
			if r.Protocol == p {
				idle = r.LastLogin.IsZero()
			}
		}
		switch {
		case p == api.SMTP && !a.Sends() || p != api.SMTP && !a.Uses(p):
			continue
		case idle:
			unused = append(unused, clean(a.Address))
		default:
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

// protocolAt is the protocol that Waxseal serves at an address of its configuration.
func protocolAt(is api.Settings, address string) api.Protocol {
	switch {
	case slices.Contains(slices.Concat(is.ListenIMAP, is.ListenIMAPTLS), address):
		return api.IMAP
	case slices.Contains(slices.Concat(is.ListenPOP, is.ListenPOPTLS), address):
		return api.POP
	}
	return api.SMTP
}

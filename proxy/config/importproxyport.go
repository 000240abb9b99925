package config

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/emailproxy"
)

// ports takes over the ports that mail programs connect to, so that nobody has to change a mail
// program, and says what of them cannot be taken over.
func (m *proxyImport) ports() {
	var kept []string
	for _, s := range m.file.Servers {
		m.checkServer(s)
		protocol := api.Protocol(s.Protocol)
		switch {
		case len(m.Entries) == 0:
		case !slices.ContainsFunc(m.Entries, func(e ImportEntry) bool { return e.Account.Uses(protocol) }):
			m.warn("Section [{{.Section}}] was left out: no imported account may use it.", "Section", s.Section)
		case m.occupied(s):
			m.Left = append(m.Left, *trouble(
				api.Say("Waxseal already uses port {{.Port}} for something else, so it does not take over section [{{.Section}}].", "Port", strconv.Itoa(s.Port), "Section", s.Section),
				api.Say("Enter Waxseal’s port in the mail programs that use that section.")))
		default:
			for _, address := range loopback(s.Port) {
				m.cfg.take(address, protocol, implicit(s))
			}
			kept = append(kept, strconv.Itoa(s.Port))
		}
	}
	m.Settings = changeOf(m.before, m.cfg)
	if len(kept) > 0 {
		m.Warnings = append(m.Warnings, *trouble(
			api.Say("Mail programs keep their ports: Waxseal takes over port {{.Ports}} of this computer.", "Ports", strings.Join(kept, ", ")),
			api.Say("Quit email-oauth2-proxy, which still has them if it is running.")))
	}
}

// loopback returns a port on both loopback addresses, since localhost can mean either.
func loopback(port int) []string {
	return []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), net.JoinHostPort("::1", strconv.Itoa(port))}
}

// implicit reports whether mail programs connect to a server of the file with TLS from the first byte.
func implicit(s emailproxy.Server) bool { return s.TLS && !s.LocalStartTLS }

// occupied reports whether accounts that are already there use a server's port for another
// protocol, or with TLS instead of without. What nobody uses, such as the default port of a
// protocol that no account does, is given up.
func (m *proxyImport) occupied(s emailproxy.Server) bool {
	return slices.ContainsFunc(loopback(s.Port), func(address string) bool {
		return address == m.before.Metrics || slices.ContainsFunc(listenKeys, func(k listenKey) bool {
			same := string(k.protocol) == s.Protocol && k.tls == implicit(s)
			return !same && m.before.Uses(k.protocol) && slices.Contains(*k.of(&m.before), address)
		})
	})
}

// take makes an address one for a protocol, and for nothing else. The lists that change are new ones.
func (c *Config) take(address string, protocol api.Protocol, tls bool) {
	for _, k := range listenKeys {
		list := slices.Clone(*k.of(c))
		if k.protocol != protocol || k.tls != tls {
			list = slices.DeleteFunc(list, func(s string) bool { return s == address })
		} else if !slices.Contains(list, address) {
			list = append(list, address)
		}
		*k.of(c) = list
	}
}

// changeOf returns the addresses that differ between two configurations.
func changeOf(before, after Config) (change api.SettingsChange) {
	for i, to := range []**[]string{&change.Listen, &change.ListenTLS, &change.ListenIMAP, &change.ListenIMAPTLS, &change.ListenPOP, &change.ListenPOPTLS} {
		if list := *listenKeys[i].of(&after); !slices.Equal(list, *listenKeys[i].of(&before)) {
			*to = &list
		}
	}
	return change
}

// checkServer names what of a server is not carried over.
func (m *proxyImport) checkServer(s emailproxy.Server) {
	switch {
	case s.Listen == "": // of those who left it out, few had other machines in mind
		m.Warnings = append(m.Warnings, *trouble(
			api.Say("Section [{{.Section}}] also accepts mail programs on other machines, because it has no local_address. Waxseal only accepts those on this one, unless you change that.", "Section", s.Section),
			api.Say("If other machines use this one, let Waxseal listen for them too, as docs/configuration.md says.")))
	case !api.IsLoopback(s.Listen):
		m.Left = append(m.Left, *trouble(
			api.Say("Section [{{.Section}}] accepts mail programs on other machines ({{.Address}}). Waxseal only accepts those on this one, unless you change that.", "Section", s.Section, "Address", s.Listen),
			api.Say("If other machines use this one, let Waxseal listen for them too, as docs/configuration.md says.")))
	}
	if s.TLS {
		m.Left = append(m.Left, *trouble(
			api.Say("Mail programs connect to section [{{.Section}}] with TLS and trust its own certificate.", "Section", s.Section),
			api.Say("Make them trust Waxseal’s certificate.")))
	}
	if s.Plugins {
		m.Left = append(m.Left, *trouble(
			api.Say("Section [{{.Section}}] has plugins, which Waxseal does not support.", "Section", s.Section),
			api.Say("Check that your mail programs can do without them.")))
	}
}

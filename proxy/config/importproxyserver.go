package config

import (
	"net"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/emailproxy"
)

// servers lists the file's servers for one protocol.
func (m *proxyImport) servers(protocol api.Protocol) (list []emailproxy.Server) {
	for _, s := range m.file.Servers {
		if s.Protocol == string(protocol) {
			list = append(list, s)
		}
	}
	return list
}

// kindOf returns the kind of TLS with which a server of the file is reached.
func kindOf(s emailproxy.Server) string {
	if s.StartTLS {
		return "starttls"
	}
	return "implicit"
}

// reach sets the provider's server for the protocol of a server of the file.
func (p *Provider) reach(s emailproxy.Server) {
	switch api.Protocol(s.Protocol) {
	case api.IMAP:
		p.IMAP, p.IMAPTLS = s.Address, kindOf(s)
	case api.POP:
		p.POP, p.POPTLS = s.Address, kindOf(s)
	default:
		p.SMTP, p.SMTPTLS = s.Address, kindOf(s)
	}
}

// hasServer reports whether the file has one of a provider's servers for a protocol. Those of all
// that share a sign-in page count: Microsoft's accept each other's accounts.
func (m *proxyImport) hasServer(p Provider, protocol api.Protocol) bool {
	family := append(Catalogue{p}, builtin()...)
	return slices.ContainsFunc(m.servers(protocol), func(s emailproxy.Server) bool {
		return slices.ContainsFunc(family, func(q Provider) bool {
			own, _ := q.Server(protocol)
			return HostOf(q.AuthURL) == HostOf(p.AuthURL) && own != "" && (site(own) == site(s.Address) || site(q.SMTP) == site(s.Address))
		})
	})
}

// otherPort returns the file's server with the provider's host and another port, if it has
// none with the provider's. Some networks block one of the ports.
func (m *proxyImport) otherPort(p Provider, protocol api.Protocol) string {
	own, _ := p.Server(protocol)
	address := ""
	for _, s := range m.servers(protocol) {
		if s.Address == own {
			return ""
		}
		if sameHost(s.Address, own) && tlsByPort(s.Address) == kindOf(s) {
			address = s.Address
		}
	}
	return address
}

// ownServer finds the server of the file that must be the account's: the one of its domain, its
// provider or its scopes, or else the only one that belongs to no known provider.
func (m *proxyImport) ownServer(a emailproxy.Account, protocol api.Protocol) (emailproxy.Server, bool) {
	_, domain, _ := CutDomain(Fold(a.Address))
	sites := []string{site(domain), site(HostOf(a.TokenURL))}
	for _, s := range a.Scopes {
		if host := scopeHost(s); host != "" {
			sites = append(sites, site(host))
		}
	}
	var near, unknown []emailproxy.Server
	for _, s := range m.servers(protocol) {
		i := slices.IndexFunc(builtin(), func(p Provider) bool {
			own, _ := p.Server(protocol)
			return sameHost(own, s.Address)
		})
		if slices.Contains(sites, site(s.Address)) || i >= 0 && builtin()[i].granted(a.Scopes, protocol) {
			near = append(near, s)
		}
		if i < 0 {
			unknown = append(unknown, s)
		}
	}
	for _, some := range [][]emailproxy.Server{near, unknown} {
		some = slices.CompactFunc(some, func(x, y emailproxy.Server) bool { return x.Address == y.Address })
		if len(some) == 1 {
			return some[0], true
		}
	}
	return emailproxy.Server{}, false
}

// site returns the part of a host name that its owner has registered.
func site(host string) string {
	host = strings.ToLower(host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if name, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return name
	}
	return host
}

// sameHost reports whether two addresses of the form host:port have the same host.
func sameHost(a, b string) bool {
	x, _, _ := net.SplitHostPort(a)
	y, _, _ := net.SplitHostPort(b)
	return x != "" && strings.EqualFold(x, y)
}

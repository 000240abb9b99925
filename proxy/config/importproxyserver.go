package config

import (
	"net"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/waxseal/waxseal/proxy/emailproxy"
)

// sendThrough sets a provider's SMTP server.
func (p *Provider) sendThrough(s emailproxy.Server) {
	p.SMTP, p.SMTPTLS = s.Address, "implicit"
	if s.StartTLS {
		p.SMTPTLS = "starttls"
	}
}

// hasServer reports whether the file has one of a provider's SMTP servers. Those of all that
// share a sign-in page count: Microsoft's accept each other's accounts.
func (m *proxyImport) hasServer(p Provider) bool {
	family := append(Catalogue{p}, builtin()...)
	return slices.ContainsFunc(m.file.Servers, func(s emailproxy.Server) bool {
		return slices.ContainsFunc(family, func(q Provider) bool {
			return HostOf(q.AuthURL) == HostOf(p.AuthURL) && site(q.SMTP) == site(s.Address)
		})
	})
}

// otherPort returns the file's server with the provider's host and another port, if it has
// none with the provider's. Some networks block one of the ports.
func (m *proxyImport) otherPort(p Provider) string {
	address := ""
	for _, s := range m.file.Servers {
		if s.Address == p.SMTP {
			return ""
		}
		if sameHost(s.Address, p.SMTP) && tlsByPort(s.Address) == map[bool]string{true: "starttls", false: "implicit"}[s.StartTLS] {
			address = s.Address
		}
	}
	return address
}

// ownServer finds the SMTP server of the file that must be the account's: the one of its
// domain, its provider or its scopes, or else the only one that belongs to no known provider.
func (m *proxyImport) ownServer(a emailproxy.Account) (emailproxy.Server, bool) {
	_, domain, _ := CutDomain(Fold(a.Address))
	sites := []string{site(domain), site(HostOf(a.TokenURL))}
	for _, s := range a.Scopes {
		if host := scopeHost(s); host != "" {
			sites = append(sites, site(host))
		}
	}
	var near, unknown []emailproxy.Server
	for _, s := range m.file.Servers {
		i := slices.IndexFunc(builtin(), func(p Provider) bool { return sameHost(p.SMTP, s.Address) })
		if slices.Contains(sites, site(s.Address)) || i >= 0 && builtin()[i].granted(a.Scopes) {
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

package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/emailproxy"
)

// provider returns the provider that matches an account of the file, and adds one if the
// catalogue has none. does is what the account's scopes and the file's servers let it do; it is
// empty if that is nothing.
func (m *proxyImport) provider(a emailproxy.Account, grant string) (p Provider, does []api.Protocol, err error) {
	base, ok := m.catalogued(a, grant)
	if !ok {
		base, ok = m.sibling(a, grant)
	}
	if !ok {
		if base, err = m.described(a, grant); err != nil {
			return base, nil, err
		}
	}
	p, does = m.adapted(base, a)
	if same, ok := m.equal(p, a.Address); ok {
		return same, does, nil
	}
	p.Aliases, p.Domains, p.MX, p.ClientID = nil, nil, nil, ""
	p.ID = m.freeID(p.ID)
	if slices.ContainsFunc(m.known, func(q Provider) bool { return q.Name == p.Name }) {
		p.Name += " (from email-oauth2-proxy)"
	}
	m.Providers = append(m.Providers, p)
	m.known = slices.Insert(slices.Clone(m.known), 0, p)
	return p, does, nil
}

// catalogued finds the provider with the account's token endpoint.
func (m *proxyImport) catalogued(a emailproxy.Account, grant string) (Provider, bool) {
	var found Catalogue
	for _, p := range m.known {
		if p.Grant == grant && sameURL(p.TokenURL, a.TokenURL) {
			found = append(found, p)
		}
	}
	for _, b := range builtin() {
		// Google has moved its endpoints more than once; the old ones issue the same tokens.
		moved := HostOf(b.TokenURL) == HostOf(a.TokenURL) || HostOf(b.AuthURL) == HostOf(a.AuthURL)
		if len(found) == 0 && grant == "" && b.NoOAuth == "" && tenant(b.TokenURL) == "" && moved {
			return m.known.byName(b.ID)
		}
	}
	return m.best(found, a)
}

// best returns the provider of a list that is the account's most likely: Microsoft's clouds
// share hosts.
func (m *proxyImport) best(list Catalogue, a emailproxy.Account) (Provider, bool) {
	if len(list) == 0 {
		return Provider{}, false
	}
	if p, ok := list.byDomain(a.Address); ok {
		return p, true
	}
	for _, likely := range []func(p Provider) bool{
		func(p Provider) bool {
			return slices.ContainsFunc(m.file.Servers, func(s emailproxy.Server) bool {
				own, _ := p.Server(api.Protocol(s.Protocol))
				return sameHost(own, s.Address)
			})
		},
		func(p Provider) bool { return p.granted(a.Scopes, api.SMTP) },
	} {
		if i := slices.IndexFunc(list, likely); i >= 0 {
			return list[i], true
		}
	}
	return list[0], true
}

// sibling derives a provider from one of the catalogue at the same host, for another tenant
// or grant.
func (m *proxyImport) sibling(a emailproxy.Account, grant string) (Provider, bool) {
	var bases Catalogue
	for _, p := range m.known {
		general := slices.Contains([]string{"", "common", "organizations"}, tenant(p.TokenURL))
		if p.Grant == "" && p.NoOAuth == "" && HostOf(p.TokenURL) == HostOf(a.TokenURL) && general {
			bases = append(bases, p)
		}
	}
	p, ok := m.best(bases, a)
	if !ok {
		return Provider{}, false
	}
	if name := tenant(a.TokenURL); name != "" && tenant(p.TokenURL) != "" {
		old := tenant(p.TokenURL)
		for _, u := range []*string{&p.AuthURL, &p.TokenURL, &p.DeviceURL} {
			*u = strings.Replace(*u, "/"+old+"/", "/"+name+"/", 1)
		}
		p.ID, p.Name = p.ID+"-"+name, p.Name+" ("+name+")"
	}
	p.TokenURL = a.TokenURL
	if grant != "" {
		p.ID, p.Name, p.Grant, p.Scopes = p.ID+"-app", p.Name+", as a program", grant, a.Scopes
		p.IMAPScopes, p.POPScopes = nil, nil
		p.AuthURL, p.DeviceURL, p.RevokeURL, p.Issuer, p.AuthParams, p.ConsentDays = "", "", "", "", nil, 0
	}
	return p, true
}

// tenant returns the first part of a path like Microsoft's, /tenant/oauth2/v2.0/token, and ""
// for any other path.
func tenant(tokenURL string) string {
	u, err := url.Parse(tokenURL)
	if err != nil {
		return ""
	}
	name, rest, _ := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if rest != "oauth2/v2.0/token" {
		return ""
	}
	return name
}

// described returns a provider as the file describes it.
func (m *proxyImport) described(a emailproxy.Account, grant string) (Provider, error) {
	id := site(HostOf(a.TokenURL))
	p := Provider{ID: id, Name: id, Grant: grant, TokenURL: a.TokenURL, Scopes: a.Scopes}
	for _, protocol := range api.Protocols {
		if server, ok := m.ownServer(a, protocol); ok {
			p.reach(server)
		}
	}
	if p.SMTP+p.IMAP+p.POP == "" {
		return Provider{}, trouble(
			api.Say("The file does not say which mail server is for it, and no known provider has its token endpoint {{.URL}}.", "URL", a.TokenURL),
			api.Say("Describe that provider in the configuration, as docs/providers.md shows, and import the file again."))
	}
	switch {
	case grant != "":
	case a.Flow == emailproxy.Device:
		return p, trouble(
			api.Say("It signs in with a code at {{.Host}}, a provider that Waxseal does not know.", "Host", id),
			api.Say("Describe that provider in the configuration, as docs/providers.md shows, and import the file again."))
	default:
		p.AuthURL = a.AuthURL
		if u, err := url.Parse(a.Redirect); err == nil && isLoopbackURL(a.Redirect) {
			p.RedirectHost, p.RedirectPath = u.Hostname(), u.Path
		}
	}
	var errs []error
	p.complete().check(func(_, format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) })
	return p, errors.Join(errs...)
}

// adapted returns a provider with the path of the redirect address, the scopes and the servers that
// the file has, where they are others. The servers are others only if the scopes are for another
// one: a token for Google's servers must not be sent elsewhere.
func (m *proxyImport) adapted(p Provider, a emailproxy.Account) (_ Provider, does []api.Protocol) {
	if u, err := url.Parse(a.Redirect); err == nil && p.Grant == "" && isLoopbackURL(a.Redirect) && strings.Trim(u.Path, "/") != "" {
		p.RedirectHost, p.RedirectPath = u.Hostname(), u.Path
	}
	for _, protocol := range api.Protocols {
		if len(a.Scopes) == 0 || slices.Equal(a.Scopes, p.Scopes) || p.granted(a.Scopes, protocol) {
			does = append(does, protocol)
		}
	}
	if len(does) == 0 && allow(a.Scopes, api.SMTP) {
		p, does = m.withScopes(p, a)
	}
	return p.complete(), slices.DeleteFunc(does, func(protocol api.Protocol) bool {
		address, _ := p.Server(protocol)
		return address == "" || protocol.Reads() && !m.hasServer(p, protocol)
	})
}

// withScopes returns a provider with the account's scopes in place of its own, and what they allow.
func (m *proxyImport) withScopes(p Provider, a emailproxy.Account) (_ Provider, does []api.Protocol) {
	another := p.foreign(a.Scopes)
	if another {
		p.IMAP, p.POP = "", ""
	}
	for _, protocol := range api.Protocols {
		server, ok := m.ownServer(a, protocol)
		if another && ok && !m.hasServer(p, protocol) {
			p.reach(server)
			if protocol == api.SMTP {
				p.ID += "-" + site(server.Address)
			}
		}
		if allow(a.Scopes, protocol) {
			does = append(does, protocol)
		}
	}
	p.Scopes, p.IMAPScopes, p.POPScopes = a.Scopes, nil, nil
	return p, does
}

// equal finds a provider in the catalogue that is the same but for its names.
func (m *proxyImport) equal(p Provider, address string) (Provider, bool) {
	var found Catalogue
	for _, q := range m.known {
		if q.Grant == p.Grant && sameURL(q.TokenURL, p.TokenURL) && q.SMTP == p.SMTP && q.SMTPTLS == p.SMTPTLS &&
			q.IMAP == p.IMAP && q.POP == p.POP && slices.Equal(q.Scopes, p.Scopes) &&
			slices.Equal(q.IMAPScopes, p.IMAPScopes) && slices.Equal(q.POPScopes, p.POPScopes) && q.RedirectPath == p.RedirectPath {
			found = append(found, q)
		}
	}
	if q, ok := found.byDomain(address); ok {
		return q, true
	}
	if len(found) == 0 {
		return Provider{}, false
	}
	return found[0], true
}

// freeID returns the name, with a number after it if the name is already in use.
func (m *proxyImport) freeID(name string) string {
	id := name
	for n := 2; ; n++ {
		if _, taken := m.known.byName(id); !taken {
			return id
		}
		id = fmt.Sprint(name, "-", n)
	}
}

func sameURL(a, b string) bool {
	return a != "" && strings.EqualFold(strings.TrimSuffix(a, "/"), strings.TrimSuffix(b, "/"))
}

// isLoopbackURL reports whether a redirect address is one that a program on this machine can
// listen on without TLS (RFC 8252 section 7.3).
func isLoopbackURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "http" && api.IsLoopback(u.Hostname())
}

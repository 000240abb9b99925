package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/emailproxy"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// mover turns the accounts of email-oauth2-proxy into entries.
type mover struct {
	known   Catalogue // the configuration's, after the providers that the file brings
	servers []emailproxy.Server

	Imported
}

// FromEmailProxy turns the accounts of email-oauth2-proxy's configuration into
// entries, and into providers where the catalogue does not have theirs. passwords
// are the accounts' mail passwords by address, as many as are known: what is
// sealed with an account's password is opened with it.
func (c Config) FromEmailProxy(file emailproxy.File, passwords map[string]string) Imported {
	folded := make(map[string]string, len(passwords))
	for address, password := range passwords {
		folded[Fold(address)] = password
	}
	m := &mover{known: c.Catalogue(), servers: file.Servers}
	seen := map[string]bool{}
	for i, a := range file.Accounts {
		key := Fold(a.Address)
		err := errors.New("another section has the same address, written another way; keep one of the two")
		var e ImportEntry
		if !seen[key] {
			e, err = m.entry(a, folded[key])
		}
		seen[key] = true
		if err != nil {
			m.Problems = append(m.Problems, api.ImportProblem{Index: i, Address: a.Address, Problem: err.Error()})
			continue
		}
		e.Index = i
		m.Entries = append(m.Entries, e)
	}
	m.Warnings = append(m.Warnings, file.Warnings...)
	return m.Imported
}

// entry makes one account's entry, and its provider where that is new.
func (m *mover) entry(a emailproxy.Account, password string) (e ImportEntry, err error) {
	e = ImportEntry{Account: api.Account{Address: a.Address, ClientID: a.ClientID}, Password: password}
	if err := CheckAddress(a.Address); err != nil {
		return e, fmt.Errorf("its name %w", err)
	}
	secrets, err := a.Open(password)
	if errors.Is(err, emailproxy.ErrPassword) {
		err = fmt.Errorf("%w; give the one its mail program uses, or none and sign in anew afterwards", err)
	}
	if err != nil {
		return e, err
	}
	e.RefreshToken, e.ClientSecret = secrets.RefreshToken, secrets.ClientSecret
	grant := ""
	switch a.Flow {
	case emailproxy.Consent, emailproxy.Device, emailproxy.Password: // the last asks for consent from now on
	case emailproxy.ClientCredentials:
		grant = oauth.ClientCredentials
	case emailproxy.ServiceAccount:
		grant = oauth.JWTBearer
		if err := e.serviceKey(a.ClientID); err != nil {
			return e, err
		}
	default:
		return e, fmt.Errorf("its oauth2_flow %q is not known", a.Flow)
	}
	if grant != "" {
		e.RefreshToken = "" // it has none, or none that matters
	}
	if a.Resource != "" {
		return e, errors.New("it uses oauth2_resource, which only Microsoft's first endpoints know; add it with `waxseal account add`")
	}
	if err := checkURL("token_url", a.TokenURL); err != nil {
		return e, err
	}
	if e.Account.ClientID == "" {
		return e, errors.New("client_id is missing")
	}
	p, err := m.provider(a, grant)
	if err != nil {
		return e, err
	}
	e.Account.Provider = p.ID
	if err := e.checkText(); err != nil {
		return e, err
	}
	_, err = m.known.Resolve(e.Account)
	return e, err
}

// serviceKey makes the account one of a service account, whose key is the client
// secret. kind is what stands in the place of the client ID.
func (e *ImportEntry) serviceKey(kind string) error {
	if kind == "file" {
		return errors.New("its service account's key is in a file; `waxseal account add ADDRESS --provider ID --client-secret-file FILE` takes it, as docs/providers.md says")
	}
	var key struct {
		Email string `json:"client_email"`
	}
	if json.Unmarshal([]byte(e.ClientSecret), &key) != nil || key.Email == "" {
		return errors.New("its client_secret is not the JSON key of a service account")
	}
	e.Account.ClientID, e.service = key.Email, true
	return nil
}

// provider finds the account's in the catalogue, or makes one.
func (m *mover) provider(a emailproxy.Account, grant string) (Provider, error) {
	if p, ok := m.same(a, grant); ok {
		return p, nil
	}
	p, err := m.like(a, grant)
	if err != nil {
		return p, err
	}
	if !slices.ContainsFunc(m.Providers, func(q Provider) bool { return q.ID == p.ID }) {
		m.Providers = append(m.Providers, p)
		m.known = slices.Insert(slices.Clone(m.known), 0, p.complete())
	}
	return p, nil
}

// same finds a provider with the account's token endpoint; of several, as
// Microsoft's for companies and for everybody are, that of its domain.
func (m *mover) same(a emailproxy.Account, grant string) (Provider, bool) {
	var found Catalogue
	for _, p := range m.known {
		if p.Grant == grant && sameURL(p.TokenURL, a.TokenURL) {
			found = append(found, p)
		}
	}
	for _, b := range builtin() {
		// Google has moved its endpoints more than once; the old ones give the
		// same tokens.
		moved := HostOf(b.TokenURL) == HostOf(a.TokenURL) || HostOf(b.AuthURL) == HostOf(a.AuthURL)
		if len(found) == 0 && grant == "" && b.NoOAuth == "" && tenant(b.TokenURL) == "" && moved {
			return m.known.byName(b.ID)
		}
	}
	if len(found) == 0 {
		return Provider{}, false
	}
	if p, ok := found.byDomain(a.Address); ok {
		return p, true
	}
	return found[0], true
}

// like makes a provider after one of the catalogue at the same host, for another
// tenant or grant, else from what the file says.
func (m *mover) like(a emailproxy.Account, grant string) (Provider, error) {
	name := tenant(a.TokenURL)
	for _, base := range m.known {
		if base.Grant != "" || base.NoOAuth != "" || HostOf(base.TokenURL) != HostOf(a.TokenURL) || tenant(base.TokenURL) != "" && tenant(base.TokenURL) != "common" {
			continue
		}
		p := base
		p.Aliases, p.Domains, p.MX, p.ClientID = nil, nil, nil, ""
		if name != "" && tenant(base.TokenURL) != "" {
			for _, u := range []*string{&p.AuthURL, &p.TokenURL, &p.DeviceURL} {
				*u = strings.Replace(*u, "/common/", "/"+name+"/", 1)
			}
			p.ID, p.Name = p.ID+"-"+name, p.Name+" ("+name+")"
		}
		p.TokenURL = a.TokenURL
		if grant != "" {
			p.ID, p.Name, p.Grant, p.Scopes = p.ID+"-app", p.Name+", as a program", grant, a.Scopes
			p.AuthURL, p.DeviceURL, p.RevokeURL, p.Issuer, p.AuthParams, p.ConsentDays = "", "", "", "", nil, 0
		}
		p.ID = m.freeID(p.ID)
		return p, nil
	}
	return m.unknown(a, grant)
}

// tenant is the first part of a path like Microsoft's, /tenant/oauth2/v2.0/token,
// and "" for any other.
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

// unknown makes a provider from what the file says.
func (m *mover) unknown(a emailproxy.Account, grant string) (Provider, error) {
	server, err := m.server(a)
	if err != nil {
		return Provider{}, err
	}
	id := site(HostOf(a.TokenURL))
	p := Provider{ID: m.freeID(id), Name: id, Grant: grant, TokenURL: a.TokenURL, Scopes: a.Scopes, SMTP: server.Address, SMTPTLS: "implicit"}
	if server.StartTLS {
		p.SMTPTLS = "starttls"
	}
	switch {
	case grant != "":
	case a.Flow == emailproxy.Device:
		return p, fmt.Errorf("its sign-in is by code alone, at %s, which the catalogue does not have; add a [[provider]] with its auth_url and device_url", id)
	default:
		p.AuthURL = a.AuthURL
		if u, err := url.Parse(a.Redirect); err == nil && u.Scheme == "http" && isLoopback(u.Hostname()) {
			p.RedirectHost, p.RedirectPath = u.Hostname(), u.Path
		}
	}
	var errs []error
	p.complete().check(func(_, format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) })
	return p, errors.Join(errs...)
}

// server is the one SMTP server of the file that can be the account's: that of
// its domain or its provider's, else the only one that no known provider has.
func (m *mover) server(a emailproxy.Account) (emailproxy.Server, error) {
	_, domain, _ := CutDomain(Fold(a.Address))
	near, left := map[string]emailproxy.Server{}, map[string]emailproxy.Server{}
	for _, s := range m.servers {
		host, _, _ := net.SplitHostPort(s.Address)
		if where := site(host); where == site(domain) || where == site(HostOf(a.TokenURL)) {
			near[s.Address] = s
		}
		if !slices.ContainsFunc(builtin(), func(p Provider) bool {
			theirs, _, _ := net.SplitHostPort(p.SMTP)
			return strings.EqualFold(theirs, host)
		}) {
			left[s.Address] = s
		}
	}
	for _, some := range []map[string]emailproxy.Server{near, left} {
		if len(some) == 1 {
			for _, s := range some {
				return s, nil
			}
		}
	}
	return emailproxy.Server{}, fmt.Errorf("the file does not tell which SMTP server is for it, and no known provider has its token_url; add a [[provider]] with %s and the server, then import again", a.TokenURL)
}

// freeID is the name, or with a number behind it where it is taken.
func (m *mover) freeID(name string) string {
	id := name
	for n := 2; ; n++ {
		if _, taken := m.known.byName(id); !taken {
			return id
		}
		id = fmt.Sprint(name, "-", n)
	}
}

// site is the part of a host's name that its owner has registered.
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

func sameURL(a, b string) bool {
	return a != "" && strings.EqualFold(strings.TrimSuffix(a, "/"), strings.TrimSuffix(b, "/"))
}

package config

import (
	"bytes"
	"cmp"
	_ "embed" // catalogue.toml
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"

	"github.com/waxseal/waxseal/proxy/api"
)

//go:embed catalogue.toml
var catalogueText []byte

// defaultConnections is how many connections to a provider an account may have if the
// provider's entry names no limit. Exchange, the strictest, allows three.
const defaultConnections = 3

// Catalogue is a list of providers. The first match wins.
type Catalogue []Provider

// builtin returns the catalogue that is part of the program. What is true of only one
// provider belongs in catalogue.toml, not into the code.
var builtin = sync.OnceValue(func() Catalogue {
	var c struct {
		Providers Catalogue `toml:"provider"`
	}
	if err := toml.NewDecoder(bytes.NewReader(catalogueText)).DisallowUnknownFields().Decode(&c); err != nil {
		panic("catalogue.toml: " + err.Error()) // it is part of the program, and a test reads it
	}
	for id, r := range distributed() {
		i := slices.IndexFunc(c.Providers, func(p Provider) bool { return p.ID == id })
		if i < 0 {
			panic("-X ...proxy/config.builtClients: there is no provider " + id)
		}
		c.Providers[i].ClientID = r.id
	}
	return c.Providers
})

// Catalogue lists all providers with their defaults filled in: first the entries of the
// configuration file, then the built-in entries that these do not replace. Callers share
// the values; do not change their lists and maps.
//
// An entry of the file replaces the built-in entry whose id or alias it has. Whatever it
// leaves out stays as built in, so a client_id alone is enough. If it has a token_url,
// though, it inherits no endpoint: half of one provider and half of another would not
// work together.
func (c Config) Catalogue() Catalogue {
	base := builtin()
	list := make(Catalogue, 0, len(c.Providers)+len(base))
	replaced := make([]bool, len(base))
	for _, own := range c.Providers {
		if i := slices.IndexFunc(base, func(b Provider) bool { return b.hasName(own.ID) }); i >= 0 {
			replaced[i] = true
			own = merge(own, base[i])
		}
		list = append(list, own.complete())
	}
	for i, b := range base {
		if !replaced[i] {
			list = append(list, b.complete())
		}
	}
	return list
}

// Provider finds a provider by its id or an alias, ignoring case.
func (c Config) Provider(id string) (Provider, bool) { return c.Catalogue().byName(id) }

// ProviderFor finds the provider that lists the address's domain.
func (c Config) ProviderFor(address string) (Provider, bool) {
	return c.Catalogue().byDomain(address)
}

// Resolve returns the account's provider, with the account's own settings in place of
// the provider's. If the account's smtp, imap or pop address has port 465, 993 or 995, it
// means implicit TLS; with port 25, 587, 2525, 143 or 110 it means STARTTLS; with any other
// port the provider's kind of TLS stays. If the account has another token_url, the provider's
// device and revocation endpoints are not used, because they know nothing about its tokens.
// An account that reads needs a provider with a server for that.
func (c Config) Resolve(a api.Account) (Provider, error) {
	p, err := c.Catalogue().Resolve(a)
	if err != nil {
		return Provider{}, fmt.Errorf("account %s: %w", a.Address, err)
	}
	return p, nil
}

// Resolve is [Config.Resolve] for a catalogue; its errors do not name the account.
func (l Catalogue) Resolve(a api.Account) (Provider, error) {
	p, err := l.forAccount(a)
	if err != nil {
		return Provider{}, err
	}
	if err := p.checkOAuth(); err != nil {
		return Provider{}, err
	}
	if p, err = p.forTenant(cmp.Or(a.Tenant, p.Tenant)); err != nil {
		return Provider{}, err
	}
	if a.TokenURL != "" && a.TokenURL != p.TokenURL {
		if err := checkURL("token_url", a.TokenURL); err != nil {
			return Provider{}, err
		}
		p.TokenURL, p.DeviceURL, p.RevokeURL = a.TokenURL, "", ""
	}
	p.use(a)
	if err := p.checkServers(a.Does()); err != nil {
		return Provider{}, err
	}
	p.ClientID = cmp.Or(a.ClientID, p.ClientID)
	p.MaxConnections = cmp.Or(a.MaxConnections, p.MaxConnections)
	p.limitFor(a)
	return p, nil
}

// forAccount finds the provider that an account names, or else the one for its domain.
func (l Catalogue) forAccount(a api.Account) (Provider, error) {
	if a.Provider == "" {
		if p, ok := l.byDomain(a.Address); ok {
			return p, nil
		}
		_, domain, _ := CutDomain(a.Address)
		return Provider{}, fmt.Errorf(`no provider is known for %q; name one with provider = "..." ("waxseal providers" lists them)`, domain)
	}
	if p, ok := l.byName(a.Provider); ok {
		return p, nil
	}
	err := fmt.Errorf(`provider %q is not known; "waxseal providers" lists the known ones, and a [[provider]] table adds another`, a.Provider)
	if near := nearest(a.Provider, l.names()); near != "" {
		err = fmt.Errorf(`provider %q is not known; did you mean %q?`, a.Provider, near)
	}
	return Provider{}, err
}

func (l Catalogue) byName(id string) (Provider, bool) {
	if i := slices.IndexFunc(l, func(p Provider) bool { return id != "" && strings.EqualFold(p.ID, id) }); i >= 0 {
		return l[i], true
	}
	if i := slices.IndexFunc(l, func(p Provider) bool { return p.hasName(id) }); i >= 0 {
		return l[i], true
	}
	return Provider{}, false
}

func (l Catalogue) byDomain(address string) (Provider, bool) {
	_, domain, ok := CutDomain(Fold(address))
	if !ok || domain == "" {
		return Provider{}, false
	}
	for _, wild := range []bool{false, true} { // a whole name takes precedence over *.name
		for _, p := range l {
			if slices.ContainsFunc(p.Domains, func(d string) bool { return covers(d, domain, wild) }) {
				return p, true
			}
		}
	}
	return Provider{}, false
}

// covers reports whether an entry of Provider.Domains or Provider.MX matches a folded
// domain, and is of the kind *.name (wild) or a whole name.
func covers(entry, domain string, wild bool) bool {
	name, isWild := strings.CutPrefix(entry, "*.")
	if isWild != wild {
		return false
	}
	if name = Fold("@" + name)[1:]; wild {
		return name != "" && strings.HasSuffix(domain, "."+name)
	}
	return name == domain
}

func (l Catalogue) names() []string {
	var names []string
	for _, p := range l {
		names = append(append(names, p.ID), p.Aliases...)
	}
	return names
}

// Choices lists the providers that support OAuth, in the catalogue's order.
func (l Catalogue) Choices() []api.Choice {
	var list []api.Choice
	for _, p := range l {
		if p.NoOAuth == "" {
			list = append(list, api.Choice{ID: p.ID, Name: p.Name})
		}
	}
	return list
}

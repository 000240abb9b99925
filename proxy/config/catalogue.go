package config

import (
	"bytes"
	"cmp"
	_ "embed" // catalogue.toml
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
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
// the provider's. If the account's smtp address has port 465, it means implicit TLS; with
// port 25, 587 or 2525 it means STARTTLS; with any other port the provider's smtp_tls
// stays. If the account has another token_url, the provider's device and revocation
// endpoints are not used, because they know nothing about its tokens.
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
	if a.TokenURL != "" && a.TokenURL != p.TokenURL {
		if err := checkURL("token_url", a.TokenURL); err != nil {
			return Provider{}, err
		}
		p.TokenURL, p.DeviceURL, p.RevokeURL = a.TokenURL, "", ""
	}
	if a.SMTP != "" {
		p.SMTP, p.SMTPTLS = a.SMTP, cmp.Or(tlsByPort(a.SMTP), p.SMTPTLS)
	}
	if err := checkSMTP(p); err != nil {
		return Provider{}, err
	}
	p.ClientID = cmp.Or(a.ClientID, p.ClientID)
	p.MaxConnections = cmp.Or(a.MaxConnections, p.MaxConnections)
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

// hasName reports whether id is the provider's id or one of its aliases.
func (p Provider) hasName(id string) bool {
	same := func(name string) bool { return id != "" && strings.EqualFold(name, id) }
	return same(p.ID) || slices.ContainsFunc(p.Aliases, same)
}

// complete fills in the defaults of what an entry may leave out.
func (p Provider) complete() Provider {
	p.Name = cmp.Or(p.Name, p.ID)
	p.RedirectHost = cmp.Or(p.RedirectHost, "127.0.0.1")
	p.RedirectPath = cmp.Or(p.RedirectPath, "/")
	p.SMTPTLS = cmp.Or(p.SMTPTLS, tlsByPort(p.SMTP), "starttls")
	p.MaxConnections = cmp.Or(p.MaxConnections, defaultConnections)
	return p
}

// merge lays the entry own over the built-in entry base; see Config.Catalogue.
func merge(own, base Provider) Provider {
	p := own
	p.Aliases = slices.Concat(own.Aliases, []string{base.ID}, base.Aliases)
	p.Name = cmp.Or(own.Name, base.Name)
	if own.TokenURL == "" {
		p.AuthURL = cmp.Or(own.AuthURL, base.AuthURL)
		p.TokenURL = base.TokenURL
		p.DeviceURL = cmp.Or(own.DeviceURL, base.DeviceURL)
		p.RevokeURL = cmp.Or(own.RevokeURL, base.RevokeURL)
		p.Issuer = cmp.Or(own.Issuer, base.Issuer)
		p.UserinfoURL = cmp.Or(own.UserinfoURL, base.UserinfoURL)
		p.ConsentDays = cmp.Or(own.ConsentDays, base.ConsentDays)
		p.NoOAuth = cmp.Or(own.NoOAuth, base.NoOAuth)
	}
	if own.SMTP == "" {
		p.SMTP = base.SMTP
		p.SMTPTLS = cmp.Or(own.SMTPTLS, base.SMTPTLS)
	}
	if own.Domains == nil {
		p.Domains = base.Domains
	}
	if own.MX == nil {
		p.MX = base.MX
	}
	if own.Scopes == nil {
		p.Scopes = base.Scopes
	}
	if own.AuthParams == nil {
		p.AuthParams = base.AuthParams
	}
	p.ClientID = cmp.Or(own.ClientID, base.ClientID)
	p.RedirectHost = cmp.Or(own.RedirectHost, base.RedirectHost)
	p.RedirectPath = cmp.Or(own.RedirectPath, base.RedirectPath)
	p.Hello = cmp.Or(own.Hello, base.Hello)
	p.CAFile = cmp.Or(own.CAFile, base.CAFile)
	p.MaxConnections = cmp.Or(own.MaxConnections, base.MaxConnections)
	p.DailyLimit = cmp.Or(own.DailyLimit, base.DailyLimit)
	return p
}

// tlsByPort returns the kind of TLS that a submission port implies, by RFC 8314 section
// 3.3 and RFC 6409 (2525 is only a convention), and "" for any other port.
func tlsByPort(address string) string {
	switch _, port, _ := splitHostPort(address); port {
	case 465:
		return "implicit"
	case 25, 587, 2525:
		return "starttls"
	}
	return ""
}

// checkSMTP returns an error if mail cannot be sent to the provider's smtp, as its
// smtp_tls says.
func checkSMTP(p Provider) error {
	if p.SMTP == "" {
		return errors.New(`smtp is missing; enter the provider's server, like "smtp.example.com:587"`)
	}
	host, port, err := splitHostPort(p.SMTP)
	switch {
	case err != nil:
		return fmt.Errorf(`smtp %w; write it like "smtp.example.com:587"`, err)
	case host == "" || port == 0:
		return fmt.Errorf(`smtp %q needs a host and a port, like "smtp.example.com:587"`, p.SMTP)
	case p.SMTPTLS == "none" && !isLoopback(host):
		return fmt.Errorf(`smtp_tls = "none" would send tokens unencrypted to %s; use "starttls" or "implicit"`, host)
	case !slices.Contains([]string{"starttls", "implicit", "none"}, p.SMTPTLS):
		return fmt.Errorf(`smtp_tls is %q; use "starttls" or "implicit" ("none" is only for servers on this machine)`, p.SMTPTLS)
	}
	return nil
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

// SecretKey returns the keystore's key for the secret of the registration that p names.
// A service account's secret is its key file, as the provider issued it.
func (p Provider) SecretKey() string {
	if p.Grant == oauth.JWTBearer {
		return oauth.ServiceKey(p.ClientID)
	}
	return oauth.ClientKey(p.TokenURL, p.ClientID)
}

// OwnSecretKey returns the keystore's key for a client secret that only one account uses.
func (p Provider) OwnSecretKey(address string) string {
	return oauth.OwnClientKey(p.TokenURL, p.ClientID, Fold(address))
}

package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/pace"
)

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
	p.IMAPTLS = cmp.Or(p.IMAPTLS, tlsByPort(p.IMAP), "implicit") // RFC 8314 section 3
	p.POPTLS = cmp.Or(p.POPTLS, tlsByPort(p.POP), "implicit")
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
	if own.IMAP == "" {
		p.IMAP, p.IMAPTLS, p.IMAPAuth = base.IMAP, cmp.Or(own.IMAPTLS, base.IMAPTLS), cmp.Or(own.IMAPAuth, base.IMAPAuth)
	}
	if own.POP == "" {
		p.POP, p.POPTLS, p.POPAuth = base.POP, cmp.Or(own.POPTLS, base.POPTLS), cmp.Or(own.POPAuth, base.POPAuth)
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
	if own.IMAPScopes == nil {
		p.IMAPScopes = base.IMAPScopes
	}
	if own.POPScopes == nil {
		p.POPScopes = base.POPScopes
	}
	if own.AuthParams == nil {
		p.AuthParams = base.AuthParams
	}
	p.ClientID = cmp.Or(own.ClientID, base.ClientID)
	p.Tenant = cmp.Or(own.Tenant, base.Tenant)
	p.RedirectHost = cmp.Or(own.RedirectHost, base.RedirectHost)
	p.RedirectPath = cmp.Or(own.RedirectPath, base.RedirectPath)
	p.Hello = cmp.Or(own.Hello, base.Hello)
	p.CAFile = cmp.Or(own.CAFile, base.CAFile)
	p.MaxConnections = cmp.Or(own.MaxConnections, base.MaxConnections)
	p.ReadConnections = cmp.Or(own.ReadConnections, base.ReadConnections)
	p.MaxPerMinute = cmp.Or(own.MaxPerMinute, base.MaxPerMinute)
	if own.MaxMessages == nil {
		p.MaxMessages, p.MaxMessagesHosted = base.MaxMessages, cmp.Or(own.MaxMessagesHosted, base.MaxMessagesHosted)
	}
	if own.MaxRecipients == nil {
		p.MaxRecipients, p.MaxRecipientsHosted = base.MaxRecipients, cmp.Or(own.MaxRecipientsHosted, base.MaxRecipientsHosted)
	}
	return p
}

// limitFor sets the limits that apply to an account.
func (p *Provider) limitFor(a api.Account) {
	// Domains that the file adds to a built-in provider are an organisation's too.
	own := p.Domains
	if base, ok := builtin().byName(p.ID); ok {
		own = base.Domains
	}
	_, domain, _ := CutDomain(Fold(a.Address))
	if !slices.ContainsFunc(own, func(d string) bool { return covers(d, domain, false) || covers(d, domain, true) }) {
		p.MaxMessages, p.MaxRecipients = cmp.Or(p.MaxMessagesHosted, p.MaxMessages), cmp.Or(p.MaxRecipientsHosted, p.MaxRecipients)
	}
	p.MaxPerMinute = cmp.Or(a.MaxPerMinute, p.MaxPerMinute)
	p.MaxMessages, p.MaxRecipients = cmp.Or(a.MaxMessages, p.MaxMessages), cmp.Or(a.MaxRecipients, p.MaxRecipients)
}

// Limits are what the provider lets an account send, if the account has resolved it.
func (p Provider) Limits() pace.Limits {
	n := func(limit *int) int { return *cmp.Or(limit, new(int)) }
	return pace.Limits{PerMinute: n(p.MaxPerMinute), Messages: n(p.MaxMessages), Recipients: n(p.MaxRecipients)}
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

// checkOAuth returns an error, with what to do instead, if the provider does not support
// OAuth on SMTP.
func (p Provider) checkOAuth() error {
	if p.NoOAuth != "" {
		return trouble(api.Say("Mail programs sign in to {{.Provider}} without OAuth, so they do not need Waxseal.", "Provider", p.Name), api.Say(p.NoOAuth))
	}
	return nil
}

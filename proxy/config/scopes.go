package config

import (
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// ScopesFor returns the scopes to ask for, for an account that does these protocols: everything
// that names the user or keeps the consent alive, and what each protocol needs.
func (p Provider) ScopesFor(protocols []api.Protocol) []string {
	if p.allPermissions() {
		return p.Scopes
	}
	mail := mailScopes(p.Scopes)
	wanted := map[string]bool{}
	for _, protocol := range protocols {
		for _, s := range p.scopesOf(protocol) {
			wanted[s] = true
		}
	}
	var all []string
	for _, s := range slices.Concat(p.Scopes, p.IMAPScopes, p.POPScopes) {
		isMail := slices.Contains(mail, s) || !slices.Contains(p.Scopes, s)
		if (wanted[s] || !isMail) && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// Needs returns the scopes without which each of these protocols cannot be used, by its name. It is
// what an oauth.Config wants.
func (p Provider) Needs(protocols []api.Protocol) map[string][]string {
	needs := make(map[string][]string, len(protocols))
	for _, protocol := range protocols {
		needs[string(protocol)] = p.scopesOf(protocol)
	}
	return needs
}

// scopesOf returns the scopes that one protocol needs: its own or, if there are none, those of the
// provider that are about mail.
func (p Provider) scopesOf(protocol api.Protocol) []string {
	own := map[api.Protocol][]string{api.IMAP: p.IMAPScopes, api.POP: p.POPScopes}[protocol]
	if len(own) > 0 && !p.allPermissions() {
		return own
	}
	return mailScopes(p.Scopes)
}

// allPermissions reports whether the scopes mean all that the registration has, to which none can be
// added (learn.microsoft.com/entra/identity-platform/scopes-oidc#the-default-scope).
func (p Provider) allPermissions() bool {
	return slices.ContainsFunc(p.Scopes, func(s string) bool { return strings.HasSuffix(s, "/.default") })
}

// mailScopes returns those of a list that grant access to mail, or simply all if none of them
// does by its name.
func mailScopes(scopes []string) []string {
	mail := slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return slices.Contains(identityScopes, s) })
	if len(mail) == 0 {
		return scopes
	}
	return mail
}

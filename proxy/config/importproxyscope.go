package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// identityScopes say who somebody is, or how long a consent lasts, but grant no access to mail.
var identityScopes = []string{"openid", "profile", "email", "offline_access", "userinfo", "identity", "calendar"}

// granted reports whether scopes include all that the provider wants for a protocol.
func (p Provider) granted(scopes []string, protocol api.Protocol) bool {
	wanted := p.scopesOf(protocol)
	for _, want := range wanted {
		if !slices.ContainsFunc(scopes, func(s string) bool { return sameScope(s, want) }) {
			return false
		}
	}
	return len(wanted) > 0
}

// foreign reports whether one of the scopes is for another server than the provider's own are.
func (p Provider) foreign(scopes []string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool {
		host := scopeHost(s)
		return host != "" && !slices.ContainsFunc(p.Scopes, func(own string) bool { return scopeHost(own) == host })
	})
}

// sameScope ignores the two names of Exchange Online, and a slash at the end.
func sameScope(a, b string) bool {
	trim := func(s string) string {
		return strings.TrimSuffix(strings.Replace(strings.ToLower(s), "//outlook.office365.com/", "//outlook.office.com/", 1), "/")
	}
	return trim(a) == trim(b)
}

// scopeHost returns the host of a scope that is a URL, and "" for others.
func scopeHost(scope string) string {
	u, err := url.Parse(strings.Replace(strings.ToLower(scope), "//outlook.office365.com/", "//outlook.office.com/", 1))
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// otherThan matches scopes that certainly do not allow a protocol.
var otherThan = map[api.Protocol]*regexp.Regexp{
	api.SMTP: regexp.MustCompile(`(?i)imap|pop\b|pop\.|read|calendar|contacts|mail-r$`),
	api.IMAP: regexp.MustCompile(`(?i)smtp|send|pop\b|pop\.|calendar|contacts`),
	api.POP:  regexp.MustCompile(`(?i)smtp|send|imap|calendar|contacts`),
}

// allow reports whether scopes may allow a protocol, by their names.
func allow(scopes []string, protocol api.Protocol) bool {
	return slices.ContainsFunc(scopes, func(s string) bool {
		return !slices.Contains(identityScopes, s) && !otherThan[protocol].MatchString(s)
	})
}

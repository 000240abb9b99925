package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// identityScopes say who somebody is, or how long a consent lasts, but grant no access to mail.
var identityScopes = []string{"openid", "profile", "email", "offline_access", "userinfo", "identity", "calendar"}

// granted reports whether scopes include all of the provider's that are about mail, or simply
// all if none of them is.
func (p Provider) granted(scopes []string) bool {
	wanted := slices.DeleteFunc(slices.Clone(p.Scopes), func(s string) bool { return slices.Contains(identityScopes, s) })
	if len(wanted) == 0 {
		wanted = p.Scopes
	}
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

// receiving matches scopes that only allow receiving mail, reading or other things.
var receiving = regexp.MustCompile(`(?i)imap|pop\b|pop\.|read|calendar|contacts|mail-r$`)

// allowsSending reports whether a scope may allow sending mail.
func allowsSending(scope string) bool {
	return !slices.Contains(identityScopes, scope) && !receiving.MatchString(scope)
}

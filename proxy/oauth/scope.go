package oauth

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// Names of what an account does with its token, as in Config.Needs.
const (
	useSMTP = "smtp"
	useIMAP = "imap"
	usePOP  = "pop"
)

// uses are the names of what the account does, sending first. A Config that does not say sends.
func (g *Grant) uses() (names []string) {
	for _, use := range []string{useSMTP, useIMAP, usePOP} {
		if _, ok := g.cfg.Needs[use]; ok {
			names = append(names, use)
		}
	}
	if names == nil {
		names = []string{useSMTP}
	}
	return names
}

// needs are the scopes without which a use cannot work.
func (g *Grant) needs(use string) []string {
	if len(g.cfg.Needs) == 0 {
		return g.cfg.Scopes
	}
	return g.cfg.Needs[use]
}

// purposes are words in scopes that say what they are for.
var purposes = map[string][]string{useSMTP: {"smtp", "send"}, useIMAP: {"imap", "read"}, usePOP: {"pop", "read"}}

// lacking are the scopes that a use needs and that were not granted; nil where it is not known what
// was granted.
func (g *Grant) lacking(use string, granted []string) (missing []string) {
	if len(granted) == 0 {
		return nil
	}
	if g.cfg.GrantType == ClientCredentials {
		return lackingRole(use, granted)
	}
	any := false
	for _, want := range g.needs(use) {
		switch {
		case !forMail(want):
		case contains(granted, want):
			any = true
		default:
			missing = append(missing, want)
		}
	}
	if !any {
		return missing
	}
	// Of several, one for something else may be missing: an imported configuration asks for it.
	return slices.DeleteFunc(missing, func(s string) bool { return !about(use, s) })
}

// about reports whether a scope says that it is for a use.
func about(use, scope string) bool {
	scope = strings.ToLower(scope)
	return slices.ContainsFunc(purposes[use], func(word string) bool { return strings.Contains(scope, word) })
}

// refreshScope is the scope to name at a refresh where the provider wants one: what is asked for at a
// sign-in, as far as it is granted. To name more would make the provider refuse the refresh. Of a
// token from before granted scopes were kept, what only reading needs is left out: an account that
// read was asked for it, and its token says so.
func (g *Grant) refreshScope(token stored) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(g.cfg.Scopes), func(s string) bool {
		switch {
		case !forMail(s):
			return false
		case len(token.scopes) > 0:
			return !contains(token.scopes, s)
		}
		return g.uses()[0] == useSMTP && !contains(g.needs(useSMTP), s)
	}), " ")
}

// grantedBy are the scopes for mail that an answer granted. One that does not list them granted what
// was asked for (RFC 6749 section 5.1).
func grantedBy(a answer, asked []string) []string {
	list := a.scopes
	if len(list) == 0 {
		list = asked
	}
	list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !forMail(s) || !printable(s) })
	slices.Sort(list) // providers change the order; that alone does not store them again
	return slices.Compact(list)
}

func contains(granted []string, want string) bool {
	return slices.ContainsFunc(granted, func(s string) bool { return sameScope(s, want) })
}

// forMail reports whether a scope is about more than who the user is and how long the consent lasts.
func forMail(scope string) bool {
	switch strings.ToLower(scope) {
	case "openid", "email", "profile", "offline_access", "offline", "identity", "userinfo":
		return false
	}
	return !strings.Contains(scope, "/userinfo.") && !strings.HasSuffix(scope, "/.default")
}

// sameScope compares a granted scope with a wanted one. Microsoft writes the resource in other ways
// than it was asked for, or leaves it out: SMTP.Send.
func sameScope(granted, want string) bool {
	return strings.EqualFold(permission(granted), permission(want))
}

func permission(scope string) string {
	scope = strings.TrimSuffix(scope, "/")
	if u, err := url.Parse(scope); err == nil && u.Host != "" && u.Path != "" {
		return path.Base(u.Path)
	}
	return scope
}

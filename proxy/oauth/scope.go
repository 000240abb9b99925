package oauth

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// refreshScope is the scope to name where the provider wants that: what was asked for before, without
// what only a consent needs.
func (g *Grant) refreshScope() string { return strings.Join(g.cfg.Scopes, " ") }

// missingScopes are the wanted scopes that matter for sending mail and were not granted. An answer
// that does not list the scopes has granted all (RFC 6749 section 5.1).
func (g *Grant) missingScopes(granted []string) (missing []string) {
	if len(granted) == 0 {
		return nil
	}
	any := false
	for _, want := range g.cfg.Scopes {
		switch {
		case !forMail(want):
		case slices.ContainsFunc(granted, func(s string) bool { return sameScope(s, want) }):
			any = true
		default:
			missing = append(missing, want)
		}
	}
	if !any {
		return missing
	}
	// Of several, a scope for reading may be missing: an imported configuration asks for it.
	return slices.DeleteFunc(missing, func(s string) bool {
		s = strings.ToLower(s)
		return !strings.Contains(s, "smtp") && !strings.Contains(s, "send")
	})
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

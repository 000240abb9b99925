package providertest

import (
	"slices"
	"strings"
)

// Wider says what a refresh gets that asks for a scope which the account has not consented to.
type Wider int

const (
	WiderIgnored Wider = iota // a token for what was consented to, as if the parameter were missing
	WiderGranted              // a token for all of it, as at Microsoft where an administrator has consented
	WiderConsent              // Microsoft's invalid_grant with consent_required, AADSTS65001; the grant stays
	WiderRefused              // invalid_scope (RFC 6749 section 6)
)

// includes reports whether a scope has all values of another one.
func includes(scope, values string) bool {
	have := strings.Fields(scope)
	return !slices.ContainsFunc(strings.Fields(values), func(v string) bool { return !slices.Contains(have, v) })
}

// narrow returns the scope of the token for a refresh that asks for one.
func (t *grant) narrow(asked string, wider Wider) (string, *oauthError) {
	switch {
	case asked == "":
		return t.scope, nil
	case includes(t.scope, asked):
		return asked, nil
	}
	switch wider {
	case WiderGranted:
		for _, s := range strings.Fields(asked) {
			if !includes(t.scope, s) {
				t.scope = strings.TrimSpace(t.scope + " " + s)
			}
		}
		return asked, nil
	case WiderConsent:
		no := invalidGrant("AADSTS65001: The user or administrator has not consented to use the application with ID 'waxseal' " +
			"named 'Waxseal'. Send an interactive authorization request for this user and resource.")
		no.Suberror, no.Codes = "consent_required", []int{65001}
		return "", no
	case WiderRefused:
		return "", newError(400, "invalid_scope", "The scope is wider than the consent.")
	}
	return t.scope, nil
}

// granted returns what an account grants of the scope that it is asked for.
func (p *Provider) granted(account, scope string) string {
	if hook := p.faults.Load().Consent; hook != nil {
		return hook(account, scope)
	}
	return scope
}

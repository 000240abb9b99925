package oauth

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// Scopes are those for mail that are known to be granted; nil while nothing is known, which is so
// before the first token, and with a provider that never says.
func (g *Grant) Scopes() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.granted
}

// Allows reports what is missing for one of Config.Needs, with a [*ScopeError]. It is nil too as long
// as it is not known what was granted, so it is asked after [Grant.Token].
func (g *Grant) Allows(use string) error {
	granted := g.Scopes()
	missing := g.lacking(use, granted)
	if len(missing) == 0 || g.otherNames(use, missing, granted) {
		return nil
	}
	return g.scopeError(ScopeMissing, []string{use}, missing)
}

// otherNames reports whether a provider may have other names for what it was asked for: it lists nothing of
// that, and what is missing is not surely about the use. The mail server decides then.
func (g *Grant) otherNames(use string, missing, granted []string) bool {
	return g.cfg.GrantType != ClientCredentials && !slices.ContainsFunc(missing, func(s string) bool { return about(use, s) }) &&
		!slices.ContainsFunc(g.cfg.Scopes, func(s string) bool { return contains(granted, s) })
}

func (g *Grant) scopeError(reason Reason, uses, missing []string) *ScopeError {
	if g.cfg.GrantType == ClientCredentials {
		reason = RoleMissing
	}
	return &ScopeError{Account: g.account, Uses: uses, Missing: missing, Reason: reason}
}

// Widen asks the provider for more than was granted, without the user: where an administrator has
// consented for everybody, or the user did before, a refresh that names more scopes is enough. Nil
// scopes are those of Config. It asks nobody where they are granted already.
//
// A [*ScopeError] says that a consent is needed, and for what; the account goes on with what it has.
// Nothing is lost by it: a refusal leaves the refresh token as it is (RFC 6749 section 6), and a new
// one is kept even if it comes with less than was asked for. Other errors are those of
// [Grant.Renew].
func (g *Grant) Widen(ctx context.Context, scopes []string) error {
	if scopes == nil {
		scopes = g.cfg.Scopes
	}
	if g.isApp() { // the scopes are the registration's
		if err := g.Renew(ctx); err != nil {
			return err
		}
		return g.allowsAll()
	}
	known := g.Scopes()
	if known == nil {
		token, err := g.load(ctx)
		if err != nil {
			return err
		}
		known = token.scopes
	}
	if len(g.ungranted(scopes, known)) == 0 && len(known) > 0 {
		return nil
	}
	f, err := g.await(ctx, wish{scope: strings.Join(scopes, " ")})
	switch {
	case err != nil:
		return err
	case f.err != nil:
		return f.err
	}
	if missing := g.ungranted(scopes, g.Scopes()); len(missing) > 0 {
		return g.scopeError(ScopeMissing, g.usesOf(missing), missing)
	}
	return nil
}

// allowsAll is the first error of Allows for what the account does.
func (g *Grant) allowsAll() error {
	for _, use := range g.uses() {
		if err := g.Allows(use); err != nil {
			return err
		}
	}
	return nil
}

// ungranted are those of scopes for mail that are not among the granted ones.
func (g *Grant) ungranted(scopes, granted []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !forMail(s) || contains(granted, s) })
}

// usesOf are the uses that need one of the scopes.
func (g *Grant) usesOf(scopes []string) (uses []string) {
	for _, use := range g.uses() {
		if slices.ContainsFunc(g.needs(use), func(s string) bool { return contains(scopes, s) }) {
			uses = append(uses, use)
		}
	}
	return uses
}

// widenRefused is the error of a refresh that named more than was granted. Whatever the provider says to
// that, which with Microsoft is invalid_grant (AADSTS65001), the consent may be as good as before: the
// next plain refresh tells. Only what is surely about the client is an error of its own.
func (g *Grant) widenRefused(err error, scope string) error {
	r, ok := errors.AsType[*RefusedError](err)
	if !ok || ofClient(r) && r.Reason != ScopeRefused {
		return err
	}
	missing := g.ungranted(strings.Fields(scope), g.Scopes())
	e := g.scopeError(r.Reason, g.usesOf(missing), missing)
	e.Code, e.Description = r.Code, r.Description
	switch r.Reason.Class() {
	case ByUser:
		e.Reason = ConsentMissing
	case ByRegistration, ByTime:
		e.Reason = ScopeRefused
	}
	return e
}

package oauth

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/net/idna"
)

// IdentityError says that the consent came from another user than the account's.
// Nothing of it was kept.
type IdentityError struct {
	Want string // the account's address, or its login
	Got  string // who signed in
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("you signed in as %s, but this account is %s; sign in as %[2]s, or set login = %[1]q if %[1]s is to send for it", e.Got, e.Want)
}

// scopes are what a consent asks for: with an issuer also what makes it tell who
// signed in.
func (g *Grant) scopes() []string {
	all := slices.Clone(g.cfg.Scopes)
	if g.cfg.Issuer != "" {
		for _, s := range []string{oidc.ScopeOpenID, oidc.ScopeEmail} {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// claims are the names that providers give a user. Microsoft has the address in
// preferred_username and often no email.
type claims struct {
	Subject  string `json:"sub"`
	Email    string `json:"email"`
	Username string `json:"preferred_username"`
	UPN      string `json:"upn"`
}

func (c claims) names() []string {
	return slices.DeleteFunc([]string{c.Email, c.Username, c.UPN}, func(s string) bool { return s == "" })
}

// identify checks that an answer came from the account's user. A provider that
// does not tell is believed: its mail server checks once more.
func (g *Grant) identify(ctx context.Context, a answer, nonce string) error {
	if g.cfg.Issuer == "" && g.cfg.UserinfoURL == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	names, err := g.names(ctx, a, nonce)
	if err != nil {
		return fmt.Errorf("check who signed in: %w", err)
	}
	want := g.user()
	if len(names) == 0 {
		g.deps.Log.Warn("the provider does not say who signed in")
		return nil
	}
	if slices.ContainsFunc(names, func(name string) bool { return sameUser(name, want) }) {
		return nil
	}
	return &IdentityError{Want: want, Got: clean(names[0], nil)}
}

// names are what the provider calls who signed in: in the ID token, which is
// verified, else at the userinfo endpoint. None when it does not tell.
func (g *Grant) names(ctx context.Context, a answer, nonce string) ([]string, error) {
	var doc oidc.ProviderConfig
	var told claims
	if g.cfg.Issuer != "" {
		var err error
		if doc, err = g.discover(ctx); err != nil {
			return nil, err
		}
		if a.identity != "" {
			if told, err = g.verify(ctx, doc, a, nonce); err != nil {
				return nil, &foreignError{clean(err.Error(), []string{a.identity}), err}
			}
			if names := told.names(); len(names) > 0 {
				return names, nil
			}
		}
	}
	address := g.cfg.UserinfoURL
	if address == "" {
		address = doc.UserInfoURL
	}
	if address == "" {
		return nil, nil
	}
	var info claims
	err := g.fetch(ctx, address, a.access, &info)
	if r, ok := errors.AsType[*RefusedError](err); ok && (r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden) {
		return nil, nil // the token is for mail alone, as Microsoft's are
	}
	if err == nil && told.Subject != "" && told.Subject != info.Subject { // OpenID Connect Core section 5.3.2
		err = errors.New("the provider names two users at once")
	}
	return info.names(), err
}

// discover reads the provider's metadata (OpenID Connect Discovery section 4).
// The issuer in it may differ from ours in its path alone: Microsoft's names a
// tenant, or the place for one, where the address has "common".
func (g *Grant) discover(ctx context.Context) (doc oidc.ProviderConfig, err error) {
	err = g.fetch(ctx, strings.TrimSuffix(g.cfg.Issuer, "/")+"/.well-known/openid-configuration", "", &doc)
	if err == nil && doc.IssuerURL != g.cfg.Issuer && origin(doc.IssuerURL) != origin(g.cfg.Issuer) {
		err = fmt.Errorf("%s calls itself %s", g.cfg.Issuer, clean(doc.IssuerURL, nil))
	}
	return doc, err
}

func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + u.Host
}

// algorithms are those with a public key; others prove nothing to us.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512,
	oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// verify checks an ID token (OpenID Connect Core section 3.1.3.7).
func (g *Grant) verify(ctx context.Context, doc oidc.ProviderConfig, a answer, nonce string) (c claims, err error) {
	keys, err := g.keys(ctx, doc.JWKSURL)
	if err != nil {
		return c, err
	}
	manyTenants := strings.Contains(doc.IssuerURL, "{tenantid}")
	token, err := oidc.NewVerifier(doc.IssuerURL, keys, &oidc.Config{
		ClientID: g.cfg.ClientID, SupportedSigningAlgs: algorithms, SkipIssuerCheck: manyTenants,
	}).Verify(ctx, a.identity)
	if err != nil {
		return c, err
	}
	if manyTenants {
		var tenant struct {
			ID string `json:"tid"`
		}
		if err := token.Claims(&tenant); err != nil || token.Issuer != strings.ReplaceAll(doc.IssuerURL, "{tenantid}", tenant.ID) {
			return c, fmt.Errorf("an ID token of %s, want %s", token.Issuer, doc.IssuerURL)
		}
	}
	if token.Nonce != nonce {
		return c, errors.New("an ID token that was not made for this sign-in")
	}
	return c, token.Claims(&c)
}

// keys are the provider's signing keys (RFC 7517). They are fetched here and not
// by the library, whose fetch has neither a bound nor an owner.
func (g *Grant) keys(ctx context.Context, address string) (*oidc.StaticKeySet, error) {
	var doc struct{ Keys []json.RawMessage }
	if err := g.fetch(ctx, address, "", &doc); err != nil {
		return nil, err
	}
	var public []crypto.PublicKey
	for _, raw := range doc.Keys {
		var k jose.JSONWebKey
		if json.Unmarshal(raw, &k) == nil && k.Valid() && k.IsPublic() && k.Use != "enc" {
			public = append(public, k.Key)
		}
	}
	return &oidc.StaticKeySet{PublicKeys: public}, nil
}

// fetch reads a JSON object. With a token, it goes along (RFC 6750 section 2.1).
func (g *Grant) fetch(ctx context.Context, address, token string, v any) error {
	if !trusted(address) {
		return fmt.Errorf("the provider's address %q is not https", clean(address, nil))
	}
	e := g.endpoint.sibling(identityEndpoint, address)
	request := func(ctx context.Context) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err == nil && token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		return req, err
	}
	_, err := retry(ctx, func() (struct{}, error) {
		return try(ctx, e, request, []string{token}, func(r reply) (none struct{}, err error) {
			if r.status == http.StatusUnauthorized || r.status == http.StatusForbidden {
				return none, &RefusedError{Status: r.status, Code: strings.ToLower(http.StatusText(r.status))}
			}
			var b body
			if err := b.refusal(r.status, r.header, unreadable(r.body, &b), r.clean); err != nil {
				return none, err
			}
			if err := unreadable(r.body, v); err != nil {
				return none, &EndpointError{Status: r.status, Err: err}
			}
			return none, nil
		})
	})
	return err
}

// trusted tells an address that the provider named and that nobody on the way can
// have changed: https, or this machine's own.
func trusted(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || !printable(address) {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// sameUser compares two names of users as providers do.
func sameUser(a, b string) bool { return canonical(a) == canonical(b) }

func canonical(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	i := strings.LastIndexByte(name, '@')
	if i < 0 {
		return name
	}
	local, domain := name[:i], name[i+1:]
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = ascii
	}
	if domain == "gmail.com" || domain == "googlemail.com" { // one domain, and dots count for nothing
		local, domain = strings.ReplaceAll(local, ".", ""), "gmail.com"
	}
	return local + "@" + domain
}

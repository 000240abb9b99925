package oauth

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/net/idna"
)

// IdentityError says that the consent came from another user than the account's. Nothing of it was
// kept.
type IdentityError struct {
	Want string // the account's address, or its login
	Got  string // who signed in
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("you signed in as %s, but this account is %s; sign in as %[2]s, or set login = %[1]q if %[1]s is to send for it", e.Got, e.Want)
}

// scopes are what a consent asks for: with an issuer also those that make it tell who signed in.
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

// claims are the names that providers give a user. Microsoft has the address in preferred_username
// and often no email.
type claims struct {
	Subject  string          `json:"sub"`
	Email    string          `json:"email"`
	Verified json.RawMessage `json:"email_verified"` // a string at some providers
	Username string          `json:"preferred_username"`
	UPN      string          `json:"upn"`
}

// longestName is the longest that a mail address can be, in bytes: RFC 5321 section 4.5.3.1 allows 64
// for the local part and 255 for the domain.
const longestName = 320

// names are what the provider calls the user.
func (c claims) names() []string {
	return slices.DeleteFunc([]string{c.Email, c.Username, c.UPN}, func(s string) bool { return s == "" || len(s) > longestName })
}

// verified is without an address that the provider says it has not verified: that may be anybody's.
func (c claims) verified() claims {
	if text(c.Verified) == "false" || string(c.Verified) == "false" {
		c.Email = ""
	}
	return c
}

// login is the name that the provider's mail server is likely to know the user by: the user principal
// name before the address, and what is not an address last.
func (c claims) login() string {
	names := c.names()
	slices.Reverse(names)
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(strings.Count(b, "@"), strings.Count(a, "@"))
	})
	if len(names) == 0 {
		return ""
	}
	return shown(names[0])
}

// unverified reads an ID token without a look at its signature. Nothing may be decided by what it says,
// but a name can be shown: the token comes straight from the token endpoint, which OpenID Connect Core
// section 3.1.3.7 takes for as good as the signature.
func unverified(identity string) (c claims) {
	parts := strings.Split(identity, ".")
	if len(parts) == 3 {
		if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(payload, &c)
		}
	}
	return c
}

// identify checks that an answer came from the account's user, and gives the name to log in with, if
// there is one. A provider that does not tell who signed in is believed: its mail server checks once
// more.
func (g *Grant) identify(ctx context.Context, a answer, nonce string) (signedIn string, err error) {
	if g.cfg.Issuer == "" && g.cfg.UserinfoURL == "" {
		return unverified(a.identity).login(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, g.patience)
	defer cancel()
	who, err := g.who(ctx, a, nonce)
	if err != nil {
		return "", fmt.Errorf("check who signed in: %w", err)
	}
	want := g.user()
	isWant := func(name string) bool { return sameUser(name, want) }
	names, verified := who.names(), who.verified().names()
	switch {
	case slices.ContainsFunc(verified, isWant):
	case len(verified) > 0:
		return "", &IdentityError{Want: want, Got: shown(verified[0])}
	case len(names) == 0, slices.ContainsFunc(names, isWant):
		g.deps.Log.Warn("the provider does not say for certain who signed in")
	default:
		return "", &IdentityError{Want: want, Got: shown(names[0])}
	}
	return who.login(), nil
}

// who is how the provider calls the user who signed in: in the ID token, which is verified, else at
// the userinfo endpoint. It has no names when the provider does not tell.
func (g *Grant) who(ctx context.Context, a answer, nonce string) (told claims, err error) {
	var doc oidc.ProviderConfig
	if g.cfg.Issuer != "" {
		if doc, err = g.discover(ctx); err != nil {
			return told, err
		}
		if a.identity != "" {
			if told, err = g.verify(ctx, doc, a, nonce); err != nil {
				return told, a.timeCheck(&foreignError{clean(err.Error(), a.identity), err})
			}
			if len(told.verified().names()) > 0 {
				return told, nil
			}
		}
	}
	address, by := g.cfg.UserinfoURL, g.cfg.UserinfoURL
	if address == "" {
		address, by = doc.UserInfoURL, g.cfg.Issuer
	}
	if address == "" {
		return told, nil
	}
	var info claims
	err = g.fetch(ctx, address, by, a.access, &info)
	if r, ok := errors.AsType[*RefusedError](err); ok && (r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden) {
		return told, nil // the token is for mail alone, as Microsoft's are
	}
	if err == nil && told.Subject != "" && told.Subject != info.Subject { // OpenID Connect Core section 5.3.2
		err = errors.New("the provider names two users at once")
	}
	return info, err
}

// timeCheck adds to a check that failed that the clock may be the cause.
func (a answer) timeCheck(err error) error {
	_, expired := errors.AsType[*oidc.TokenExpiredError](err)
	if a.clockOff == 0 || !expired && !strings.Contains(err.Error(), "nbf") {
		return err
	}
	return &ClockError{Off: a.clockOff, Err: err}
}

// discover reads the provider's metadata (OpenID Connect Discovery section 4). The issuer in it may
// differ from ours in its path alone: Microsoft's names a tenant, or the place for one, where the
// address has "common".
func (g *Grant) discover(ctx context.Context) (doc oidc.ProviderConfig, err error) {
	err = g.fetch(ctx, strings.TrimSuffix(g.cfg.Issuer, "/")+"/.well-known/openid-configuration", g.cfg.Issuer, "", &doc)
	if err == nil && doc.IssuerURL != g.cfg.Issuer && origin(doc.IssuerURL) != origin(g.cfg.Issuer) {
		err = fmt.Errorf("%s calls itself %s", g.cfg.Issuer, clean(doc.IssuerURL))
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

// fetch reads a JSON object. A token goes along if there is one (RFC 6750 section 2.1). by is the
// configured address that the object's address comes from.
func (g *Grant) fetch(ctx context.Context, address, by, token string, v any) error {
	if !trusted(address, by) {
		return fmt.Errorf("the provider's address %q is not https", clean(address))
	}
	e := g.endpoint.sibling(identityEndpoint, address)
	request := func(ctx context.Context) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err == nil && token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		return req, err
	}
	_, err := retry(ctx, g.patience, always, func() (struct{}, error) {
		return try(ctx, e, request, e.cleaner(token), func(r reply) (none struct{}, err error) {
			if r.status == http.StatusUnauthorized || r.status == http.StatusForbidden {
				return none, &RefusedError{Status: r.status, Reason: Refused, Code: strings.ToLower(http.StatusText(r.status))}
			}
			f, bad := decode(r.body)
			if err := f.refusal(r, bad); err != nil {
				return none, err
			}
			if json.Unmarshal(r.body, v) != nil {
				return none, &EndpointError{Status: r.status, Reason: OddAnswer, Err: errNotJSON}
			}
			return none, nil
		})
	})
	return err
}

// trusted reports whether nobody on the way can have changed what an address leads to: it is https, or
// it is on this machine. The latter is for a provider that is on this machine itself, by the address
// that is configured for it: another one must not lead requests to a port here.
func trusted(address, by string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || !printable(address) {
		return false
	}
	return u.Scheme == "https" || onThisMachine(u) && localAddress(by)
}

func localAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && onThisMachine(u)
}

func onThisMachine(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
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
	if foldable(domain) {
		if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
			domain = ascii
		}
	}
	if domain == "gmail.com" || domain == "googlemail.com" { // one domain, and dots do not count
		local, domain = strings.ReplaceAll(local, ".", ""), "gmail.com"
	}
	return local + "@" + domain
}

// foldable reports whether a domain may be one by its length. For others it takes IDNA time in
// proportion to the square of it to find out.
func foldable(domain string) bool {
	const label = 63 // RFC 1035 section 2.3.4
	return len(domain) <= longestName && !slices.ContainsFunc(strings.FieldsFunc(domain, isDot), func(l string) bool {
		return utf8.RuneCountInString(l) > label
	})
}

// isDot reports whether IDNA takes r for a dot.
func isDot(r rune) bool { return r == '.' || r == '。' || r == '．' || r == '｡' }

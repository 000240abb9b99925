package oauth

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/waxseal/waxseal/keystore"
)

// Values of Config.GrantType: rights that an organisation's administrator gave
// the program itself, so that it sends for many mailboxes.
const (
	// ClientCredentials is RFC 6749 section 4.4, as Microsoft 365 has it. The
	// secret is kept under "client/<client ID>".
	ClientCredentials = "client_credentials"
	// JWTBearer is RFC 7523 section 2.1, as Google's service accounts with
	// domain-wide delegation have it. The key file is kept under
	// "service/<client ID>", as downloaded.
	JWTBearer = "jwt_bearer"
)

const (
	jwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer" // #nosec G101 -- a name
	assertionLife  = time.Hour                                     // the most that Google takes
)

// ErrAdmin is what errors.Is finds in every [*AdminError].
var ErrAdmin = errors.New("an administrator must act")

// errNoSignIn is the answer to a consent that is of no use.
var errNoSignIn = errors.New("nobody signs in for this account: the program has its own right to send for it (grant_type)")

// AdminError says that only an administrator can help: the program's own right to
// send for the account is missing or was taken back.
type AdminError struct {
	Account string
	Reason  string // in a person's words, with the cure
	Err     error  // the provider's answer, or nil when it was not asked
}

func (e *AdminError) Error() string {
	return fmt.Sprintf("an administrator must let Waxseal send for %s: %s", e.Account, e.Reason)
}

// Is makes it an [ErrAdmin].
func (e *AdminError) Is(target error) bool { return target == ErrAdmin }

// Unwrap gives Err.
func (e *AdminError) Unwrap() error { return e.Err }

// appToken gets an access token by the program's own right.
func (g *Grant) appToken(ctx context.Context) (*cached, error) {
	form, secret, err := g.appForm(ctx)
	if err != nil {
		return nil, err
	}
	e := g.endpoint
	if g.cfg.GrantType == JWTBearer { // the assertion says who asks (RFC 7521 section 4.1)
		e = e.sibling(tokenEndpoint, e.url)
		e.clientID = ""
	}
	a, err := g.guarded(ctx, func() (answer, error) { return e.post(ctx, form, secret) })
	if r, ok := errors.AsType[*RefusedError](err); ok {
		return nil, &AdminError{Account: g.account, Reason: adminReason(g.cfg.GrantType, r), Err: r}
	}
	if err != nil {
		return nil, err
	}
	return newCached(a.access, a.received, a.life), nil
}

// appForm is the request for such a token, and the client secret to send along.
func (g *Grant) appForm(ctx context.Context) (form url.Values, secret string, err error) {
	scope := strings.Join(g.cfg.Scopes, " ")
	switch g.cfg.GrantType {
	case ClientCredentials:
		secret, err = g.secret(ctx)
		if err == nil && secret == "" {
			err = g.adminError("the client secret of " + g.cfg.ClientID + " is not stored")
		}
		return url.Values{"grant_type": {ClientCredentials}, "scope": {scope}}, secret, err
	case JWTBearer:
		assertion, err := g.assertion(ctx, scope)
		return url.Values{"grant_type": {jwtBearerGrant}, "assertion": {assertion}}, "", err
	}
	return nil, "", fmt.Errorf("grant type %q is not known; use %s or %s", g.cfg.GrantType, ClientCredentials, JWTBearer)
}

func (g *Grant) adminError(reason string) error {
	return &AdminError{Account: g.account, Reason: reason}
}

// serviceKey is the key file of a service account, as far as it matters. Its
// token_uri does not: the configuration says where the assertion goes.
type serviceKey struct {
	Type  string `json:"type"`
	Email string `json:"client_email"`
	ID    string `json:"private_key_id"`
	PEM   string `json:"private_key"`
}

// assertion is what a service account proves itself with, in the name of the
// account's user (RFC 7523 section 3). x/oauth2 could make it, but not without
// asking for the token too, in its own way.
func (g *Grant) assertion(ctx context.Context, scope string) (string, error) {
	file, err := g.deps.Secrets.Get(ctx, ServiceKey(g.cfg.ClientID))
	if errors.Is(err, keystore.ErrNotFound) {
		return "", g.adminError("the key of the service account " + g.cfg.ClientID + " is not stored")
	}
	if err != nil {
		return "", fmt.Errorf("read the service account's key: %w", err)
	}
	k, signingKey, err := parseServiceKey(file)
	if err != nil {
		return "", g.adminError("the key of the service account " + g.cfg.ClientID + " " + err.Error())
	}
	now := g.deps.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": k.Email, "sub": g.user(), "scope": scope, "aud": g.cfg.TokenURL,
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: signingKey},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", k.ID))
	if err != nil {
		return "", fmt.Errorf("sign for the service account: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign for the service account: %w", err)
	}
	return signed.CompactSerialize()
}

// parseServiceKey reads a key file. Its errors show nothing of it.
func parseServiceKey(file string) (k serviceKey, key *rsa.PrivateKey, err error) {
	if json.Unmarshal([]byte(file), &k) != nil || k.Type != "service_account" || k.Email == "" {
		return k, nil, errors.New(`is not the JSON file of a service account ("type": "service_account"); download a new one`)
	}
	bad := errors.New("holds no RSA key; download a new one")
	block, _ := pem.Decode([]byte(k.PEM))
	if block == nil {
		return k, nil, bad
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return k, nil, bad
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return k, nil, bad
	}
	return k, key, nil
}

// adminReason says what the provider lacks, and the cure.
func adminReason(grantType string, r *RefusedError) string {
	text, cure := consentReason(r.Code, r.Description), registrationCure(r.Code, r.Description)
	switch {
	case grantType == JWTBearer && r.Code == "unauthorized_client":
		cure = "allow the service account's client ID and these scopes under domain-wide delegation"
	case grantType == JWTBearer && r.Code == "invalid_grant":
		cure = "check that the user exists, that the key was not deleted, and this machine's clock"
	}
	if cure != "" {
		text += "; " + cure
	}
	return text
}

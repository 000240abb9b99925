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

// Values of Config.GrantType: rights that an organisation's administrator gave the program itself, so
// that it serves many mailboxes.
const (
	// ClientCredentials is RFC 6749 section 4.4, as Microsoft 365 has it. The secret is kept under
	// [ClientKey]. What the program may do is in the token: see [Grant.Allows].
	ClientCredentials = "client_credentials"
	// JWTBearer is RFC 7523 section 2.1, as Google's service accounts with domain-wide delegation
	// have it. The key file is kept under [ServiceKey], as downloaded.
	JWTBearer = "jwt_bearer"
)

const (
	jwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer" // #nosec G101 -- a name
	assertionLife  = time.Hour                                     // the longest that Google takes
)

// errNoSignIn is the answer to a consent that would be of no use.
var errNoSignIn = errors.New("nobody signs in for this account: the program has its own right to its mailbox (grant_type)")

// isApp reports whether the program has its own right to the mailbox. Several machines then share the access token alone.
// They take turns to ask for it, so that all of them ask as often as one, but none needs the others for that: who asks
// twice has two tokens.
func (g *Grant) isApp() bool { return g.cfg.GrantType != "" }

// appToken gets an access token by the program's own right. Only an administrator can give that, and
// the registration with it.
func (g *Grant) appToken(ctx context.Context, generation uint64) (*cached, error) {
	prepare, cancel := context.WithTimeout(ctx, g.patience)
	defer cancel()
	q, err := g.appQuestion(prepare)
	if err != nil {
		return nil, err
	}
	e := g.endpoint
	if g.cfg.GrantType == JWTBearer { // the assertion says who asks (RFC 7521 section 4.1)
		e = e.sibling(tokenEndpoint, e.url)
		e.clientID = ""
	}
	a, err := g.guarded(func() (answer, error) {
		return retry(ctx, g.patience, always, func() (answer, error) { return e.post(ctx, q) })
	})
	if r, ok := errors.AsType[*RefusedError](err); ok {
		return nil, &AdminError{
			Account: g.account, Reason: g.appReason(r), Code: r.Code, Description: r.Description, ClockOff: r.ClockOff, Err: r,
		}
	}
	if err != nil {
		return nil, err
	}
	g.knows(generation, rolesOf(a.access))
	return newCached(a), nil
}

// appReason reads a refusal for what it means of a program's own right. Google refuses an assertion
// with codes that are about consents elsewhere.
func (g *Grant) appReason(r *RefusedError) Reason {
	switch {
	case g.cfg.GrantType != JWTBearer:
	case r.name == "unauthorized_client":
		return DelegationMissing
	case r.Reason.Class() == ByUser && r.ClockOff != 0:
		return ClockWrong
	case r.Reason == ConsentEnded:
		return AssertionRefused
	}
	return r.Reason
}

// appQuestion is the request for such a token.
func (g *Grant) appQuestion(ctx context.Context) (question, error) {
	scope := strings.Join(g.cfg.Scopes, " ")
	switch g.cfg.GrantType {
	case ClientCredentials:
		secret, err := g.secret(ctx)
		if err == nil && secret == "" {
			err = g.missing(SecretMissing, "the client secret of "+g.cfg.ClientID+" is not stored")
		}
		return question{form: url.Values{"grant_type": {ClientCredentials}, "scope": {scope}}, secret: secret}, err
	case JWTBearer:
		assertion, err := g.assertion(ctx, scope)
		return question{form: url.Values{"grant_type": {jwtBearerGrant}, "assertion": {assertion}}}, err
	}
	return question{}, fmt.Errorf("grant type %q is not known; use %s or %s", g.cfg.GrantType, ClientCredentials, JWTBearer)
}

// missing is the error of what an administrator must bring before the provider can be asked.
func (g *Grant) missing(reason Reason, text string) error {
	return &AdminError{Account: g.account, Reason: reason, Err: errors.New(text)}
}

// serviceKey is the key file of a service account, as far as it matters. Its token_uri does not: the
// configuration says where the assertion goes.
type serviceKey struct {
	Type  string `json:"type"`
	Email string `json:"client_email"`
	ID    string `json:"private_key_id"`
	PEM   string `json:"private_key"`
}

// assertion is what a service account proves itself with, in the name of the account's user (RFC 7523
// section 3). x/oauth2 could make it, but only together with its own way of asking for the token.
func (g *Grant) assertion(ctx context.Context, scope string) (string, error) {
	file, err := g.deps.Secrets.Get(ctx, ServiceKey(g.cfg.ClientID))
	if errors.Is(err, keystore.ErrNotFound) {
		return "", g.missing(KeyMissing, "the key of the service account "+g.cfg.ClientID+" is not stored")
	}
	if err != nil {
		return "", fmt.Errorf("read the service account's key: %w", err)
	}
	k, signingKey, err := parseServiceKey(file)
	if err != nil {
		return "", g.missing(KeyMissing, "the key of the service account "+g.cfg.ClientID+" "+err.Error())
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

// parseServiceKey reads a key file. Its errors show nothing of the file.
func parseServiceKey(file string) (k serviceKey, key *rsa.PrivateKey, err error) {
	if json.Unmarshal([]byte(file), &k) != nil || k.Type != "service_account" || k.Email == "" {
		return k, nil, errors.New(`is not the JSON file of a service account ("type": "service_account"); download a new one`)
	}
	bad := errors.New("does not hold an RSA key; download a new one")
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

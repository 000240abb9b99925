package providertest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	jwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	serviceEmail   = "waxseal@service.test"
)

// service is the provider's only service account.
type service struct {
	mu  sync.Mutex
	key *rsa.PrivateKey // made by ServiceKey
}

// ServiceKey makes the key file, in Google's format, of a service account that may send for every
// account. A later call makes another key and invalidates the one before.
func (p *Provider) ServiceKey() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("service account's key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("service account's key: %w", err)
	}
	p.service.mu.Lock()
	p.service.key = key
	p.service.mu.Unlock()
	return json.Marshal(map[string]string{
		"type": "service_account", "client_email": serviceEmail, "private_key_id": "1", "token_uri": p.TokenURL(),
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
}

// appToken issues a token to a client acting for itself (RFC 6749 section 4.4). Its secret has been
// checked.
func (p *Provider) appToken(scope string) (tokens, *oauthError) {
	if p.opts.ClientSecret == "" {
		return tokens{}, newError(400, "unauthorized_client", "A public client cannot act for itself.")
	}
	return p.grants.app(&grant{app: true, scope: scope}), nil
}

// delegated issues a token to the service account for the user that its assertion names (RFC 7523
// section 3).
func (p *Provider) delegated(assertion string) (tokens, *oauthError) {
	p.service.mu.Lock()
	key := p.service.key
	p.service.mu.Unlock()
	jws, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || key == nil {
		return tokens{}, invalidGrant("Invalid JWT.")
	}
	payload, err := jws.Verify(key.Public())
	if err != nil {
		return tokens{}, invalidGrant("Invalid JWT Signature.")
	}
	var c struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		Scope    string `json:"scope"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}
	now := time.Now()
	switch {
	case json.Unmarshal(payload, &c) != nil, c.Issuer != serviceEmail, c.Audience != p.TokenURL():
		return tokens{}, invalidGrant("Invalid JWT: iss or aud is wrong.")
	case now.Unix() > c.Expires, c.Expires-c.Issued > int64(time.Hour/time.Second), c.Issued > now.Add(time.Minute).Unix():
		return tokens{}, invalidGrant("Invalid JWT: Token must be a short-lived token (60 minutes).")
	case !p.known(c.Subject):
		return tokens{}, invalidGrant("Invalid email or User ID")
	}
	return p.grants.app(&grant{account: c.Subject, scope: c.Scope}), nil
}

// app issues an access token without a refresh token.
func (g *grants) app(t *grant) tokens {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.account != "" {
		key := fold(t.account)
		g.account[key] = append(g.account[key], t) // so that Revoke and ExpireAccess find it
	}
	return tokens{access: g.issue(t, t.scope), scope: t.scope}
}

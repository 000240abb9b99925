package oauth

import (
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

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
	manyTenants := strings.Contains(doc.IssuerURL, tenantPlace)
	token, err := oidc.NewVerifier(doc.IssuerURL, keys, &oidc.Config{
		ClientID: g.cfg.ClientID, SupportedSigningAlgs: algorithms, SkipIssuerCheck: manyTenants, Now: g.deps.Now,
	}).Verify(ctx, a.identity)
	if err != nil {
		return c, err
	}
	if manyTenants {
		var tenant struct {
			ID string `json:"tid"`
		}
		if err := token.Claims(&tenant); err != nil || token.Issuer != strings.ReplaceAll(doc.IssuerURL, tenantPlace, tenant.ID) {
			return c, fmt.Errorf("an ID token of %s, want %s", token.Issuer, doc.IssuerURL)
		}
	}
	if token.Nonce != nonce {
		return c, errors.New("an ID token that was not made for this sign-in")
	}
	return c, token.Claims(&c)
}

// tenantPlace is where Microsoft's metadata for many tenants has a tenant's ID in the issuer.
const tenantPlace = "{tenantid}"

const (
	// maxKeys and maxKeyBits bound the work that signing keys can cause. RSA keys have 2048 bits and
	// seldom more than 4096; a signature by one of a million takes seconds to check.
	maxKeys    = 50
	maxKeyBits = 8192
)

// keys are the provider's signing keys (RFC 7517). They are fetched here and not by the library, whose
// fetch has neither a bound nor an owner.
func (g *Grant) keys(ctx context.Context, address string) (*oidc.StaticKeySet, error) {
	var doc struct{ Keys []json.RawMessage }
	if err := g.fetch(ctx, address, g.cfg.Issuer, "", &doc); err != nil {
		return nil, err
	}
	var public []crypto.PublicKey
	for _, raw := range doc.Keys[:min(len(doc.Keys), maxKeys)] {
		if key := signingKey(raw); key != nil {
			public = append(public, key)
		}
	}
	return &oidc.StaticKeySet{PublicKeys: public}, nil
}

// signingKey reads one key, or gives nil for one that is of no use.
func signingKey(raw json.RawMessage) crypto.PublicKey {
	var k jose.JSONWebKey
	if len(raw) > maxKeyBits || json.Unmarshal(raw, &k) != nil || !k.Valid() || !k.IsPublic() || k.Use == "enc" {
		return nil
	}
	if r, ok := k.Key.(*rsa.PublicKey); ok && r.N.BitLen() > maxKeyBits {
		return nil
	}
	return k.Key
}

package providertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// signer signs ID tokens.
type signer struct {
	key    *ecdsa.PrivateKey // quicker to make than an RSA key
	signer jose.Signer
}

const signingKeyID = "1"

func (s *signer) init() (err error) {
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	s.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", signingKeyID))
	return err
}

// discovery lists the endpoints (OpenID Connect Discovery section 4).
func (p *Provider) discovery(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.AuthURL(), "token_endpoint": p.TokenURL(),
		"jwks_uri": p.URL + "/keys", "userinfo_endpoint": p.UserinfoURL(),
		"revocation_endpoint": p.RevokeURL(), "device_authorization_endpoint": p.DeviceURL(),
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "code_challenge_methods_supported": []string{"S256"},
	})
}

// keys publishes the key that ID tokens are signed with (RFC 7517).
func (p *Provider) keys(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: p.signer.key.Public(), KeyID: signingKeyID, Algorithm: "ES256", Use: "sig"},
	}})
}

// UserinfoURL is where a client learns who a token's user is (OpenID Connect Core section 5.3).
func (p *Provider) UserinfoURL() string { return p.URL + "/userinfo" }

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	g := p.grants.owner(token)
	if g == nil || g.app {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		answer(w, http.StatusUnauthorized, &oauthError{Code: "invalid_token"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"sub": fold(g.account), "email": g.account, "email_verified": true})
}

func wantsIdentity(scope string) bool { return slices.Contains(strings.Fields(scope), "openid") }

// identity makes an ID token (OpenID Connect Core section 2).
func (p *Provider) identity(g *grant) string {
	now := time.Now()
	claims := map[string]any{
		"iss": p.URL, "aud": g.client, "sub": fold(g.account), "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"email": g.account, "email_verified": true,
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if hook := p.faults.Load().Identity; hook != nil {
		hook(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return ""
	}
	signed, err := p.signer.signer.Sign(payload)
	if err != nil {
		return ""
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return ""
	}
	return token
}

package providertest

import (
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// grants are the consents that users have given, and the tokens issued for them.
type grants struct {
	ttl    time.Duration
	size   int
	rotate bool
	old    bool // used refresh tokens stay valid

	replays *atomic.Int64 // see Counts

	mu      sync.Mutex
	codes   map[string]*code
	devices map[string]*device // by device code
	refresh map[string]*grant  // including used refresh tokens, so that a replay is noticed
	access  map[string]access
	account map[string][]*grant // by folded account
}

// grant is one consent of one account to one client.
type grant struct {
	account string
	client  string // empty: any client may use it
	scope   string
	current string // the valid refresh token
	revoked bool
	access  []string // access tokens that were issued and may still be valid
	nonce   string   // of the authorization request, for the ID token
	app     bool     // issued to a program acting for itself; valid for any account
}

type access struct {
	grant   *grant
	scope   string
	expires time.Time
}

// code is an authorization code (RFC 6749 section 4.1, RFC 7636).
type code struct {
	account, client, redirect, scope, challenge, nonce string

	expires time.Time
	grant   *grant // what it was exchanged for; a second use revokes that (RFC 6749 section 4.1.2)
}

// tokens are what a token request returns.
type tokens struct {
	access, refresh, scope string

	grant *grant // whose user an ID token names; nil: there is no ID token
}

func (g *grants) init(o Options) {
	g.ttl, g.size, g.rotate, g.old = o.TokenTTL, o.TokenSize, o.Rotate, o.OldTokens
	g.codes, g.devices = map[string]*code{}, map[string]*device{}
	g.refresh, g.access, g.account = map[string]*grant{}, map[string]access{}, map[string][]*grant{}
}

// secret makes an unguessable string of n characters, of which at least 26 are random.
func secret(prefix string, n int) string {
	var b strings.Builder
	b.WriteString(prefix)
	b.WriteString(rand.Text())
	for b.Len() < n {
		b.WriteString(rand.Text())
	}
	return b.String()[:max(n, len(prefix)+26)]
}

// consent makes a grant with its first refresh token. The caller must hold mu.
func (g *grants) consent(account, client, scope string) *grant {
	t := &grant{account: account, client: client, scope: scope, current: secret("refresh-", 64)}
	g.refresh[t.current] = t
	key := fold(account)
	g.account[key] = append(g.account[key], t)
	return t
}

// issue makes an access token for a grant's scope or a part of it, and drops the grant's expired
// ones. The caller must hold mu.
func (g *grants) issue(t *grant, scope string) string {
	now := time.Now()
	t.access = slices.DeleteFunc(t.access, func(old string) bool {
		gone := !now.Before(g.access[old].expires)
		if gone {
			delete(g.access, old)
		}
		return gone
	})
	token := secret("access-", g.size)
	g.access[token] = access{t, scope, now.Add(g.ttl)}
	t.access = append(t.access, token)
	return token
}

// expire makes a grant's access tokens invalid. The caller must hold mu.
func (g *grants) expire(t *grant) {
	for _, token := range t.access {
		delete(g.access, token)
	}
	t.access = nil
}

// revoke ends a grant. The caller must hold mu.
func (g *grants) revoke(t *grant) {
	t.revoked = true
	g.expire(t)
}

// look returns what an access token is good for, or false if it is not valid.
func (g *grants) look(token string) (access, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a, ok := g.access[token]
	return a, ok && time.Now().Before(a.expires)
}

// owner returns the grant that an access token belongs to, or nil if the token is not valid.
func (g *grants) owner(token string) *grant {
	if a, ok := g.look(token); ok {
		return a.grant
	}
	return nil
}

// speaksFor reports whether account may log in with this grant's tokens.
func (t *grant) speaksFor(account string) bool { return t.app || fold(t.account) == fold(account) }

// exchange exchanges a code for tokens.
func (g *grants) exchange(secret, client, redirect, verifier string) (tokens, *oauthError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.codes[secret]
	switch {
	case c == nil:
		return tokens{}, invalidGrant("Malformed auth code.")
	case c.grant != nil:
		g.revoke(c.grant)
		return tokens{}, invalidGrant("Code was already redeemed; the tokens issued for it are revoked.")
	case time.Now().After(c.expires):
		return tokens{}, invalidGrant("Code has expired.")
	case c.client != client:
		return tokens{}, invalidGrant("Code was issued to another client.")
	case c.redirect != redirect:
		return tokens{}, invalidGrant("redirect_uri differs from that of the authorization request.")
	case challengeOf(verifier) != c.challenge:
		return tokens{}, invalidGrant("code_verifier does not match the code_challenge.")
	}
	c.grant = g.consent(c.account, client, c.scope)
	c.grant.nonce = c.nonce
	return tokens{g.issue(c.grant, c.scope), c.grant.current, c.scope, c.grant}, nil
}

// renew issues a new access token for a refresh token, and a new refresh token if they rotate.
// The scope may be narrower than that of the consent (RFC 6749 section 6); wider decides about others.
func (g *grants) renew(refresh, client, scope string, wider Wider) (tokens, *oauthError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.refresh[refresh]
	if t != nil && t.current != refresh {
		g.replays.Add(1)
	}
	switch {
	case t == nil:
		return tokens{}, invalidGrant("Unknown refresh token.")
	case t.revoked:
		return tokens{}, invalidGrant("Token has been expired or revoked.")
	case t.client != "" && t.client != client:
		return tokens{}, invalidGrant("Refresh token was issued to another client.")
	case t.current != refresh && !g.old:
		g.revoke(t)
		return tokens{}, invalidGrant("Refresh token was used before; the grant is revoked.")
	}
	scope, no := t.narrow(scope, wider)
	if no != nil {
		return tokens{}, no
	}
	out := tokens{access: g.issue(t, scope), scope: scope}
	if g.rotate {
		t.current = secret("refresh-", 64)
		g.refresh[t.current] = t
		out.refresh = t.current
	}
	return out, nil
}

// Grant returns a refresh token for account, as if its user had consented to everything. Any client
// may use it.
func (p *Provider) Grant(account string) (refreshToken string) {
	scope := []string{defaultScope}
	for _, s := range p.opts.Scopes {
		scope = append(scope, s)
	}
	return p.GrantScope(account, strings.Join(scope, " "))
}

// GrantScope returns a refresh token for account, as if its user had consented to scope alone.
func (p *Provider) GrantScope(account, scope string) (refreshToken string) {
	p.grants.mu.Lock()
	defer p.grants.mu.Unlock()
	return p.grants.consent(account, "", scope).current
}

// Revoke ends all consents of account, as its user can do on the provider's site: refresh tokens get
// invalid_grant and access tokens are refused. Connections that are logged in stay logged in.
func (p *Provider) Revoke(account string) {
	p.grants.mu.Lock()
	defer p.grants.mu.Unlock()
	for _, t := range p.grants.account[fold(account)] {
		p.grants.revoke(t)
	}
}

// ExpireAccess makes the access tokens of account expire early. Its refresh tokens stay valid.
func (p *Provider) ExpireAccess(account string) {
	p.grants.mu.Lock()
	defer p.grants.mu.Unlock()
	for _, t := range p.grants.account[fold(account)] {
		p.grants.expire(t)
	}
}

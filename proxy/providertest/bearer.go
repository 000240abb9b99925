package providertest

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// report is the server's challenge after a refused token (RFC 7628 section 3.2.2; the same in
// XOAUTH2).
type report struct {
	Status  string `json:"status"`
	Schemes string `json:"schemes"`
	Scope   string `json:"scope"`
}

const defaultScope = "https://mail.provider.test/"

// The reasons to refuse a token.
const (
	invalidToken      = "invalid_token"
	insufficientScope = "insufficient_scope"
	wrongUser         = "wrong_user" // another login helps, not another token
)

// admit reports until when user may use a protocol with a token, or why not.
func (p *Provider) admit(protocol Protocol, user, token string) (expires time.Time, status string) {
	a, ok := p.grants.look(token)
	need := p.opts.Scopes[protocol]
	switch {
	case !ok:
		return time.Time{}, invalidToken
	case need != "" && !a.grant.app && !includes(a.scope, need):
		return time.Time{}, insufficientScope
	case !a.grant.speaksFor(user) && (protocol == SMTP || !p.shares(user, a.grant.account)):
		return time.Time{}, wrongUser
	}
	return a.expires, ""
}

// shares reports whether delegate may read the mailbox of address.
func (p *Provider) shares(address, delegate string) bool {
	for shared, delegates := range p.opts.Shared {
		if fold(shared) != fold(address) {
			continue
		}
		for _, d := range delegates {
			if fold(d) == fold(delegate) {
				return true
			}
		}
	}
	return false
}

// report is the challenge that explains a refusal.
func (p *Provider) report(protocol Protocol, status string) string {
	scope := p.opts.Scopes[protocol]
	if scope == "" {
		scope = defaultScope
	}
	text, _ := json.Marshal(report{Status: status, Schemes: "bearer", Scope: scope})
	return string(text)
}

// refuseLogin counts a refused login, and reports whether it was one too many.
func (c *peer) refuseLogin() (last bool) {
	c.count.authFailures.Add(1)
	c.p.log.Debug("login refused", "protocol", string(c.protocol), "conn", c.id, "mechanism", c.mechanism)
	c.failures++
	return c.failures >= 3
}

// parseBearer parses both forms: "user=U^Aauth=Bearer T^A^A" and, for OAUTHBEARER (RFC 7628 section
// 3.1), "n,a=U,^Ahost=H^Aport=P^Aauth=Bearer T^A^A" with the pairs in any order.
func parseBearer(mechanism, response string) (user, token string, ok bool) {
	body, ended := strings.CutSuffix(response, "\x01\x01")
	head, rest, found := strings.Cut(body, "\x01")
	if !ended || !found {
		return "", "", false
	}
	if mechanism == "XOAUTH2" {
		user, ok = strings.CutPrefix(head, "user=")
	} else {
		user, ok = parseGS2(head)
	}
	seen := map[string]bool{}
	for _, pair := range strings.Split(rest, "\x01") {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" || seen[key] {
			return "", "", false
		}
		seen[key] = true
		if key == "auth" {
			scheme, t, _ := strings.Cut(value, " ")
			if !strings.EqualFold(scheme, "Bearer") {
				return "", "", false
			}
			token = t
		}
		if _, err := strconv.ParseUint(value, 10, 16); key == "port" && err != nil {
			return "", "", false
		}
	}
	return user, token, ok && user != "" && token != ""
}

// parseGS2 reads "n,a=U," with the escapes =2C and =3D (RFC 5801 section 4).
func parseGS2(head string) (user string, ok bool) {
	user, ok = strings.CutPrefix(head, "n,a=")
	if !ok {
		return "", false
	}
	user, ok = strings.CutSuffix(user, ",")
	if !ok || strings.Contains(user, ",") {
		return "", false
	}
	plain := strings.NewReplacer("=2C", ",", "=3D", "=")
	if strings.Contains(strings.NewReplacer("=2C", "", "=3D", "").Replace(user), "=") {
		return "", false
	}
	return plain.Replace(user), true
}

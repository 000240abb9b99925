package upstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/foreign"
)

const (
	xoauth2     = "XOAUTH2"
	oauthBearer = "OAUTHBEARER"
	bearer      = "auth=Bearer " // before the token, in both

	// maxAuthLine is the longest AUTH command, line end included, that carries the token itself. Command
	// lines end at 512 bytes (RFC 5321 section 4.5.3.1.4) and some servers mean it; RFC 4954 section 4
	// allows responses of their own 12,288. Microsoft's tokens are 2 KB and more.
	maxAuthLine = 500
	// maxField bounds what is kept of a report's field, in bytes, and maxReport of a whole one.
	maxField  = 200
	maxReport = 1000
)

// login authenticates a new connection.
func (p *Pool) login(ctx context.Context, c *conn, token string) error {
	defer c.guard(ctx)()
	mech := mechanism(c.x.auth)
	if mech == "" {
		return fmt.Errorf("%s: %w", c.addr, ErrNoOAuth)
	}
	response, err := initialResponse(mech, p.cfg.Login, c.addr, token)
	if err != nil {
		return err
	}
	c.token, c.secret = token, foreign.NewSecret(token)
	r, err := c.auth(ctx, mech, response)
	if err != nil {
		return err
	}
	var report *Report
	if r.Code == 334 {
		// The reason for the refusal. The refusal itself comes only after an answer to it; "*" would
		// cancel the exchange and lose the 535.
		text := c.hide(string(reportText(c.challenge)))
		report = readReport(text)
		if r, err = c.ask(ctx, "AUTH", acknowledgement(mech)); err != nil {
			if ctx.Err() == nil && *report != (Report{}) {
				said := Reply{334, []string{shown(text, maxReport)}}
				return &AuthError{Reply: said, Report: report}
			}
			return err
		}
	}
	switch {
	case r.ok() && report == nil && !c.broken:
		p.accepted.Store(&token)
		return nil
	case r.refusal():
		return &AuthError{Reply: r, Report: report}
	}
	return c.fail(ctx, "AUTH", &ReplyError{r})
}

// auth says AUTH and the token, in one line where it fits, and gives the reply to the token.
func (c *conn) auth(ctx context.Context, mech, response string) (Reply, error) {
	line, whole := "AUTH "+mech+" "+response, true
	if len(line)+2 > maxAuthLine {
		line, whole = "AUTH "+mech, false
	}
	r, err := c.ask(ctx, "AUTH", line)
	if err == nil && !whole && !c.broken && unknownForm(r) {
		if again, err := c.ask(ctx, "AUTH", line+" "+response); err == nil || ctx.Err() != nil {
			return again, err
		}
		return r, nil // what it hung up on is the long line
	}
	if err != nil || r.Code != 334 || whole && strings.TrimSpace(strings.Join(r.Lines, "")) != "" {
		return r, err
	}
	// An empty challenge asks for the response, even where it came with the command: some servers do
	// not look for it there (RFC 4954 section 4).
	return c.ask(ctx, "AUTH", response)
}

// unknownForm reports whether a reply refuses AUTH without a response, before it has heard anything that
// could be wrong. Exchange has answered so with 504 5.7.4, and taken AUTH with the response. The line
// may then be as long as RFC 4954 section 4 allows.
func unknownForm(r Reply) bool { return r.Code >= 500 && r.Code <= 504 }

// mechanism chooses among those offered. XOAUTH2 comes first although OAUTHBEARER is the standard:
// Google and Microsoft document it for SMTP and nearly all clients use it, so it is the better-tested
// path of the server.
func mechanism(offered []string) string {
	for _, m := range []string{xoauth2, oauthBearer} {
		if slices.Contains(offered, m) {
			return m
		}
	}
	return ""
}

// initialResponse is the login and the token in the mechanism's form, in base64.
func initialResponse(mech, login, addr, token string) (string, error) {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if strings.ContainsFunc(login, control) || strings.ContainsFunc(token, control) {
		return "", fmt.Errorf("login of %q: a control character in the login or the token", login)
	}
	var s string
	if mech == oauthBearer { // RFC 7628 section 3.1
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return "", fmt.Errorf("login of %q: %w", login, err)
		}
		identity := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(login)
		s = "n,a=" + identity + ",\x01host=" + host + "\x01port=" + port + "\x01" + bearer + token + "\x01\x01"
	} else { // developers.google.com/gmail/imap/xoauth2-protocol
		s = "user=" + login + "\x01" + bearer + token + "\x01\x01"
	}
	return base64.StdEncoding.EncodeToString([]byte(s)), nil
}

// acknowledgement is the answer to the report on a refused token: an empty line, or ^A in base64 (RFC
// 7628 section 3.2.3).
func acknowledgement(mech string) string {
	if mech == oauthBearer {
		return "AQ=="
	}
	return ""
}

// reportText is the text of a 334 challenge: JSON in base64, whatever the alphabet and padding, or
// plain. It is empty where it cannot be read.
func reportText(challenge string) []byte {
	text := strings.Join(strings.Fields(challenge), "")
	if strings.HasPrefix(text, "{") {
		return []byte(challenge)
	}
	text = strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(text)
	decoded, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return decoded
}

// readReport reads a challenge's text. One that cannot be read gives an empty report: there was one.
func readReport(text string) *Report {
	var fields map[string]any
	if json.Unmarshal([]byte(text), &fields) != nil {
		return &Report{}
	}
	field := func(name string) string {
		v, ok := fields[name]
		if !ok || v == nil {
			return ""
		}
		return shown(fmt.Sprint(v), maxField) // a status may be a number
	}
	return &Report{Status: field("status"), Schemes: field("schemes"), Scope: field("scope")}
}

// stale reports whether a refusal may be the token's fault, so that a new one could help. 5.7.139 is
// SMTP switched off for the mailbox; 5.7.3 is a wrong scope or identity, unless this very token was
// good before. A 334 is a report on the token without a refusal after it.
func (p *Pool) stale(e *AuthError, token string) bool {
	if e.Reply.Code == 334 {
		return true
	}
	if e.Reply.Code != 535 {
		return false
	}
	text := strings.Join(e.Reply.Lines, " ")
	if strings.Contains(text, "5.7.139") {
		return false
	}
	enhanced, ok := e.Reply.Enhanced()
	wrongIdentity := ok && enhanced == [3]int{5, 7, 3}
	return !wrongIdentity || p.isAccepted(token)
}

package upstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
)

const (
	xoauth2     = "XOAUTH2"
	oauthBearer = "OAUTHBEARER"

	// maxAuthLine is the longest AUTH command, line end included, that carries
	// the token itself. Command lines end at 512 bytes (RFC 5321 section
	// 4.5.3.1.4) and some servers mean it; RFC 4954 section 4 gives responses
	// of their own 12,288. Microsoft's tokens are 2 KB and more.
	maxAuthLine = 500
)

// login authenticates a new connection.
func (p *Pool) login(ctx context.Context, c *conn, token string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.DialTimeout, errDialTimeout)
	defer cancel()
	defer c.guard(ctx)()
	mech := mechanism(c.x.auth)
	if mech == "" {
		return fmt.Errorf("%s: %w", c.addr, ErrNoOAuth)
	}
	response, err := initialResponse(mech, p.cfg.Login, c.addr, token)
	if err != nil {
		return err
	}
	r, err := c.auth(ctx, mech, response)
	if err != nil {
		return err
	}
	var report *Report
	if r.Code == 334 {
		// The reason for the refusal; only an answer to it brings the refusal
		// itself. "*" would cancel the exchange and lose the 535.
		report = decodeReport(r)
		if r, err = c.command(ctx, "AUTH", acknowledgement(mech)); err != nil {
			return err
		}
	}
	switch {
	case r.ok() && report == nil && !c.broken:
		c.token = token
		p.accepted.Store(&token)
		return nil
	case r.Code/100 == 4 || r.Code/100 == 5:
		return &AuthError{Reply: r, Report: report}
	}
	return c.fail(ctx, "AUTH", &ReplyError{r})
}

// auth says AUTH and the token, in one line where it fits, and gives the reply
// to the token.
func (c *conn) auth(ctx context.Context, mech, response string) (Reply, error) {
	if line := "AUTH " + mech + " " + response; len(line)+2 <= maxAuthLine {
		return c.command(ctx, "AUTH", line)
	}
	r, err := c.command(ctx, "AUTH", "AUTH "+mech)
	if err != nil || r.Code != 334 {
		return r, err
	}
	return c.command(ctx, "AUTH", response)
}

// mechanism chooses among those offered. XOAUTH2 comes first though OAUTHBEARER
// is the standard: it is what Google and Microsoft document for SMTP and what
// nearly all clients use, so the better-tested path of the server.
func mechanism(offered []string) string {
	for _, m := range []string{xoauth2, oauthBearer} {
		if slices.Contains(offered, m) {
			return m
		}
	}
	return ""
}

// initialResponse is the login and token in the mechanism's form, in base64.
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
		s = "n,a=" + identity + ",\x01host=" + host + "\x01port=" + port + "\x01auth=Bearer " + token + "\x01\x01"
	} else { // developers.google.com/gmail/imap/xoauth2-protocol
		s = "user=" + login + "\x01auth=Bearer " + token + "\x01\x01"
	}
	return base64.StdEncoding.EncodeToString([]byte(s)), nil
}

// acknowledgement is the answer to the report on a refused token: an empty line,
// or ^A in base64 (RFC 7628 section 3.2.3).
func acknowledgement(mech string) string {
	if mech == oauthBearer {
		return "AQ=="
	}
	return ""
}

// decodeReport reads a 334 challenge. One that cannot be read is an empty
// report: there was one.
func decodeReport(r Reply) *Report {
	report := &Report{}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.Join(r.Lines, "")))
	if err != nil {
		return report
	}
	var fields map[string]any
	if json.Unmarshal(text, &fields) != nil {
		return report
	}
	field := func(name string) string {
		v, ok := fields[name]
		if !ok || v == nil {
			return ""
		}
		s := printable(fmt.Append(nil, v)) // a status may be a number
		return s[:min(len(s), 200)]
	}
	return &Report{Status: field("status"), Schemes: field("schemes"), Scope: field("scope")}
}

// stale reports whether a refusal may be the token's fault, so that a new one
// could help. 5.7.139 is SMTP switched off for the mailbox; 5.7.3 is a wrong
// scope or identity, unless this very token was good before.
func (p *Pool) stale(e *AuthError, token string) bool {
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

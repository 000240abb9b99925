package upstream

import (
	"context"
	"fmt"
	"strings"

	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/foreign"
)

// maxAuthLine is the longest AUTH command, line end included, that carries the token itself. Command
// lines end at 512 bytes (RFC 5321 section 4.5.3.1.4) and some servers mean it; RFC 4954 section 4
// allows responses of their own 12,288. Microsoft's tokens are 2 KB and more.
const maxAuthLine = 500

// login authenticates a new connection.
func (p *Pool) login(ctx context.Context, c *conn, token string) error {
	defer c.guard(ctx)()
	mech := dial.Mechanism(c.x.auth)
	if mech == "" {
		return fmt.Errorf("%s: %w", c.addr, dial.ErrNoOAuth)
	}
	response, err := dial.InitialResponse(mech, p.cfg.Login, c.addr, token)
	if err != nil {
		return err
	}
	c.token, c.secret = token, foreign.NewSecret(token)
	r, err := c.auth(ctx, mech, response)
	if err != nil {
		return err
	}
	var report *dial.Report
	if r.Code == 334 {
		// The reason for the refusal. The refusal itself comes only after an answer to it; "*" would
		// cancel the exchange and lose the 535.
		said, text := dial.ReadReport(c.challenge, token)
		report = &said
		if r, err = c.ask(ctx, "AUTH", dial.Acknowledgement(mech)); err != nil {
			if ctx.Err() == nil && said != (dial.Report{}) {
				return &AuthError{Reply: Reply{334, []string{text}}, Report: report}
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

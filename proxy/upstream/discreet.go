package upstream

import (
	"errors"
	"strings"

	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/foreign"
)

// readReply reads one reply, as it may be shown: without the token, which many servers repeat when
// they do not understand AUTH. For quiet see [readReply].
func (c *conn) readReply(quiet func() bool) (Reply, error) {
	r, err := readReply(c.r, quiet)
	if c.secret == nil {
		return r, err
	}
	if r.Code == 334 {
		c.challenge = strings.Join(r.Lines, "")
	}
	if r.refusal() || r.Code == 334 || mayHold(r.Lines, c.secret) {
		r.Lines = withoutToken(r.Lines, c.token)
	}
	if bad, ok := errors.AsType[*NotSMTPError](err); ok {
		err = &NotSMTPError{dial.Cleaner(c.token).Clean(bad.Line)}
	}
	return r, err
}

// mayHold is the quick test for replies that come with every message.
func mayHold(lines []string, secret *foreign.Secret) bool {
	for _, l := range lines {
		if secret.MayBeIn(l) {
			return true
		}
	}
	return len(lines) > 1 && secret.MayBeIn(strings.Join(lines, ""))
}

// withoutToken is text without a token, in whatever encoding. Lines that do not hold it stay as they
// are; where only all together do, they become one.
func withoutToken(lines []string, token string) []string {
	cleaner := dial.Cleaner(token)
	var clean []string
	for i, l := range lines {
		if !cleaner.Holds(l) {
			continue
		}
		if clean == nil {
			clean = append(clean, lines...)
		}
		clean[i] = cleaner.Hide(l)
	}
	if clean == nil {
		clean = lines
	}
	if whole := strings.Join(clean, " "); len(clean) > 1 && cleaner.Holds(whole) {
		return []string{cleaner.Hide(whole)}
	}
	return clean
}

package proxy

import (
	"strings"
	"testing"
)

// TestEachLineHasItsSession: whatever the log says about a message, from its
// connection to its end, is found by one session's name.
func TestEachLineHasItsSession(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.dial()
	p.do("EHLO x", "250")
	p.do("AUTH PLAIN "+plainResponse(me, "wrong"), "535")
	p.do("AUTH PLAIN "+plainResponse(me, password), "235")
	p.message(me, "you@there.test", "hello\r\n")
	p.do("MAIL FROM:<"+me+">", "250")
	p.do("RCPT TO:<you@there.test>", "250")
	p.do("RSET", "250")
	p.do("QUIT", "221")
	eventually(t, "it is gone", func() bool { return r.server.Snapshot().Connections == 0 })
	said := map[string]bool{}
	for line := range strings.Lines(r.log.String()) {
		_, rest, _ := strings.Cut(line, "msg=")
		// Of the server, and of an account: a token is shared by all its sessions.
		if strings.HasPrefix(rest, "serving ") || strings.HasPrefix(rest, `"token refreshed"`) {
			continue
		}
		if !strings.Contains(rest, " session=1 ") {
			t.Errorf("without its session: %s", line)
		}
		msg, _, _ := strings.Cut(rest, " session=")
		said[msg] = true
	}
	for _, msg := range []string{"connected", `"login refused"`, "authenticated", "message"} {
		if !said[msg] {
			t.Errorf("the log does not say %s: %v", msg, said)
		}
	}
}

//go:build e2e

package e2e

import (
	"encoding/base64"
	"strings"
	"testing"
)

// The tests of reading rely on this: what Dovecot itself does with IMAP's extensions, and with a bad
// token.
func TestDovecotReads(t *testing.T) {
	t.Parallel()
	const user = "dov@mail.test"
	filled(t, user, generated(10))
	c := dialIMAP(t, peers.direct.imap, "")
	c.startTLS(peers.direct.ca)
	c.do("LOGIN " + quoted(user) + " " + directPassword)
	capabilities := c.do("CAPABILITY")[0]
	for _, want := range []string{"IDLE", "COMPRESS=DEFLATE", "QRESYNC", "NOTIFY", "MOVE"} {
		if !strings.Contains(capabilities+" ", " "+want+" ") {
			t.Errorf("no %s in %q", want, capabilities)
		}
	}
	c.compress()
	c.do("SELECT INBOX")
	idling(t, c, direct(t, user))
	c.logout()

	p := dialPOP(t, peers.direct.pop, "")
	p.startTLS(peers.direct.ca)
	if answer := p.login(user, directPassword); !strings.HasPrefix(answer, "+OK") {
		t.Error(answer)
	}
	if got, want := strings.TrimSpace(p.all("RETR 1")), strings.ReplaceAll(generated(1)[0], "\r\n", "\n"); got != strings.TrimSpace(want) {
		t.Errorf("RETR gives %q, want %q", got, want)
	}

	c = dialIMAP(t, peers.both.imaps, peers.both.ca)
	tag := c.send("AUTHENTICATE XOAUTH2 " + base64.StdEncoding.EncodeToString([]byte("user="+user+"\x01auth=Bearer bad\x01\x01")))
	if report := c.line(); !strings.HasPrefix(report, "+ eyJ") {
		t.Errorf("a bad token is answered with %q", report)
	}
	c.write("\r\n")
	if said := c.answers(tag); !strings.HasPrefix(said[len(said)-1], "NO [AUTHENTICATIONFAILED]") {
		t.Errorf("a bad token is answered with %q", said)
	}
}

// idling checks that a message is told of while c waits for it.
func idling(t *testing.T, c, at *imapClient) {
	t.Helper()
	for range 3 {
		tag := c.send("IDLE")
		c.sees(`^\+`)
		at.append("INBOX", "", generated(1)[0])
		c.sees(`^\* \d+ EXISTS`)
		c.write("DONE\r\n")
		c.answers(tag)
	}
}

//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestPrograms reads with the programs that people use: each once at the mail server itself, and then
// through Waxseal with each kind of security that it has. What it saves is the same. docs/clients.md
// says how to set up each one.
func TestPrograms(t *testing.T) {
	t.Parallel()
	r := newReader(t, "ada@mail.test")
	filled(t, r.address, generated(40))
	for _, p := range programs {
		for _, protocol := range strings.Fields(p.protocols) {
			t.Run(p.name+"/"+protocol, func(t *testing.T) {
				p.mustBeThere(t)
				unread(t, r.address)
				t.Log("at the mail server itself")
				want := p.run(t, directly(t, r.address, protocol, clear))
				for _, security := range []string{clear, starttls, implicit} {
					if p.only != "" && !strings.Contains(p.only, security) {
						continue
					}
					unread(t, r.address)
					t.Log("through Waxseal, " + security)
					if got := p.run(t, r.through(t, protocol, security)); got != want {
						t.Errorf("through Waxseal, %s, it saves\n%s\nwant\n%s", security, got, want)
					}
				}
			})
		}
	}
	r.stop()
}

// directly is the mail server itself.
func directly(t *testing.T, user, protocol, security string) access {
	address := map[string]string{"imap": peers.direct.imap, "imap/TLS": peers.direct.imaps, "pop": peers.direct.pop, "pop/TLS": peers.direct.pops}
	a := access{protocol: protocol, security: security, user: user, password: directPassword, ca: peers.direct.ca, dir: t.TempDir()}
	a.address = address[protocol+a.pick("", "", "/TLS")]
	return a
}

// unread puts back the flags, because some programs mark what they read.
func unread(t *testing.T, user string) {
	t.Helper()
	c := direct(t, user)
	for _, mailbox := range []string{"INBOX", "Archive"} {
		c.do("SELECT " + mailbox)
		c.do(`STORE 1:* FLAGS.SILENT ()`)
		for i, flag := range []string{`\Seen`, `\Flagged`, `\Answered`} {
			c.do(fmt.Sprintf("STORE %d:%d +FLAGS.SILENT (%s)", i+1, i+3, flag))
		}
	}
	c.logout()
}

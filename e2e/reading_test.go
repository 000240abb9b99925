//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Mail is read over each kind of connection, in and out, as it was put there.
func TestReading(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{"mail.test", "tls.test", "bearer.test", "bearertls.test"} {
		t.Run(domain, func(t *testing.T) {
			t.Parallel()
			r := newReader(t, "ria@"+domain)
			messages := generated(20)
			c := r.imap()
			for _, m := range messages {
				c.append("INBOX", `\Seen`, m)
			}
			for _, security := range []string{clear, starttls, implicit} {
				a := r.through(t, "imap", security)
				c := dialIMAP(t, a.address, a.pick("", "", a.ca))
				if security == starttls {
					c.startTLS(a.ca)
				}
				c.do("LOGIN " + quoted(a.user) + " " + quoted(a.password))
				c.do("SELECT INBOX")
				for i, m := range messages {
					if got := c.do(fmt.Sprintf("FETCH %d BODY.PEEK[]", i+1))[0]; !strings.HasSuffix(got, fmt.Sprintf("{%d}\r\n%s)", len(m), m)) {
						t.Errorf("%s: message %d has changed", security, i)
					}
				}
				c.logout()

				a = r.through(t, "pop", security)
				p := dialPOP(t, a.address, a.pick("", "", a.ca))
				if security == starttls {
					p.startTLS(a.ca)
				}
				if answer := p.login(a.user, a.password); !strings.HasPrefix(answer, "+OK") {
					t.Fatal(answer)
				}
				for i, m := range messages {
					want := strings.ReplaceAll(m, "\r\n", "\n")
					if got := p.all(fmt.Sprint("RETR ", i+1)); strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
						t.Errorf("%s: message %d has changed by POP", security, i)
					}
				}
				p.do("QUIT")
			}
			if said := r.waxseal(0, "doctor"); strings.Contains(said, "FAIL") {
				t.Errorf("doctor:\n%s", said)
			}
			r.stop()
		})
	}
}

// A session through Waxseal is what it is at the mail server itself.
func TestReadingSession(t *testing.T) {
	t.Parallel()
	r := newReader(t, "ida@mail.test")
	filled(t, r.address, generated(60))
	at := direct(t, r.address)

	if got, want := r.imap().everything(), at.everything(); got != want {
		t.Errorf("%d bytes are fetched, want the %d that the server itself gives", len(got), len(want))
	}
	t.Run("capabilities", func(t *testing.T) {
		got, want := r.imap().do("CAPABILITY")[0], at.do("CAPABILITY")[0]
		if got != want {
			t.Errorf("after login:\n%s\nwant\n%s", got, want)
		}
	})
	t.Run("POP", func(t *testing.T) {
		through, itself := dialPOP(t, r.at["pop"], ""), dialPOP(t, peers.direct.pop, "")
		through.login(r.address, r.password)
		itself.login(r.address, directPassword)
		if got, want := through.do("STAT"), itself.do("STAT"); got != want {
			t.Errorf("STAT: %s, want %s", got, want)
		}
		for _, command := range []string{"LIST", "UIDL", "CAPA", "TOP 1 2", "RETR 4", "RETR 8"} {
			if got, want := through.all(command), itself.all(command); got != want {
				t.Errorf("%s: %d bytes, want %d", command, len(got), len(want))
			}
		}
	})
	t.Run("IDLE", func(t *testing.T) {
		c := r.imap()
		c.do("SELECT INBOX")
		idling(t, c, at)
	})
	t.Run("COMPRESS", func(t *testing.T) {
		c := r.imap()
		c.compress()
		if got, want := c.everything(), at.everything(); got != want {
			t.Errorf("%d bytes are fetched, want %d", len(got), len(want))
		}
		c.append("INBOX", "", strings.Repeat("deflated ", 100_000)+"\r\n")
		c.do("SELECT INBOX")
		idling(t, c, at)
	})
	t.Run("append, flag, move, delete", func(t *testing.T) {
		c := r.imap()
		c.append("INBOX", `\Flagged $Todo`, generated(10)[9])
		c.do("SELECT INBOX")
		c.do(`STORE 1:3 +FLAGS (\Seen $Later)`)
		c.do("MOVE 2 Sent")
		c.do("COPY 1 Archive")
		c.do(`STORE 5 +FLAGS (\Deleted)`)
		c.do("EXPUNGE")
		got := c.everything()
		if want := direct(t, r.address).everything(); got != want || !strings.Contains(got, "$Later") {
			t.Error("the server itself shows something else")
		}
	})
	t.Run("QRESYNC", func(t *testing.T) { resynchronizing(t, r) })
	t.Run("NOTIFY", func(t *testing.T) {
		c := r.imap()
		c.do("NOTIFY SET (selected (MessageNew (UID) MessageExpunge FlagChange)) (mailboxes Archive (MessageNew MessageExpunge))")
		c.do("SELECT INBOX")
		at.append("Archive", "", generated(1)[0])
		c.sees(`^\* STATUS "?Archive"?`)
	})
	t.Run("sent and read back", func(t *testing.T) {
		r.send(r.address, starttls, "back")
		sent := peers.sink.received(t, "back@else.test").data
		at.append("Sent", "", string(sent)) // as the provider delivers it
		c := r.imap()
		c.do("SELECT Sent")
		if got := c.do("FETCH * BODY.PEEK[]")[0]; !strings.HasSuffix(got, fmt.Sprintf("{%d}\r\n%s)", len(sent), sent)) {
			t.Errorf("the message that was sent is read as %q", got)
		}
	})
	t.Run("the server ends the session", func(t *testing.T) {
		c := r.imap()
		c.do("SELECT INBOX")
		tag := c.send("IDLE")
		c.sees(`^\+`)
		peers.both.kick(t, r.address)
		for {
			line, err := c.in.ReadString('\n')
			if err != nil {
				break
			}
			if strings.HasPrefix(line, tag) {
				t.Errorf("the session goes on with %q", line)
			}
		}
		r.imap().do("SELECT INBOX")
	})
	r.stop()
}

// resynchronizing checks that a mailbox that has changed meanwhile is told in short (RFC 7162).
func resynchronizing(t *testing.T, r *reader) {
	c, itself := r.imap(), direct(t, r.address)
	c.do("ENABLE QRESYNC")
	itself.do("ENABLE QRESYNC")
	select1 := strings.Join(c.do("SELECT INBOX"), "\n")
	validity, modseq := number(select1, "UIDVALIDITY"), number(select1, "HIGHESTMODSEQ")
	c.do("UNSELECT")
	other := direct(t, r.address)
	other.do("SELECT INBOX")
	other.do(`STORE 3 +FLAGS (\Deleted)`)
	other.do("EXPUNGE")
	other.do(`STORE 4 +FLAGS ($Changed)`)
	again := fmt.Sprintf("SELECT INBOX (QRESYNC (%s %s))", validity, modseq)
	untimed := func(responses []string) []string { return responses[:len(responses)-1] }
	got, want := untimed(c.do(again)), untimed(itself.do(again))
	if !slices.Equal(got, want) || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "* VANISHED (EARLIER)") }) {
		t.Errorf("SELECT answers\n%q\nwant\n%q", got, want)
	}
}

// number returns what is after a word.
func number(text, word string) string {
	_, after, _ := strings.Cut(text, word+" ")
	return after[:strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })]
}

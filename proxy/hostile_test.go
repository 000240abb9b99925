package proxy

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// TestTakenBackChunks: RSET and QUIT right after BDAT 0, where go-smtp's goroutine for the body came
// late, found another message or none, and gave its result to the wrong one.
func TestTakenBackChunks(t *testing.T) {
	const programs, rounds = 4, 40
	r := newRig(t, rigOptions{})
	var all sync.WaitGroup
	for range programs {
		all.Go(func() {
			for range rounds {
				p := r.login(me)
				tx := "MAIL FROM:<" + me + ">\r\nRCPT TO:<a@b.test>\r\n"
				p.send(tx + "BDAT 0\r\nRSET\r\n" + tx + "BDAT 5 LAST\r\nhelloRSET\r\n" + tx + "BDAT 0\r\nQUIT\r\n")
				var replies []string
				for reply := p.reply(); reply != ""; reply = p.reply() {
					replies = append(replies, reply)
				}
				p.conn.Close()
				if len(replies) != 12 || !strings.HasPrefix(replies[6], "250 2.0.0 OK") {
					t.Errorf("got %q", replies)
				}
			}
		})
	}
	all.Wait()
	if n := strings.Count(r.log.String(), "panic"); n > 0 {
		t.Errorf("%d panics", n)
	}
	if n := len(r.provider.Messages()); n != programs*rounds {
		t.Errorf("%d messages arrived", n)
	}
}

// TestNothingBehindTheLastReply: go-smtp goes on with what is pipelined after QUIT, and after our 421.
func TestNothingBehindTheLastReply(t *testing.T) {
	r := newRig(t, rigOptions{accounts: []string{"b@corp.test"}, config: func(c *config.Config) { c.MaxConnectionsPerAccount = 1 }})
	r.login(me)
	p := r.dial()
	p.do("EHLO x", "250")
	p.send("AUTH PLAIN " + plainResponse(me, password) + "\r\nAUTH PLAIN " + plainResponse("b@corp.test", password) + "\r\n")
	p.expect("421")
	if got := p.reply(); got != "" {
		t.Errorf("after 421: %q", got)
	}
	p = r.dial()
	p.send("QUIT\r\nEHLO x\r\nAUTH PLAIN " + plainResponse("b@corp.test", password) +
		"\r\nMAIL FROM:<b@corp.test>\r\nRCPT TO:<a@b.test>\r\nBDAT 5 LAST\r\nhello")
	p.expect("221")
	if got := p.reply(); got != "" {
		t.Errorf("after QUIT: %q", got)
	}
	eventually(t, "the client that quit is gone", func() bool { return r.server.Snapshot().Connections == 1 })
	if n := len(r.provider.Messages()); n != 0 || strings.Contains(r.log.String(), "panic") {
		t.Errorf("%d messages were sent after QUIT", n)
	}
}

func TestSyntaxOfPlain(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.dial()
	p.do("EHLO x", "250")
	p.do("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("abc")), "501 5.5.2")
	p.do("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("other\x00"+me+"\x00"+password)), "535 5.7.8")
}

// A password beyond ASCII was wrong from every program that does not write UTF-8, or takes accents
// apart.
func TestPasswordsInOtherEncodings(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.server.hall.Mailbox(me).Password.Set("p\u00e4ss§w€rt-1")
	for sent, reply := range map[string]string{"p\u00e4ss§w€rt-1": "235", "pa\u0308ss§w€rt-1": "235", "p\xe4ss\xa7w\x80rt-1": "235", "p\xe4ss\xa7wert-1": "535", "p?ss?w?rt-1": "535"} {
		p := r.dial()
		p.do("EHLO x", "250")
		p.do("AUTH LOGIN "+inBase64(me), "334")
		p.do(inBase64(sent), reply)
		p.do("QUIT", "221")
	}
}

// TestUnknownAccountsAreAlike: neither the answer nor the delay tells which names have an account.
// Names without one shared a source, so a guesser whose next name was answered at once had found an
// account.
func TestUnknownAccountsAreAlike(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.dial()
	p.do("EHLO x", "250")
	names := []string{me, "nobody@corp.test", "no name", strings.Repeat("x", 1000) + "@corp.test", strings.Repeat("y", 1000)}
	answers := map[string]bool{}
	for _, name := range names {
		answers[p.do("AUTH PLAIN "+plainResponse(name, "wrong"), "535 5.7.8 ")] = true
	}
	if len(answers) != 1 {
		t.Errorf("they are answered differently: %q", slices.Collect(maps.Keys(answers)))
	}
	failures := map[string]int{}
	for _, s := range r.server.hall.Suspects() {
		failures[s.Name] = s.Failures
	}
	want := map[string]int{me: 1, "nobody@corp.test": 1, "no name": 1, "": 2} // "" stands for names that are too long
	if !maps.Equal(failures, want) {
		t.Errorf("slowed are %v, want %v", failures, want)
	}
}

// TestRefusedRecipientIsNotTheMessage: one wrong address does not end the message, which counts as
// sent.
func TestRefusedRecipientIsNotTheMessage(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	p.do("MAIL FROM:<"+me+">", "250")
	p.do("RCPT TO:<ü@b.test>", "5")
	p.do("RCPT TO:<a@b.test>", "250")
	p.do("DATA", "354")
	p.send("hi\r\n.\r\n")
	p.expect("250")
	if s := r.server.Snapshot(); s.Totals["sent"] != 1 || s.Totals["failed"] != 0 {
		t.Errorf("totals %v", s.Totals)
	}
}

// TestHalfClosedChunk: a client that closes its half in the middle of a chunk hears that it may try
// again, not go-smtp's 554 with an error's text.
func TestHalfClosedChunk(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	p.do("MAIL FROM:<"+me+">", "250")
	p.do("RCPT TO:<a@b.test>", "250")
	p.send("BDAT 100 LAST\r\nhello")
	p.conn.(*net.TCPConn).CloseWrite()
	p.expect("451 4.4.2")
}

// TestChangedAccountEndsWhole: messages in progress when an account changes finish, and nothing of the
// old mailbox is left at the end (rig.stop checks the gauges).
func TestChangedAccountEndsWhole(t *testing.T) {
	r := newRig(t, rigOptions{})
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		changed := strings.Replace(string(text), "max_connections = 10", fmt.Sprintf("max_connections = %d", n), 1)
		if err := os.WriteFile(r.config, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.server.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	limit(1)
	a, b := r.login(me), r.login(me)
	a.do("MAIL FROM:<"+me+">", "250")
	a.do("RCPT TO:<a@b.test>", "250")
	b.send("MAIL FROM:<" + me + ">\r\n")
	eventually(t, "one waits", func() bool { return r.server.Accounts()[0].Upstream.Waiting == 1 })
	limit(2)
	a.do("DATA", "354")
	a.send("hi\r\n.\r\n")
	a.expect("250")
	b.expect("250")
	b.do("RCPT TO:<a@b.test>", "250")
	b.do("DATA", "354")
	b.send("hi\r\n.\r\n")
	b.expect("250")
}

// TestNobodyWaitsWithoutEnd: of many wrong passwords at once only some are kept waiting, and stopping
// ends the wait.
func TestNobodyWaitsWithoutEnd(t *testing.T) {
	r := newRig(t, rigOptions{})
	turned := 0
	for range mailbox.FreeGuesses + mailbox.MaxWaiting + 10 {
		p := r.dial()
		p.send("EHLO x\r\nAUTH PLAIN " + plainResponse(me, "wrong") + "\r\n")
		p.expect("250")
	}
	eventually(t, "only so many wait", func() bool {
		turned = 0
		for _, s := range r.server.hall.Suspects() {
			turned = s.Waiting
		}
		return turned <= mailbox.MaxWaiting && r.server.Snapshot().AuthFailures >= mailbox.FreeGuesses+mailbox.MaxWaiting+10
	})
	r.login(me) // a right password waits for nobody
}

// TestCutOffInAChunk: go-smtp's goroutine for a body that ends with its connection came late and found
// no session, which was a panic, though a caught one.
func TestCutOffInAChunk(t *testing.T) {
	r := newRig(t, rigOptions{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				p := r.login(me)
				p.send("MAIL FROM:<" + me + ">\r\nRCPT TO:<a@b.test>\r\nBDAT 5\r\n")
				p.conn.(*net.TCPConn).CloseWrite()
				said := ""
				for reply := p.reply(); reply != ""; reply = p.reply() {
					said += reply + "\n"
				}
				p.conn.Close()
				if !strings.Contains(said, "\n451 4.4.2") {
					t.Errorf("it was told %q", said)
				}
			}
		})
	}
	all.Wait()
	if n := strings.Count(r.log.String(), "panic"); n > 0 {
		t.Errorf("%d panics", n)
	}
}

package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/providertest"
)

func sum(body string) string {
	h := sha256.Sum256([]byte(body))
	return hex.EncodeToString(h[:])
}

// TestBodiesArriveUnchanged sends unusual bodies with DATA and BDAT, to a provider with and
// without CHUNKING.
func TestBodiesArriveUnchanged(t *testing.T) {
	bodies := map[string]string{
		"empty":           "",
		"plain":           "Subject: hello\r\n\r\nhello\r\n",
		"leading dots":    ".\r\n..\r\n.a\r\n...\r\n",
		"8 bit":           "caf\xe9 \xff\xfe\r\n",
		"3000-byte line":  strings.Repeat("x", 3000) + "\r\n", // go-smtp's limit is 2000
		"64 KiB line":     strings.Repeat("y", 65535) + "\r\n",
		"CR CRLF":         "a\r\r\nb\r\r\n.c\r\n",
		"bare LF":         "one\ntwo\nthree\r\n",
		"NUL":             "a\x00b\r\n",
		"one MiB":         strings.Repeat("0123456789abcdef\r\n", 1<<20/18),
		"no line end":     "no line end at all",
		"ends in CR":      "odd\r",
		"ends in a dot":   "a\r\n.",
		"looks like SMTP": "MAIL FROM:<x@y>\r\nRSET\r\nQUIT\r\n",
	}
	for _, chunking := range []bool{true, false} {
		r := newRig(t, rigOptions{provider: providertest.Options{NoChunking: !chunking}})
		p := r.login(me)
		for name, body := range bodies {
			for _, bdat := range []bool{true, false} {
				whole := body == "" || strings.HasSuffix(body, "\r\n")
				if !bdat && !whole {
					continue // DATA cannot carry it
				}
				t.Run(fmt.Sprintf("%s/client bdat %v/provider chunking %v", name, bdat, chunking), func(t *testing.T) {
					before := len(r.provider.Messages())
					if bdat {
						p.do("MAIL FROM:<"+me+">", "250")
						p.do("RCPT TO:<you@there.test>", "250")
						half := len(body) / 2
						p.send(fmt.Sprintf("BDAT %d\r\n%sBDAT %d LAST\r\n%s", half, body[:half], len(body)-half, body[half:]))
						p.expect("250 2.0.0 Continue")
						p.expect("250 2.0.0 OK")
					} else if got := p.message(me, "you@there.test", stuffed(body)); !strings.HasPrefix(got, "250 2.0.0 OK") {
						t.Fatalf("got %q", got)
					}
					want := body
					if !chunking && !whole {
						want += "\r\n" // a message sent with DATA always ends with a line end
					}
					m := r.provider.Messages()
					if len(m) != before+1 || m[before].SHA256 != sum(want) {
						t.Fatalf("%d new messages, size %d, want one of %d bytes, the same", len(m)-before, m[len(m)-1].Size, len(want))
					}
				})
			}
		}
	}
}

func TestThousandRecipients(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	p.do("MAIL FROM:<>", "250")
	var all strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&all, "RCPT TO:<user%d@there.test>\r\n", i)
	}
	go p.send(all.String())
	for range 1000 {
		p.expect("250 2.1.5")
	}
	p.do("DATA", "354")
	p.send("hello\r\n.\r\n")
	p.expect("250")
	if m := r.provider.Messages(); len(m) != 1 || len(m[0].Rcpts) != 1000 || m[0].From != "" {
		t.Fatalf("got %d messages", len(m))
	}
}

func TestAddresses(t *testing.T) {
	r := newRig(t, rigOptions{})
	for _, user := range []string{"me@corp.test", "ME@Corp.Test", "Me@CORP.TEST"} {
		r.login(user)
	}
	p := r.login(me)
	for _, to := range []string{`"quoted local"@there.test`, `a+b=c@there.test`, `o'hara@there.test`, `"with\\backslash"@there.test`} {
		p.message(me, to, "hello\r\n")
		m := r.provider.Messages()
		if got := m[len(m)-1].Rcpts[0].To; got != to {
			t.Errorf("recipient %s arrived as %s", to, got)
		}
	}
	p.do("MAIL FROM:<jürgen@corp.test> SMTPUTF8", "250")
	p.do("RCPT TO:<用户@例子.test>", "250")
	p.do("DATA", "354")
	p.send("hello\r\n.\r\n")
	p.expect("250")
	m := r.provider.Messages()
	if last := m[len(m)-1]; last.From != "jürgen@corp.test" || last.Rcpts[0].To != "用户@例子.test" {
		t.Errorf("arrived as %s to %s", last.From, last.Rcpts[0].To)
	}
}

// TestGaugesCountEverything: 1,000 accounts with 5 connections each are 5,000 connections, and
// none after they have closed.
func TestGaugesCountEverything(t *testing.T) {
	const accounts, each = 1000, 5
	var more []string
	for i := range accounts {
		more = append(more, fmt.Sprintf("user%d@corp.test", i))
	}
	r := newRig(t, rigOptions{accounts: more, plain: true})
	var clients sync.WaitGroup
	open := make(chan net.Conn, accounts*each)
	gate := make(chan struct{}, 200)
	for _, a := range more {
		for range each {
			clients.Go(func() {
				gate <- struct{}{}
				defer func() { <-gate }()
				c, err := net.Dial("tcp", r.plain)
				if err != nil {
					t.Error(err)
					return
				}
				open <- c
				c.SetDeadline(time.Now().Add(3 * patience))
				fmt.Fprintf(c, "EHLO x\r\nAUTH PLAIN %s\r\n", plainResponse(a, password))
				if !awaitLine(c, "235 ") {
					t.Errorf("%s could not log in", a)
				}
			})
		}
	}
	clients.Wait()
	s := r.server.Snapshot()
	if s.Connections != accounts*each {
		t.Errorf("%d connections are shown, %d are open", s.Connections, accounts*each)
	}
	for _, a := range s.Accounts {
		if a.Address != me && a.Connections != each {
			t.Errorf("%s shows %d connections", a.Address, a.Connections)
		}
	}
	close(open)
	for c := range open {
		c.Close()
	}
	eventually(t, "no connection", func() bool { return r.server.Snapshot().Connections == 0 })
	for _, a := range r.server.Snapshot().Accounts {
		if a.Connections != 0 {
			t.Errorf("%s still shows %d connections", a.Address, a.Connections)
		}
	}
}

func awaitLine(c net.Conn, prefix string) bool {
	var line []byte
	one := make([]byte, 1)
	for {
		if _, err := c.Read(one); err != nil {
			return false
		}
		if one[0] != '\n' {
			line = append(line, one[0])
			continue
		}
		if strings.HasPrefix(string(line), prefix) {
			return true
		}
		if len(line) > 3 && (line[0] == '5' || line[0] == '4') {
			return false
		}
		line = line[:0]
	}
}

// TestGaugeAfterEverything: whatever happens between accept and close, the gauges return to
// zero.
func TestGaugeAfterEverything(t *testing.T) {
	r := newRig(t, rigOptions{})
	ways := map[string]func(p *program){
		"second AUTH":      func(p *program) { p.auth(me, password); p.do("AUTH PLAIN "+plainResponse(me, password), "503") },
		"failed AUTH":      func(p *program) { p.do("EHLO x", "250"); p.do("AUTH PLAIN "+plainResponse(me, "wrong"), "535") },
		"gone in mid-AUTH": func(p *program) { p.do("EHLO x", "250"); p.do("AUTH LOGIN", "334") },
		"gone after MAIL":  func(p *program) { p.auth(me, password); p.do("MAIL FROM:<me@corp.test>", "250") },
		"gone in mid-DATA": func(p *program) {
			p.auth(me, password)
			p.do("MAIL FROM:<me@corp.test>", "250")
			p.do("RCPT TO:<you@there.test>", "250")
			p.do("DATA", "354")
			p.send("half of")
		},
		"gone in mid-BDAT": func(p *program) {
			p.auth(me, password)
			p.do("MAIL FROM:<me@corp.test>", "250")
			p.do("RCPT TO:<you@there.test>", "250")
			p.send("BDAT 100 LAST\r\nhalf of")
		},
		"gone between chunks": func(p *program) {
			p.auth(me, password)
			p.do("MAIL FROM:<me@corp.test>", "250")
			p.do("RCPT TO:<you@there.test>", "250")
			p.send("BDAT 4\r\nhalf")
			p.expect("250")
		},
		"EHLO again": func(p *program) {
			p.auth(me, password)
			p.do("MAIL FROM:<me@corp.test>", "250")
			p.do("EHLO again", "250")
		},
		"garbage": func(p *program) { p.send("\x16\x03\x01\x02\r\n\r\n\r\n\r\n\r\n") },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			p := r.dial()
			p.t = t
			way(p)
			p.conn.Close()
			eventually(t, "gauges at zero", func() bool {
				s := r.server.Snapshot()
				return s.Connections == 0 && s.Messages == 0 && s.Upstream.Busy == 0 && s.Accounts[0].Connections == 0 && s.Accounts[0].Messages == 0
			})
		})
	}
	if n := len(r.provider.Messages()); n != 0 {
		t.Errorf("%d half messages were delivered", n)
	}
	if got := r.login(me).message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("afterwards: %q", got)
	}
}

// TestPanicHurtsNobodyElse: a session that panics answers 421, and its connection is no longer
// counted.
func TestPanicHurtsNobodyElse(t *testing.T) {
	r := newRig(t, rigOptions{})
	boxes := map[string]*mailbox.Mailbox{me: r.server.hall.Mailbox(me), "broken@corp.test": nil}
	broken := &mailbox.Mailbox{Address: "broken@corp.test", Grant: r.server.hall.Mailbox(me).Grant} // no pool: using it panics
	broken.Password.Set(password)
	boxes["broken@corp.test"] = broken
	old := r.server.hall.Mailboxes()
	r.server.hall.Use(boxes)
	p := r.dial()
	p.do("EHLO x", "250")
	p.do("AUTH PLAIN "+plainResponse("broken@corp.test", password), "421 4.3.0")
	if got := p.reply(); got != "" {
		t.Errorf("the connection goes on with %q", got)
	}
	r.server.hall.Use(old)
	eventually(t, "gauge at zero", func() bool { return r.server.Snapshot().Connections == 0 })
	r.login(me)
}

func TestLimits(t *testing.T) {
	r := newRig(t, rigOptions{accounts: []string{"two@corp.test"}, config: func(c *config.Config) {
		c.MaxConnections, c.MaxConnectionsPerAccount = 4, 2
	}})
	a, b := r.login(me), r.login(me)
	third := r.dial()
	third.do("EHLO x", "250")
	third.do("AUTH PLAIN "+plainResponse(me, password), "421 4.7.0")
	if got := third.reply(); got != "" {
		t.Errorf("the connection goes on with %q", got)
	}
	eventually(t, "the third is gone", func() bool { return r.server.Snapshot().Connections == 2 })
	r.login("two@corp.test")
	r.login("two@corp.test")
	for _, way := range []string{r.plain} {
		c, err := net.Dial("tcp", way)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if !awaitLine421(c) {
			t.Error("over the limit, no 421")
		}
	}
	for _, p := range []*program{a, b} {
		p.do("NOOP", "250")
	}
	if s := r.server.Snapshot(); s.Connections != 4 || s.Refused != 2 {
		t.Errorf("%d connections, %d refused", s.Connections, s.Refused)
	}
	for _, limit := range []string{"max_connections=4", "max_connections_per_account=2"} {
		if n := strings.Count(r.log.String(), limit); n != 1 {
			t.Errorf("the log has %s %d times", limit, n)
		}
	}
}

func awaitLine421(c net.Conn) bool {
	buf := make([]byte, 512)
	n, _ := c.Read(buf)
	return strings.HasPrefix(string(buf[:n]), "421 4.3.2 ")
}

// TestShutdownTellsIdleClients: go-smtp's own Shutdown waits for them forever.
func TestShutdownTellsIdleClients(t *testing.T) {
	r := newRig(t, rigOptions{})
	idle := []*program{r.dial(), r.login(me), r.dialTLS()}
	r.stop()
	for _, p := range idle {
		p.expect("421 4.3.2 ")
		if got := p.reply(); got != "" {
			t.Errorf("the connection goes on with %q", got)
		}
	}
}

// TestShutdownLetsMessagesFinish: one message is in the middle of its body, another waits for
// the provider's answer.
func TestShutdownLetsMessagesFinish(t *testing.T) {
	r := newRig(t, rigOptions{})
	reached, goOn := make(chan struct{}), make(chan struct{})
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action {
		if e.Step == providertest.StepFinal && e.Bytes == int64(len("waiting\r\n")) {
			close(reached)
			<-goOn
		}
		return providertest.Action{}
	}})
	body, final := r.login(me), r.login(me)
	for _, p := range []*program{body, final} {
		p.do("MAIL FROM:<me@corp.test>", "250")
		p.do("RCPT TO:<you@there.test>", "250")
		p.do("DATA", "354")
	}
	body.send("first half ")
	final.send("waiting\r\n.\r\n")
	<-reached
	stopped := make(chan error)
	go func() { stopped <- r.server.Shutdown(context.Background()) }()
	eventually(t, "stopping", func() bool { return r.server.Snapshot().State == "stopping" })
	if c, err := net.Dial("tcp", r.plain); err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if n, err := c.Read(make([]byte, 1)); err == nil && n > 0 {
			t.Error("a new client was greeted while stopping")
		}
	}
	body.send("second half\r\n.\r\n")
	body.expect("250 2.0.0 OK")
	close(goOn)
	final.expect("250 2.0.0 OK")
	body.expect("421 4.3.2")
	final.expect("421 4.3.2")
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if n := len(r.provider.Messages()); n != 2 {
		t.Errorf("%d messages arrived", n)
	}
}

// TestShutdownHasAnEnd: a message that does not finish is cut off, and the error says so.
func TestShutdownHasAnEnd(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	p.do("MAIL FROM:<me@corp.test>", "250")
	p.do("RCPT TO:<you@there.test>", "250")
	p.do("DATA", "354")
	p.send("half")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.server.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "1 messages in flight") {
		t.Errorf("got %v", err)
	}
	if n := len(r.provider.Messages()); n != 0 {
		t.Errorf("%d half messages were delivered", n)
	}
}

func TestWatch(t *testing.T) {
	r := newRig(t, rigOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan int64, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range r.server.Watch(ctx, 0) {
			seen <- s.Connections
		}
	}()
	if n := <-seen; n != 0 {
		t.Errorf("at first %d connections", n)
	}
	p := r.dial()
	for n := range seen {
		if n == 1 {
			break
		}
	}
	p.conn.Close()
	for n := range seen {
		if n == 0 {
			break
		}
	}
	cancel()
	<-done
}

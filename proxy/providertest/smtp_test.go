package providertest

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDialogue sends a message over each kind of connection, and its body in each way.
func TestDialogue(t *testing.T) {
	p := start(t, Options{})
	token := p.accessToken(t, me)
	doors := []struct {
		name, addr string
		open       func(*client)
		tls        bool
	}{
		{"starttls", p.SMTPAddr, func(c *client) {
			c.expect("220 ")
			if got := c.do("EHLO [127.0.0.1]", "250-"); strings.Contains(got, "AUTH") || !strings.Contains(got, "STARTTLS") {
				t.Errorf("before TLS: %s", got)
			}
			c.do("STARTTLS", "220 2.0.0")
			c.tls(trust(p))
		}, true},
		{"tls", p.SMTPSAddr, func(c *client) { c.tls(trust(p)); c.expect("220 ") }, true},
		{"plain", p.PlainAddr, func(c *client) { c.expect("220 ") }, false},
	}
	body := []byte("Subject: x\r\n\r\n.leading dot\r\n..two\r\nno end of line\xff")
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			c := dial(t, d.addr, nil)
			d.open(c)
			got := c.do("EHLO client.test", "250-mx.provider.test")
			for _, want := range []string{"SIZE 35882577", "8BITMIME", "PIPELINING", "CHUNKING", "DSN", "SMTPUTF8", "AUTH XOAUTH2 OAUTHBEARER"} {
				if !strings.Contains(got, want) {
					t.Errorf("%s is not offered in %s", want, got)
				}
			}
			c.do("AUTH XOAUTH2 "+xoauth2(me, token), "235 2.7.0")
			c.do("MAIL FROM:<> SIZE=100 BODY=8BITMIME", "250 2.1.0")
			c.do("RCPT TO:<a@x.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@x.test", "250 2.1.5")
			c.do("RCPT TO:<not an address>", "553 5.1.3")
			c.do("RCPT TO:<\"a >b\"@x.test>", "250 2.1.5")
			c.send("BDAT 10\r\n%sBDAT %d LAST\r\n%s", body[:10], len(body)-10, body[10:])
			c.expect("250 2.0.0 10 octets")
			reply := c.expect("250 2.0.0 OK wx")
			m := arrived(t, p, body)
			want := Message{ID: m.ID, Account: me, MailParams: "SIZE=100 BODY=8BITMIME", Conn: m.Conn, Time: m.Time, TLS: d.tls,
				Chunked: true, Rcpts: []Rcpt{{"a@x.test", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@x.test"}, {"\"a >b\"@x.test", ""}},
				Size: m.Size, SHA256: m.SHA256, Body: m.Body}
			if fmt.Sprint(m) != fmt.Sprint(want) {
				t.Errorf("recorded %+v, want %+v", m, want)
			}
			if reply != "250 2.0.0 OK "+m.ID+" queued as "+m.ID+" - gsmtp" {
				t.Errorf("reply %q for message %s", reply, m.ID)
			}
			// The next transaction, in two flights, with its body by DATA.
			c.send("MAIL FROM:<me@corp.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n")
			c.expect("250 2.1.0")
			c.expect("250 2.1.5")
			c.expect("354 ")
			c.send("..dot\r\nmiddle\r\n...\r\n.\r\nQUIT\r\n")
			c.expect("250 2.0.0 OK")
			c.expect("221 2.0.0")
			c.ended()
			if m := arrived(t, p, []byte(".dot\r\nmiddle\r\n..\r\n")); m.Chunked || m.From != me {
				t.Errorf("recorded %+v", m)
			}
		})
	}
	if c := p.Counts(); c.Messages != 6 || c.Auths != 3 || c.Transactions != 6 || c.Connections != 3 || c.Handshakes != 2 || c.Active != 0 {
		t.Errorf("counts %+v", c)
	}
}

// TestStrict lists what a client must not do. Each line is a dialogue: commands, each with the
// reply it must get.
func TestStrict(t *testing.T) {
	const hi, from, to = "EHLO c.test|250", "MAIL FROM:<a@x.test>|250", "RCPT TO:<b@x.test>|250"
	long := strings.Repeat("x", 3000)
	tests := []struct {
		name   string
		opts   Options
		logged bool // start after AUTH
		lines  []string
	}{
		{"mail before ehlo", Options{}, false, []string{"MAIL FROM:<a@x.test>|503 5.5.1"}},
		{"mail before auth", Options{}, false, []string{hi, "MAIL FROM:<a@x.test>|530 5.7.0"}},
		{"auth before ehlo", Options{}, false, []string{"AUTH XOAUTH2 eA==|503 5.5.1"}},
		{"auth after helo", Options{}, false, []string{"HELO c.test|250 ", "AUTH XOAUTH2 eA==|503 5.5.1"}},
		{"ehlo without name", Options{}, false, []string{"EHLO|501 5.5.4", "EHLO a_b c|501 5.5.4", "EHLO [1.2.3]|501", "EHLO [IPv6:::1]|250"}},
		{"unknown command", Options{}, false, []string{"GET / HTTP/1.1|502 5.5.1", "|502 5.5.1"}},
		{"long line", Options{}, false, []string{"NOOP " + long + "|500 5.5.2", "NOOP|250"}},
		{"control character", Options{}, false, []string{"NOOP a\x00b|500 5.5.2", "NOOP a\rb|500 5.5.2", "NOOP|250"}},
		{"bare line feed", Options{}, false, []string{"NOOP\n|500 5.5.2 Line must", "|502"}},
		{"starttls over tls", Options{}, true, []string{"STARTTLS|503 5.5.1"}},
		{"second auth", Options{}, true, []string{"AUTH XOAUTH2 eA==|503 5.5.1"}},
		{"auth in transaction", Options{}, true, []string{from, "AUTH XOAUTH2|503 5.5.1"}},
		{"space before path", Options{}, true, []string{"MAIL FROM: <a@x.test>|501 5.5.2"}},
		{"no brackets", Options{}, true, []string{"MAIL FROM:a@x.test|501 5.5.2"}},
		{"trailing space", Options{}, true, []string{"MAIL FROM:<a@x.test> |501 5.5.2"}},
		{"two spaces", Options{}, true, []string{"MAIL FROM:<a@x.test>  SIZE=1|501|555"}},
		{"no domain", Options{}, true, []string{"MAIL FROM:<a>|553 5.1.7"}},
		{"utf-8 without smtputf8", Options{}, true, []string{"MAIL FROM:<ä@x.test>|553 5.6.7", from, "RCPT TO:<ä@x.test>|553 5.6.7"}},
		{"utf-8 with it", Options{}, true, []string{"MAIL FROM:<ä@x.test> SMTPUTF8|250", "RCPT TO:<ü@ö.test>|250"}},
		{"invalid utf-8", Options{}, true, []string{"MAIL FROM:<\xff@x.test> SMTPUTF8|553"}},
		{"too large by size", Options{MaxSize: 10}, true, []string{"MAIL FROM:<a@x.test> SIZE=11|552 5.3.4", "MAIL FROM:<a@x.test> SIZE=10|250"}},
		{"bad parameters", Options{}, true, []string{
			"MAIL FROM:<a@x.test> SIZE=-1|501 5.5.4", "MAIL FROM:<a@x.test> BODY=9BIT|501", "MAIL FROM:<a@x.test> X=Y|555 5.5.4",
			"MAIL FROM:<a@x.test> BODY=BINARYMIME|501", "MAIL FROM:<a@x.test> ENVID=a=b|501", "MAIL FROM:<a@x.test> RET=ALL|501",
			"MAIL FROM:<a@x.test> SIZE=1 SIZE=1|555", "MAIL FROM:<a@x.test> ENVID=a+3Db RET=HDRS AUTH=<>|250",
			"RCPT TO:<b@x.test> NOTIFY=NEVER,SUCCESS|501", "RCPT TO:<b@x.test> ORCPT=b@x|501", "RCPT TO:<b@x.test> SIZE=1|555",
		}},
		{"extensions not offered", Options{NoDSN: true, No8BitMIME: true, NoUTF8: true, NoChunking: true}, true, []string{
			"MAIL FROM:<a@x.test> RET=FULL|555", "MAIL FROM:<a@x.test> BODY=8BITMIME|555", "MAIL FROM:<a@x.test> SMTPUTF8|555",
			from, "RCPT TO:<b@x.test> NOTIFY=NEVER|555", to, "BDAT 0 LAST|502 5.5.1"}},
		{"nested mail", Options{}, true, []string{from, "MAIL FROM:<a@x.test>|503 5.5.1", "RSET|250 2.0.0", from}},
		{"ehlo ends the transaction", Options{}, true, []string{from, hi, "RCPT TO:<b@x.test>|503"}},
		{"order", Options{}, true, []string{"RCPT TO:<b@x.test>|503 5.5.1", "DATA|503 5.5.1", from, "DATA|554 5.5.1", "DATA now|501"}},
		{"too many recipients", Options{MaxRecipients: 1}, true, []string{from, to, "RCPT TO:<c@x.test>|452 4.5.3"}},
		{"postmaster", Options{}, true, []string{from, "RCPT TO:<Postmaster>|250"}},
		{"chunk without mail", Options{}, true, []string{"BDAT 3 LAST\r\nX|503 5.5.1 MAIL", "NOOP|250"}},
		{"chunk without recipient", Options{}, true, []string{from, "BDAT 3 LAST\r\nA|554 5.5.1", "MAIL FROM:<a@x.test>|503", "RSET|250", from}},
		{"chunk syntax", Options{}, true, []string{from, to, "BDAT x|501 5.5.4"}},
		{"data after chunk", Options{}, true, []string{from, to, "BDAT 3\r\nA|250 2.0.0 3", "DATA|503 5.5.1", "RCPT TO:<c@x.test>|503"}},
		{"body too large", Options{MaxSize: 4}, true, []string{from, to, "DATA|354", "12345\r\n.|552 5.3.4", from, to, "BDAT 7\r\n12345|552", "BDAT 2 LAST\r\n|503", "RSET|250"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, tt.opts)
			var c *client
			if tt.logged {
				c = login(t, p)
			} else {
				c = dial(t, p.PlainAddr, nil)
				c.expect("220 ")
			}
			for _, line := range tt.lines {
				i := strings.LastIndex(line, "|")
				c.do(line[:i], line[i+1:])
			}
			if p.Counts().Messages != 0 {
				t.Errorf("a message was accepted: %+v", p.Messages())
			}
		})
	}
}

// TestGroups shows which commands may share a flight (RFC 2920), and that a group's replies come in
// one flight.
func TestGroups(t *testing.T) {
	const group = "RSET\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 3 LAST\r\nabc"
	t.Run("allowed", func(t *testing.T) {
		p := start(t, Options{})
		c := login(t, p)
		before := p.Counts().Flights
		c.send(group)
		for _, want := range []string{"250 2.0.0", "250 2.1.0", "250 2.1.5", "250 2.0.0 OK"} {
			c.expect(want)
		}
		if n := p.Counts().Flights - before; n != 1 {
			t.Errorf("%d flights, want 1", n)
		}
	})
	refused := []struct {
		name string
		opts Options
		send string
	}{
		{"not offered", Options{NoPipelining: true}, group},
		{"body before 354", Options{}, "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\nabc\r\n.\r\n"},
		{"after ehlo", Options{}, "EHLO c.test\r\nNOOP\r\n"},
		{"after auth", Options{}, "AUTH XOAUTH2\r\neA==\r\n"},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, tt.opts)
			c := login(t, p)
			c.send(tt.send)
			got := ""
			for !strings.HasPrefix(got, "554 5.5.0") {
				got = c.reply()
			}
			c.ended()
			if p.Counts().Messages != 0 {
				t.Error("a message was accepted")
			}
		})
	}
}

// TestSTARTTLS shows that nothing sent before TLS counts after it, and that mail is refused without
// it.
func TestSTARTTLS(t *testing.T) {
	p := start(t, Options{})
	c := dial(t, p.SMTPAddr, nil)
	c.expect("220 ")
	c.do("EHLO c.test", "250-")
	c.do("AUTH XOAUTH2 "+xoauth2(me, p.accessToken(t, me)), "530 5.7.0 Must issue")
	c.do("MAIL FROM:<a@x.test>", "530 5.7.0 Must issue")
	c.send("STARTTLS\r\nEHLO injected.test\r\nNOOP\r\n") // the injected commands must get no replies
	c.expect("220 2.0.0")
	c.tls(trust(p))
	c.do("MAIL FROM:<a@x.test>", "503 5.5.1 EHLO")
	if got := c.do("EHLO c.test", "250-"); strings.Contains(got, "STARTTLS") {
		t.Errorf("offered twice: %s", got)
	}
	c.do("AUTH XOAUTH2 "+xoauth2(me, p.accessToken(t, me)), "235 ")
}

// TestNoSTARTTLS shows the trap for clients that fall back: AUTH in clear text.
func TestNoSTARTTLS(t *testing.T) {
	p := start(t, Options{NoSTARTTLS: true})
	c := dial(t, p.SMTPAddr, nil)
	c.expect("220 ")
	if got := c.do("EHLO c.test", "250-"); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "AUTH XOAUTH2") {
		t.Errorf("offered: %s", got)
	}
	c.do("STARTTLS", "502 5.5.1")
}

// TestCertificate shows how clients see it: trusted through Pool and through the file, wrong name,
// expired, old TLS.
func TestCertificate(t *testing.T) {
	p := start(t, Options{})
	path, err := p.WriteCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if written, err := os.ReadFile(path); err != nil || string(written) != string(p.CertPEM()) {
		t.Errorf("WriteCA: %v", err)
	}
	expired := start(t, Options{NotAfter: time.Now().Add(-time.Hour)})
	other := start(t, Options{Hosts: []string{"mail.other.test"}})
	old := start(t, Options{MaxTLSVersion: tls.VersionTLS11})
	tests := []struct {
		name string
		addr string
		conf *tls.Config
		want string
	}{
		{"good", p.SMTPSAddr, trust(p), ""},
		{"localhost", p.SMTPSAddr, &tls.Config{RootCAs: p.Pool(), ServerName: "localhost"}, ""},
		{"unknown CA", p.SMTPSAddr, trust(other), "unknown authority"},
		{"expired", expired.SMTPSAddr, trust(expired), "expired"},
		{"other name", other.SMTPSAddr, trust(other), "cannot validate certificate for 127.0.0.1"},
		{"old version", old.SMTPSAddr, trust(old), "protocol version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := tls.Dial("tcp", tt.addr, tt.conf)
			if err == nil {
				c.Close()
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestResumption counts a resumed session, because tests of the session cache depend on that count.
func TestResumption(t *testing.T) {
	p := start(t, Options{})
	config := trust(p)
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	for range 2 {
		c := dial(t, p.SMTPSAddr, config)
		c.expect("220 ")
		c.do("QUIT", "221 ")
		c.ended()
	}
	if c := p.Counts(); c.Handshakes != 2 || c.Resumed != 1 {
		t.Errorf("counts %+v", c)
	}
}

// TestMaxConnections refuses an account's connection beyond the limit, and accepts it once another
// one has left.
func TestMaxConnections(t *testing.T) {
	p := start(t, Options{MaxConnections: 1})
	first := login(t, p)
	second := dial(t, p.PlainAddr, nil)
	second.expect("220 ")
	second.do("EHLO c.test", "250-")
	token := p.accessToken(t, "ME@corp.test")
	second.do("AUTH XOAUTH2 "+xoauth2("ME@corp.test", token), "432 4.3.2")
	second.do("MAIL FROM:<a@x.test>", "530 ")
	first.do("QUIT", "221 ")
	first.ended()
	second.do("AUTH XOAUTH2 "+xoauth2("ME@corp.test", token), "235 ")
	if n := p.Peak(me); n != 1 {
		t.Errorf("peak %d, want 1", n)
	}
}

// TestSendingLimits refuses what goes over a limit, in the words of Exchange.
func TestSendingLimits(t *testing.T) {
	send := func(c *client, rcpts int, want string) {
		c.do("MAIL FROM:<"+me+">", "250 ")
		for range rcpts {
			c.do("RCPT TO:<you@there.test>", "250 ")
		}
		c.do("DATA", "354 ")
		c.do("hello\r\n.", want)
	}
	p := start(t, Options{MaxPerMinute: 2, Minute: time.Hour})
	c := login(t, p)
	for range 2 {
		send(c, 1, "250 ")
	}
	send(c, 1, "421 4.4.2 Message submission rate")
	c.ended()
	p = start(t, Options{MaxRecipientsPerDay: 3})
	c = login(t, p)
	send(c, 4, "554 5.2.0 STOREDRV")
	send(c, 3, "250 ")
	send(c, 1, "554 5.2.0 STOREDRV")
	if n := p.OverLimit(); n != 2 || len(p.Messages()) != 1 {
		t.Errorf("%d over the limit, %d messages", n, len(p.Messages()))
	}
}

// TestIdle closes a silent client with 421.
func TestIdle(t *testing.T) {
	p := start(t, Options{IdleTimeout: time.Millisecond})
	c := dial(t, p.PlainAddr, nil)
	c.expect("220 ")
	c.expect("421 4.4.2")
	c.ended()
}

// TestMistakes disconnects a client that sends nonsense.
func TestMistakes(t *testing.T) {
	p := start(t, Options{})
	c := dial(t, p.PlainAddr, nil)
	c.expect("220 ")
	for range 20 {
		c.do("WHAT", "502 ")
	}
	c.do("WHAT", "421 4.7.0")
	c.ended()
}

// TestClose ends connections in each state, and waits of every kind.
func TestClose(t *testing.T) {
	p, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	idle, body, hung, late := login(t, p), login(t, p), login(t, p), login(t, p)
	reached := make(chan string, 2)
	p.SetFaults(Faults{SMTP: func(e Event) Action {
		switch e.Step {
		case StepNoop:
			reached <- e.Step
			return Action{Hang: true}
		case StepRset:
			reached <- e.Step
			return Action{Delay: time.Hour}
		}
		return Action{}
	}})
	hung.send("NOOP\r\n")
	late.send("RSET\r\n")
	<-reached
	<-reached
	body.send("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 100 LAST\r\nabc")
	body.expect("250 ")
	body.expect("250 ")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.WaitMessages(ctx, 1); err == nil {
		t.Error("WaitMessages succeeded after its context had ended")
	}
	waited := make(chan error)
	go func() { waited <- p.WaitMessages(context.Background(), 1) }()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error("second Close:", err)
	}
	if err := <-waited; err == nil {
		t.Error("WaitMessages succeeded after the provider was closed")
	}
	for _, c := range []*client{idle, body, hung, late} {
		c.ended()
	}
	if c := p.Counts(); c.Active != 0 || c.Messages != 0 {
		t.Errorf("counts %+v", c)
	}
}

// TestKeeping shows what is recorded with CountOnly and DropBodies.
func TestKeeping(t *testing.T) {
	for _, o := range []Options{{DropBodies: true}, {CountOnly: true}} {
		p := start(t, o)
		c := login(t, p)
		c.send("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 3 LAST\r\nabc")
		c.expect("250 ")
		c.expect("250 ")
		reply := c.expect("250 2.0.0 OK wx0000000001 queued")
		if err := p.WaitMessages(t.Context(), 1); err != nil {
			t.Error(err)
		}
		got := p.Messages()
		if o.CountOnly && len(got) != 0 || o.DropBodies && (len(got) != 1 || got[0].Body != nil || got[0].Size != 3 ||
			got[0].SHA256 != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") {
			t.Errorf("%s: recorded %+v", reply, got)
		}
		p.Forget()
		if p.Counts().Messages != 1 || len(p.Messages()) != 0 {
			t.Error("Forget must drop the messages and keep the count")
		}
	}
}

// TestManyConnections opens 5,000 authenticated connections at once, sends a message through each,
// and sees them all leave.
func TestManyConnections(t *testing.T) {
	const n = 5000
	p := start(t, Options{})
	tokens := make([]string, 100)
	for i := range tokens {
		tokens[i] = p.accessToken(t, fmt.Sprintf("u%d@corp.test", i))
	}
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = dial(t, p.PlainAddr, nil)
	}
	for _, c := range clients {
		c.expect("220 ")
		c.send("EHLO c.test\r\n")
	}
	for i, c := range clients {
		c.expect("250-")
		c.send("AUTH XOAUTH2 %s\r\n", xoauth2(fmt.Sprintf("u%d@corp.test", i%100), tokens[i%100]))
	}
	for _, c := range clients {
		c.expect("235 ")
	}
	if c := p.Counts(); c.Active != n || c.Auths != n || p.Peak("u7@corp.test") != n/100 {
		t.Errorf("counts %+v, peak %d", c, p.Peak("u7@corp.test"))
	}
	for i, c := range clients {
		body := fmt.Sprintf("message %d\r\n", i)
		c.send("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT %d LAST\r\n%sQUIT\r\n", len(body), body)
	}
	for _, c := range clients {
		for _, want := range []string{"250 2.1.0", "250 2.1.5", "250 2.0.0 OK", "221 "} {
			c.expect(want)
		}
		c.ended()
		c.conn.Close()
	}
	if c := p.Counts(); c.Active != 0 || c.Messages != n {
		t.Errorf("counts %+v", c)
	}
	var ids []string
	for _, m := range p.Messages() {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != n {
		t.Error("message IDs are not unique")
	}
}

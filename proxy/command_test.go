package proxy

import (
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// heardBy keeps what the provider is told.
func heardBy(r *rig) (lines func(prefix string) []string) {
	var mu sync.Mutex
	var all []string
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, e.Line)
		return providertest.Action{}
	}})
	return func(prefix string) (lines []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, line := range all {
			if strings.HasPrefix(line, prefix) {
				lines = append(lines, line)
			}
		}
		return lines
	}
}

// A recipient that was no mailbox went to another, and was acknowledged. What the provider hears is
// what the mail program said, or nothing.
func TestAddressesAreNeverChanged(t *testing.T) {
	r := newRig(t, rigOptions{})
	heard := heardBy(r)
	said := 0
	for _, path := range []string{
		"<you@there.test>", `<"you"@there.test>`, `<""@there.test>`, `<"a b"@there.test>`, `<"a@b,c"@there.test>`, `<"a..b"@there.test>`,
		`<"a\"\\\b"@there.test>`, "<a..b@there.test>", "<a.@there.test>", "<Postmaster>", "<postmaster>", "<you@[192.0.2.1]>", "<you@[IPv6:2001:db8::1]>",
	} {
		p := r.login(me)
		p.do("MAIL FROM:<"+me+">", "250")
		p.do("RCPT TO:"+path, "") // the provider decides
		if got := heard("RCPT"); len(got) != said+1 || got[said] != "RCPT TO:"+path {
			t.Errorf("of %s the provider heard %q", path, got[said:])
		}
		said = len(heard("RCPT"))
		p.do("QUIT", "221")
	}
	for _, path := range []string{"<a@there.test,b@else.test>", "a@there.test,b@else.test", "<a@there.test;b@else.test>", "<you@@there.test>", "<you@there.test.>", "<you>", "<>"} {
		p := r.login(me)
		p.do("MAIL FROM:<"+me+">", "250")
		p.do("RCPT TO:"+path, "501 5.1.3 The recipient's address ")
		p.do("RCPT TO:<jürgen@there.test>", "553 5.6.7")
		p.do("RSET", "250")
		if path != "<>" {
			p.do("MAIL FROM:"+path, "501 5.1.7 The sender's address ")
		}
		p.do("QUIT", "221")
	}
	if got := heard("RCPT"); len(got) != said {
		t.Errorf("of wrong addresses the provider heard %q", got[said:])
	}
	p := r.login(me)
	p.do(`MAIL FROM:<"me"@corp.test> AUTH="me"@corp.test`, "250")
	p.do("RCPT TO:<@old.test,@older.test:you@there.test>", "250")
	if got := heard(`MAIL FROM:<"me"@`); len(got) != 1 || !strings.HasSuffix(heard("RCPT")[said], "<you@there.test>") {
		t.Errorf("a sender in quotes and a source route: the provider heard %q, %q", got, heard("RCPT")[said:])
	}
}

// TestParametersGoUp as RFC 1870, 3461, 4954 and 6531 have them.
func TestParametersGoUp(t *testing.T) {
	r := newRig(t, rigOptions{})
	heard := heardBy(r)
	p := r.login(me)
	for _, parameters := range []string{"SIZE=5000000000", "SIZE=9223372036854775807", "BODY=8BITMIME", "SMTPUTF8", "RET=FULL ENVID=a+2Bb", "AUTH=<>", "AUTH=me+2Bx@corp.test"} {
		p.do("MAIL FROM:<"+me+"> "+parameters, "250")
		p.do("RCPT TO:<you@there.test>", "")
		mail := heard("MAIL")
		if got := strings.TrimPrefix(mail[len(mail)-1], "MAIL FROM:<"+me+"> "); got != parameters {
			t.Errorf("of %s the provider heard %q", parameters, got)
		}
		p.do("RSET", "250")
	}
}

// TestOrderOfCommands: RFC 5321 section 4.1.4, RFC 3030 section 2 and RFC 3207 section 4.2.
func TestOrderOfCommands(t *testing.T) {
	r := newRig(t, rigOptions{})
	for _, inside := range []string{"DATA", "MAIL FROM:<" + me + ">", "RCPT TO:<b@there.test>"} {
		p := r.login(me)
		p.do("MAIL FROM:<"+me+">", "250")
		p.do("RCPT TO:<you@there.test>", "250")
		p.do("BDAT 7\r\nhello", "250 2.0.0 Continue")
		p.do(inside, "503 5.5.1")
		p.do("NOOP", "250")
		p.send("BDAT 5 LAST\r\nworld")
		p.expect("250 2.0.0 OK")
		p.do("BDAT 3 LAST\r\nx", "503")
		p.do("NOOP", "250 2.0.0")
	}
	if m := r.provider.Messages(); len(m) != 3 || string(m[0].Body) != "hello\r\nworld" {
		t.Errorf("%d messages arrived", len(m))
	}

	p := r.dial() // what came before TLS is forgotten
	p.do("EHLO x", "250")
	p.do("STARTTLS", "220")
	p.startTLS()
	p.do("AUTH PLAIN "+plainResponse(me, password), "503 5.5.1 EHLO comes first")
	p.do("MAIL FROM:<"+me+">", "503 5.5.1 EHLO comes first")
	p.do("NOOP", "250")
	p.do("HELO x", "250")
	p.do("AUTH PLAIN "+plainResponse(me, password), "235")
	p.message(me, "you@there.test", "hello\r\n")
}

// TestNamesInHello: devices that cannot be told a name, and those that give odd ones.
func TestNamesInHello(t *testing.T) {
	r := newRig(t, rigOptions{})
	for line, want := range map[string]string{
		"HELO": "250 Hello [127.0.0.1]", "EHLO": "250-Hello [127.0.0.1]", "EHLO \t ": "250-Hello [127.0.0.1]", "ehlo x": "250-Hello x",
		"EHLO name.": "250-Hello name.", "EHLO _": "250-Hello _", "EHLO two words": "250-Hello two", "EHLO\tx": "250-Hello x", "EHLO M\xfcller": "250-Hello [127.0.0.1]",
		"EHLO [IPv6:::1]": "250-Hello [IPv6:::1]", "EHLO " + strings.Repeat("a", 255): "250-Hello aaaa", "EHLO " + strings.Repeat("a", 256): "501 5.5.4",
		"HELO a\x00b": "501 5.5.4", "EHLO a\rb": "501 5.5.4",
	} {
		p := r.dial()
		p.t = t
		p.do(line, want)
		if want[0] == '2' {
			p.do("AUTH PLAIN "+plainResponse(me, password), "235")
		}
	}
}

// Replies to NOOP, VRFY and unknown commands waited for the slow command that came in the same packet,
// against RFC 2920 section 3.2.
func TestRepliesThatMustNotWait(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, rigOptions{})
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action {
		if e.Step == providertest.StepRcpt {
			<-release
		}
		return providertest.Action{}
	}})
	for first, want := range map[string]string{"NOOP": "250 2.0.0", "VRFY you": "252", "EXPN all": "502", "HELP": "214", "XUNKNOWN": "500 5.5.2", "": "500 5.5.2"} {
		p := r.login(me)
		p.do("MAIL FROM:<"+me+">", "250")
		p.send(first + "\r\nRCPT TO:<you@there.test>\r\nNOOP\r\n")
		p.expect(want) // while the provider is silent
		go func() { release <- struct{}{} }()
		p.expect("250 2.1.5")
		p.expect("250 2.0.0")
	}
}

// TestWhatBelongsTogetherLeavesTogether: the replies to a flight of MAIL, RCPT and DATA are one write.
func TestWhatBelongsTogetherLeavesTogether(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	p.send("MAIL FROM:<" + me + ">\r\nRCPT TO:<a@b.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n")
	buf := make([]byte, 4096)
	n, err := p.conn.Read(buf)
	if err != nil || strings.Count(string(buf[:n]), "\r\n") != 4 {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

// A whole dialogue in one packet got 354 only with the final reply.
func TestDataIsAnsweredAtOnce(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, rigOptions{})
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action {
		if e.Step == providertest.StepFinal {
			<-release
		}
		return providertest.Action{}
	}})
	p := r.login(me)
	p.send("MAIL FROM:<" + me + ">\r\nRCPT TO:<a@b.test>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n")
	p.expect("250")
	p.expect("250")
	p.expect("354")
	close(release)
	p.expect("250 2.0.0 OK")
	p.expect("221")
}

// A device that sends an empty line after each message was cut off at the fourth.
const maxUnknown = 3 // unrecognized commands in a row that are answered

func TestUnknownCommandsAreForgiven(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	for range 3 {
		for range maxUnknown {
			p.do("", "500 5.5.2")
		}
		p.do("MAIL FROM:<"+me+">", "250")
		p.do("X", "500 5.5.2")
		p.do("RCPT TO:<you@there.test>", "250")
		p.do("DATA", "354")
		p.do("hello\r\n.", "250 2.0.0 OK")
	}
	p = r.dial()
	for range maxUnknown + 1 {
		p.do("X", "500 5.5.2")
	}
	p.expect("421 4.7.0 Too many unrecognized commands; closing")
	if got := p.reply(); got != "" {
		t.Errorf("the connection goes on with %q", got)
	}
}

// HELO with 65 KB and AUTH LOGIN with 48 KB were kept for as long as the connection lasted.
func TestNothingLongBeforeLogin(t *testing.T) {
	r := newRig(t, rigOptions{})
	for name, say := range map[string]string{
		"HELO": "HELO " + strings.Repeat("a", 4096), "AUTH": "AUTH LOGIN " + strings.Repeat("a", 4096), "unknown": strings.Repeat("a", 4096),
		"without its end": strings.Repeat("a", 4096),
	} {
		p := r.dial()
		p.t = t
		p.do("EHLO x", "250")
		if name != "without its end" {
			say += "\r\n"
		}
		p.send(say)
		p.expect("500 5.5.6 Line too long")
	}
	p := r.dial()
	p.do("EHLO x", "250")
	p.do("AUTH PLAIN "+plainResponse(strings.Repeat("a", 321), "x"), "535 5.7.8 Wrong user name")
}

// STARTTLS on the loopback interface made programs refuse the certificate that take it wherever they
// see it: Go, Ruby, PHPMailer, nodemailer as they come. It works, and is not listed.
func TestSTARTTLSIsNotListedOnLoopback(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.dial()
	if caps := p.do("EHLO x", "250"); strings.Contains(caps, "STARTTLS") {
		t.Errorf("offered: %q", caps)
	}
	p.do("STARTTLS", "220")
	p.startTLS()
	p.auth(me, password)
	r = newRig(t, rigOptions{config: func(c *config.Config) { c.OfferSTARTTLS = true }})
	if caps := r.dial().do("EHLO x", "250"); !strings.Contains(caps, "250-STARTTLS") {
		t.Errorf("offered with offer_starttls: %q", caps)
	}
	p = r.dialTLS()
	if caps := p.do("EHLO x", "250"); strings.Contains(caps, "STARTTLS") {
		t.Errorf("offered over TLS: %q", caps)
	}
}

package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

const tlsAlert = "\x15\x03\x01\x00\x02\x02\x28" // fatal, handshake_failure (RFC 8446 section 6)

// What HTTP is told, from the first byte to the last.
const httpText = "This is a port of Waxseal for mail programs. It speaks SMTP, not HTTP.\n"

var badRequest = fmt.Sprintf("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(httpText), httpText)

// Other protocols on the plain port ran into "unrecognized commands", or into silence.
func TestOtherProtocols(t *testing.T) {
	oldHello := "\x16\x03\x01\x00\x2e\x01\x00\x00\x2a\x03\x01" + strings.Repeat("U", 32) + "\x00\x00\x02\x00\x2f\x01\x00" // without an LF in it
	for name, tc := range map[string]struct{ say, told, log string }{
		"TLS":            {oldHello, tlsAlert, "spoke TLS"},
		"half a hello":   {"\x16", tlsAlert, "spoke TLS"},
		"SSL 2":          {"\x80\x2e\x01\x00\x02" + strings.Repeat("U", 40), tlsAlert, "spoke TLS"},
		"GET":            {"GET / HTTP/1.1\r\nHost: localhost:1587\r\n\r\n", badRequest, "spoke HTTP"},
		"POST":           {"POST /x?MAIL HTTP/1.0\r\nContent-Length: 30\r\n\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n", badRequest, "spoke HTTP"},
		"CONNECT":        {"CONNECT mail.example:25 HTTP/1.1\r\n\r\n", badRequest, "spoke HTTP"},
		"HTTP/2":         {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", badRequest, "spoke HTTP"},
		"SSH":            {"SSH-2.0-OpenSSH_9.2p1\r\n", "500 5.5.2 This port speaks SMTP, not SSH\r\n", "spoke SSH"},
		"GET after EHLO": {"EHLO x\r\nGET / HTTP/1.1\r\n", badRequest, "spoke HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			c, err := net.Dial("tcp", r.plain)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			io.WriteString(c, tc.say)
			said, err := io.ReadAll(readHalf{c})
			if err != nil || !strings.HasSuffix(string(said), tc.told) {
				t.Errorf("it was told %q, %v", said, err)
			}
			if log := r.log.String(); strings.Count(log, tc.log) != 1 || strings.Contains(log, "unrecognized") || !strings.Contains(log, "level=WARN") {
				t.Errorf("the log says %s", log)
			}
		})
	}
	r := newRig(t, rigOptions{}) // what only looks like them
	p := r.login(me)
	p.do("GET me a beer", "500 5.5.2")
	p.do("GETS / HTTP/1.1", "500 5.5.2")
	p.do("XSSH-2.0", "500 5.5.2")
	p.do("NOOP GET / HTTP/1.1", "250")
}

// readHalf closes its half once the other is closed, as programs do.
type readHalf struct{ net.Conn }

func (r readHalf) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	if err == io.EOF {
		r.Conn.Close()
	}
	return n, err
}

// TestHTTPOverTLS: a browser that is sent to the TLS port.
func TestHTTPOverTLS(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.dialTLS()
	p.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	said, _ := io.ReadAll(p.r)
	if string(said) != badRequest {
		t.Errorf("it was told %q", said)
	}
}

// A plain program on the TLS port waited for a greeting until it gave up, and the log said nothing. It
// is greeted now, and told to issue STARTTLS, which makes the port one for programs that insist on
// that, too.
func TestPlainOnTheTLSPort(t *testing.T) {
	for name, early := range map[string]string{"waits": "", "speaks first": "EHLO early\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rigOptions{})
			c, err := net.Dial("tcp", r.tls)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, early)
			p := newProgram(t, c) // 220
			if early != "" {
				p.expect("250")
			}
			if caps := p.do("EHLO x", "250"); !strings.Contains(caps, "STARTTLS") || strings.Contains(caps, "AUTH") {
				t.Errorf("offered: %q", caps)
			}
			p.do("AUTH PLAIN "+plainResponse(me, password), "530 5.7.0 Must issue a STARTTLS")
			p.do("STARTTLS", "220")
			p.startTLS()
			p.auth(me, password)
			p.message(me, "you@there.test", "hello\r\n")
			if log := r.log.String(); strings.Count(log, "on the port for TLS; it is offered STARTTLS") != 1 || !strings.Contains(log, r.plain) {
				t.Errorf("the log says %s", log)
			}
		})
	}
}

// TestHandshakesThatFail: the log says what the program lacks, and nothing waits.
func TestHandshakesThatFail(t *testing.T) {
	r := newRig(t, rigOptions{})
	for name, tc := range map[string]struct {
		config *tls.Config
		log    string
	}{
		"TLS 1.0":             {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}, "knows only TLS 1.1 or older"},
		"the certificate":     {&tls.Config{ServerName: "localhost"}, "does not trust Waxseal's certificate"},
		"another certificate": {&tls.Config{ServerName: "other.example"}, "does not trust Waxseal's certificate"},
	} {
		for _, start := range []bool{false, true} {
			r.log.reset()
			var c net.Conn
			if start {
				p := r.dial()
				p.do("EHLO x", "250")
				p.do("STARTTLS", "220")
				c = p.conn
			} else {
				var err error
				if c, err = net.Dial("tcp", r.tls); err != nil {
					t.Fatal(err)
				}
			}
			c.SetDeadline(time.Now().Add(patience))
			client := tls.Client(c, tc.config)
			if err := client.Handshake(); err == nil {
				client.Read(make([]byte, 1)) // TLS 1.3 has the client done first
			}
			c.Close()
			eventually(t, name+" is in the log", func() bool { return strings.Contains(r.log.String(), tc.log) })
		}
	}
	c, err := net.Dial("tcp", r.tls)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "\x80\x2e\x01\x00\x02"+strings.Repeat("U", 41))
	eventually(t, "SSL 2 is in the log", func() bool { return strings.Contains(r.log.String(), "SSLv2") })
}

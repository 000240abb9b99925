package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/dial"
)

func TestTLS(t *testing.T) {
	cert, roots := certificate(t, "127.0.0.1")
	for _, mode := range []dial.TLSMode{dial.StartTLS, dial.Implicit, ""} {
		f := start(t, &fake{tls: cert, implicit: mode == dial.Implicit})
		p := newPool(t, f, func(c *Config) { c.TLS, c.RootCAs = mode, roots })
		mustSend(t, p, "hello\r\n")
		m := f.delivered()
		if len(m) != 1 || string(m[0].body) != "hello\r\n" {
			t.Errorf("%q: %+v", mode, m)
		}
		hellos := 0
		for _, line := range f.said(1) {
			if strings.HasPrefix(line, "EHLO") {
				hellos++
			}
		}
		want := 2 // once more under TLS
		if mode == dial.Implicit {
			want = 1
		}
		if hellos != want {
			t.Errorf("%q: %d EHLOs, want %d", mode, hellos, want)
		}
	}
}

// A second connection resumes the first one's TLS session.
func TestSessionsResume(t *testing.T) {
	cert, roots := certificate(t, "127.0.0.1")
	resumed := make(chan bool, 4)
	cert.VerifyConnection = func(s tls.ConnectionState) error { resumed <- s.DidResume; return nil }
	f := start(t, &fake{tls: cert, implicit: true})
	p := newPool(t, f, func(c *Config) { c.TLS, c.RootCAs = dial.Implicit, roots })
	mustSend(t, p, "one\r\n")
	p.Drop()
	mustSend(t, p, "two\r\n")
	if first, second := <-resumed, <-resumed; first || !second {
		t.Errorf("resumed: first %v, second %v", first, second)
	}
}

// Each 64 KiB of a body went up in five writes: four full TLS records, and a fifth for the dozen bytes
// that the command before them takes.
func TestRecordsGoUpInPairs(t *testing.T) {
	cert, roots := certificate(t, "127.0.0.1")
	f := start(t, &fake{tls: cert, implicit: true})
	p := newPool(t, f, func(c *Config) { c.TLS, c.RootCAs = dial.Implicit, roots })
	var sizes []int
	p.server.Open = func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := dial.TCP(ctx, nil, addr)
		return &noted{Conn: c, sizes: &sizes}, err
	}
	mustSend(t, p, "one\r\n")
	for _, body := range []struct {
		size  int
		pairs int // and one more write: MAIL and RCPT
	}{{1, 1}, {dial.Record, 1}, {dial.Record + 1, 1}, {2*dial.Record - headRoom, 1}, {2 * dial.Record, 2}, {chunkSize - 1, 2}, {3*chunkSize - 1, 6}} {
		sizes = nil
		text := strings.Repeat("x", body.size)
		mustSend(t, p, text)
		if len(sizes) != 1+body.pairs {
			t.Errorf("MAIL, RCPT and %d bytes went up in writes of %d", body.size, sizes)
		}
		if got := f.delivered(); string(got[len(got)-1].body) != text {
			t.Errorf("of %d bytes %d arrived", body.size, len(got[len(got)-1].body))
		}
	}
}

// noted notes how large each write is.
type noted struct {
	net.Conn
	sizes *[]int
}

func (n *noted) Write(p []byte) (int, error) {
	*n.sizes = append(*n.sizes, len(p))
	return n.Conn.Write(p)
}

func TestNoStartTLS(t *testing.T) {
	f := start(t, &fake{})
	p := newPool(t, f, func(c *Config) {
		c.TLS, c.Breaker = dial.StartTLS, breaker.New("smtp", breaker.Settings{Failures: 1})
	})
	for range 3 { // the reason stays: the breaker is for what passes
		if err := p.Check(t.Context()); !errors.Is(err, dial.ErrNoTLS) {
			t.Error(err)
		}
	}
	said := f.said(1)
	if last := said[len(said)-1]; !strings.HasPrefix(last, "EHLO ") {
		t.Errorf("went on in clear text: %q", said)
	}
}

func TestStartTLSRefused(t *testing.T) {
	cert, roots := certificate(t, "127.0.0.1")
	f := start(t, &fake{tls: cert, on: func(_ int, line string) string {
		if line == "STARTTLS" {
			return "454 4.7.0 TLS not available"
		}
		return ""
	}})
	p := newPool(t, f, func(c *Config) { c.TLS, c.RootCAs = dial.StartTLS, roots })
	var lost *ConnError
	if err := p.Check(t.Context()); !errors.As(err, &lost) || lost.Op != "STARTTLS" {
		t.Error(err)
	}
}

// Text slipped in after the reply to STARTTLS is not taken for the server's (CVE-2011-0411): here it would
// make us send the token to a mechanism of the attacker's choice.
func TestInjectionBehindStartTLS(t *testing.T) {
	cert, roots := certificate(t, "127.0.0.1")
	f := start(t, &fake{tls: cert, on: func(_ int, line string) string {
		if line == "STARTTLS" {
			return "220 go\r\n250-evil\r\n250 AUTH OAUTHBEARER"
		}
		return ""
	}})
	p := newPool(t, f, func(c *Config) { c.TLS, c.RootCAs = dial.StartTLS, roots })
	err := p.Check(t.Context())
	if !errors.Is(err, dial.ErrInjected) {
		t.Error(err)
	}
	if said := f.said(1); said[len(said)-1] != "STARTTLS" {
		t.Errorf("went on: %q", said)
	}
}

// What was offered in clear text does not count under TLS.
func TestExtensionsAreForgotten(t *testing.T) {
	cert, roots := certificate(t, "127.0.0.1")
	hellos := 0
	f := start(t, &fake{tls: cert, on: func(_ int, line string) string {
		if strings.HasPrefix(line, "EHLO") {
			if hellos++; hellos == 2 {
				return "250-fake\r\n250 AUTH XOAUTH2"
			}
		}
		return ""
	}})
	p := newPool(t, f, func(c *Config) { c.TLS, c.RootCAs = dial.StartTLS, roots })
	mustSend(t, p, "hello\r\n")
	if m := f.delivered(); len(m) != 1 || m[0].chunked {
		t.Errorf("BDAT though not offered: %+v", m)
	}
}

func TestBadCertificates(t *testing.T) {
	good, roots := certificate(t, "127.0.0.1")
	named, namedRoots := certificate(t, "elsewhere.example")
	old := good.Clone()
	old.MaxVersion = tls.VersionTLS11
	old.MinVersion = tls.VersionTLS10
	for _, c := range []struct {
		name  string
		cert  *tls.Config
		roots *x509.CertPool
		want  string // of the words
	}{
		{"unknown authority", good, nil, "the certificate for 127.0.0.1, issued to fake by itself, is not trusted: x509: certificate signed by unknown authority"},
		{"another's authority", good, namedRoots, "the certificate for 127.0.0.1, issued to fake by itself, is not trusted: x509: certificate signed by unknown authority"},
		{"another name", named, namedRoots, "the certificate for 127.0.0.1, issued to fake by itself, is not trusted: x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"},
		{"TLS 1.1", old, roots, "protocol version"},
	} {
		for _, mode := range []dial.TLSMode{dial.StartTLS, dial.Implicit} {
			f := start(t, &fake{tls: c.cert, implicit: mode == dial.Implicit})
			p := newPool(t, f, func(cfg *Config) { cfg.TLS, cfg.RootCAs = mode, c.roots })
			err := p.Check(t.Context())
			var lost *ConnError
			if !errors.As(err, &lost) || lost.Op != "TLS handshake" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: %v", c.name, mode, err)
			}
			var untrusted *dial.CertificateError
			if errors.As(err, &untrusted) != (c.cert != old) {
				t.Errorf("%s, %s: %#v", c.name, mode, untrusted)
			}
			for _, line := range f.said(1) {
				if strings.HasPrefix(line, "AUTH") {
					t.Errorf("%s, %s: sent the token", c.name, mode)
				}
			}
		}
	}
}

// The token and the message are never seen on the wire.
func TestNothingInTheClear(t *testing.T) {
	cert, roots := certificate(t, "127.0.0.1")
	f := start(t, &fake{tls: cert})
	p := newPool(t, f, func(c *Config) { c.TLS, c.RootCAs = dial.StartTLS, roots })
	var wire bytes.Buffer
	p.server.Open = func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := dial.TCP(ctx, nil, addr)
		return &tap{c, &wire}, err
	}
	mustSend(t, p, "a marked body\r\n")
	for _, s := range []string{"marked", "MAIL", "AUTH", "corp.example"} {
		if bytes.Contains(wire.Bytes(), []byte(s)) {
			t.Errorf("%q in clear text", s)
		}
	}
	if !bytes.Contains(wire.Bytes(), []byte("STARTTLS")) {
		t.Error("the tap saw nothing")
	}
}

type tap struct {
	net.Conn
	w io.Writer
}

func (c *tap) Write(p []byte) (int, error) {
	c.w.Write(p)
	return c.Conn.Write(p)
}

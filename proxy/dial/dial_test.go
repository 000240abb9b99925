package dial

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const greeting = "* OK ready\r\n"

// startTLSServer greets each connection under TLS, and gives its address.
func startTLSServer(t *testing.T, cfg *tls.Config) string {
	return startServer(t, func(c net.Conn) { serveTLS(c, cfg) })
}

func serveTLS(c net.Conn, cfg *tls.Config) {
	s := tls.Server(c, cfg)
	if _, err := io.WriteString(s, greeting); err == nil {
		io.Copy(io.Discard, s)
	}
}

func startServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { defer c.Close(); serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); work.Wait() })
	return l.Addr().String()
}

// mustGreet connects and hears the greeting.
func mustGreet(t *testing.T, s *Server, starttls func(net.Conn) error) {
	t.Helper()
	c, err := s.Connect(t.Context(), starttls)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := bufio.NewReader(c).ReadString('\n'); got != greeting {
		t.Errorf("heard %q, %v", got, err)
	}
}

// A second connection resumes the first one's TLS session.
func TestConnect(t *testing.T) {
	cfg, roots := certificate(t, "127.0.0.1")
	resumed := make(chan bool, 9)
	cfg.VerifyConnection = func(s tls.ConnectionState) error { resumed <- s.DidResume; return nil }
	tlsServer := startTLSServer(t, cfg)
	upgrading := startServer(t, func(c net.Conn) {
		if line, _ := bufio.NewReader(c).ReadString('\n'); line == "STARTTLS\r\n" {
			io.WriteString(c, "OK\r\n")
			serveTLS(c, cfg)
		}
	})
	plain := startServer(t, func(c net.Conn) { io.WriteString(c, greeting) })
	starttls := func(c net.Conn) error {
		c.SetDeadline(time.Now().Add(time.Hour))
		io.WriteString(c, "STARTTLS\r\n")
		_, err := io.ReadFull(c, make([]byte, len("OK\r\n")))
		return err
	}
	for _, s := range []*Server{
		{Addr: tlsServer, TLS: Implicit}, {Addr: tlsServer, TLS: Implicit, Bulk: true}, {Addr: upgrading}, {Addr: upgrading, TLS: StartTLS},
	} {
		s.Roots = roots
		mustGreet(t, s, starttls)
		mustGreet(t, s, starttls)
		if first, second := <-resumed, <-resumed; first || !second {
			t.Errorf("%s, %q: resumed: first %v, second %v", s.Addr, s.TLS, first, second)
		}
	}
	mustGreet(t, &Server{Addr: plain, TLS: NoTLS}, nil)
}

// TestStepThatFailed: an error says what failed, and why.
func TestStepThatFailed(t *testing.T) {
	cfg, _ := certificate(t, "127.0.0.1")
	server := startTLSServer(t, cfg)
	refused := errors.New("BAD not now")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	no := func(net.Conn) error { return refused }
	for _, tc := range []struct {
		server   *Server
		starttls func(net.Conn) error
		step     string
		want     string
	}{
		{&Server{Addr: closed.Addr().String(), TLS: Implicit}, no, Connecting, closed.Addr().String() + ": connecting: dial tcp"},
		{&Server{Addr: server, TLS: Implicit}, no, Handshake, server + ": TLS handshake: the certificate for 127.0.0.1, issued to fake by itself, is not trusted"},
		{&Server{Addr: server}, no, "", refused.Error()},
		{&Server{Addr: server}, nil, "", ErrNoTLS.Error()},
	} {
		c, err := tc.server.Connect(t.Context(), tc.starttls)
		step := ""
		if failed, ok := errors.AsType[*Error](err); ok {
			step = failed.Step
		}
		if c != nil || err == nil || step != tc.step || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("got %v, step %q; want %q, step %q", err, step, tc.want, tc.step)
		}
		if named, ok := errors.AsType[*CertificateError](err); ok != (tc.step == Handshake) || ok && named.Host != "127.0.0.1" {
			t.Errorf("the certificate: %v", err)
		}
	}
}

// Each step gets 20 s unless the server says otherwise: mail programs wait for a minute.
func TestTimeouts(t *testing.T) {
	for _, limit := range []time.Duration{0, time.Second} {
		for _, step := range []string{Connecting, Handshake} {
			synctest.Test(t, func(t *testing.T) {
				s := &Server{Addr: "imap.corp.test:993", TLS: Implicit, Timeout: limit}
				s.Open = func(ctx context.Context, _ string) (net.Conn, error) {
					if step == Connecting {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					ours, theirs := net.Pipe()
					t.Cleanup(func() { theirs.Close() })
					return ours, nil
				}
				want, began := s.timeout(), time.Now()
				_, err := s.Connect(t.Context(), nil)
				failed, ok := errors.AsType[*Error](err)
				if took := time.Since(began); !ok || failed.Step != step || took != want || failed.Err != TimeoutError(want) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v after %v", step, err, took)
				}
			})
		}
	}
}

// The dialogue before TLS ends when ctx does.
func TestCallerLeavesBeforeTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		s := &Server{Addr: "imap.corp.test:143", Open: func(context.Context, string) (net.Conn, error) { return ours, nil }}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the mail program left"))
		defer cancel()
		_, err := s.Connect(ctx, func(c net.Conn) error {
			_, err := c.Read(make([]byte, 1))
			return err
		})
		if err != context.Cause(ctx) {
			t.Errorf("got %v", err)
		}
		if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection is open: %v", err)
		}
	})
}

// Mode "none" is for this machine; no packet leaves for another.
func TestPlainTextStaysHome(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:587", "[2001:db8::1]:587", "0.0.0.0:587"} {
		if _, err := (&Server{Addr: addr, TLS: NoTLS}).Connect(t.Context(), nil); !errors.Is(err, ErrNotLoopback) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Log("NOT TESTED: this machine has no IPv6 loopback address")
		return
	}
	defer ln.Close()
	if c, err := (&Server{Addr: ln.Addr().String(), TLS: NoTLS}).Connect(t.Context(), nil); err != nil {
		t.Errorf("[::1] refused: %v", err)
	} else {
		c.Close()
	}
}

// certificate makes a self-signed certificate for the given names, and a pool that trusts it.
func certificate(tb testing.TB, names ...string) (*tls.Config, *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fake"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}

// Package dial makes connections to providers: through an HTTP proxy if there is one, and under TLS. It
// also has the parts of an OAuth login that are the same in SMTP, IMAP and POP.
//
// A [Server] is one server of a provider. The protocols that greet first and ask for TLS in their own words
// say so in a function:
//
//	s := &dial.Server{Addr: "imap.example.com:143", Proxy: proxies.For}
//	conn, err := s.Connect(ctx, func(clear net.Conn) error { ... })
//
// An [*Error] says which step failed. A certificate that is not trusted is a [*CertificateError] in it, and
// a proxy that does not let us through a [*ProxyError].
//
// For the login, [Mechanism] chooses how, [InitialResponse] says who we are, and [ReadReport] reads why a
// token was refused, which is answered by [Acknowledgement]. Each protocol has its own dialogue around them.
//
// # Trust
//
// TLS is verified, version 1.2 or newer, and there is no way back to plain text. Mode "none" is refused
// for anything but the loopback interface.
package dial

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"
)

// Server is a provider's server and how it is reached. Its connections resume each other's TLS sessions.
// All methods may be called by many goroutines; a Server must not be changed or copied after the first call.
type Server struct {
	Addr  string         // host:port
	TLS   TLSMode        // "" is StartTLS
	Roots *x509.CertPool // nil: the system's

	// Proxy names the HTTP proxy through which a URL's host is reached; nil, or a nil URL, is none. The
	// server is asked about as https://Addr. People see its errors, so they must hold no password.
	Proxy func(*url.URL) (*url.URL, error)

	Timeout time.Duration // bounds connecting, and each TLS handshake; 0 is 20 s

	// Bulk is for connections that mostly send whole messages: TLS records are full from the first one and
	// go two at a time.
	Bulk bool

	// Open connects to Addr in the place of TCP, for tests; nil is TCP, through Proxy.
	Open func(ctx context.Context, addr string) (net.Conn, error)

	once sync.Once
	cfg  *tls.Config
}

// Connect connects, and makes the connection private as TLS says. In mode StartTLS, starttls first has the
// dialogue in clear text that ends with the server's consent to TLS. It must not have read anything after
// that: text that somebody slipped in there would be taken for the server's first words under TLS (RFC 3207
// section 5, CVE-2011-0411), so it returns [ErrInjected]. ctx ends its reads and writes; deadlines that it
// sets do not last. In the other modes it is not called and may be nil.
//
// Errors are [*Error], and those of starttls as they are.
func (s *Server) Connect(ctx context.Context, starttls func(net.Conn) error) (net.Conn, error) {
	raw, err := s.TCP(ctx)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	switch s.mode() {
	case NoTLS:
		return raw, nil
	case Implicit:
		conn, err = s.Handshake(ctx, raw)
	default:
		if err = inClear(ctx, raw, starttls); err == nil {
			conn, err = s.Handshake(ctx, raw)
		}
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// inClear has the dialogue before TLS, which ends when ctx does.
func inClear(ctx context.Context, raw net.Conn, starttls func(net.Conn) error) error {
	if starttls == nil {
		return ErrNoTLS
	}
	stop := guard(ctx, raw)
	err := starttls(raw)
	if !stop() {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return raw.SetDeadline(time.Time{})
}

// TCP connects without TLS, directly or through the proxy. In mode "none" it refuses any address that is
// not on this machine before the first packet leaves, and uses no proxy.
func (s *Server) TCP(ctx context.Context) (net.Conn, error) {
	limit := s.timeout()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, TimeoutError(limit))
	defer cancel()
	open := s.Open
	if open == nil {
		open = s.open
	}
	raw, err := open(ctx, s.Addr)
	if err != nil {
		return nil, s.failed(ctx, Connecting, err)
	}
	return raw, nil
}

func (s *Server) open(ctx context.Context, addr string) (net.Conn, error) {
	if s.mode() != NoTLS {
		return through(ctx, &net.Dialer{}, s.Proxy, addr)
	}
	return through(ctx, &net.Dialer{ControlContext: loopbackOnly}, nil, addr)
}

// loopbackOnly sees the address that a name stands for.
func loopbackOnly(_ context.Context, _, addr string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil || !ap.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("%s: %w", addr, ErrNotLoopback)
	}
	return nil
}

func (s *Server) mode() TLSMode          { return cmp.Or(s.TLS, StartTLS) }
func (s *Server) timeout() time.Duration { return cmp.Or(s.Timeout, 20*time.Second) }

// failed is the error of a step. The end of ctx is its own reason, and not what it did to the connection.
func (s *Server) failed(ctx context.Context, step string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &Error{Step: step, Addr: s.Addr, Err: err}
}

// longAgo is the deadline that ends all reading and writing at once.
var longAgo = time.Unix(1, 0)

// guard lets ctx cut c's reads and writes short until stop is called, which reports whether c was left
// whole.
func guard(ctx context.Context, c net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.SetDeadline(longAgo) })
}

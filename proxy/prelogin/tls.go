package prelogin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	// helloWait is how long a program on a port for TLS may take before its first byte. TLS
	// clients speak first; one that waits this long is waiting for a greeting.
	helloWait = 5 * time.Second

	// recordHandshake is the first byte of a TLS ClientHello (RFC 8446 section 5.1).
	recordHandshake = 0x16
)

// HandshakeError is a TLS handshake that failed.
type HandshakeError struct{ Err error }

func (e *HandshakeError) Error() string { return fmt.Sprintf("TLS handshake: %v", e.Err) }
func (e *HandshakeError) Unwrap() error { return e.Err }

// Begin finds out how a program on a port for TLS begins: with a handshake, which is done then,
// or in clear text. A program that wants STARTTLS, or knows nothing of TLS, waits for a greeting
// or sends a command; Secure stays false, and it may be offered STARTTLS. On other ports Begin
// does nothing.
func (c *Conn) Begin() error {
	if !c.cfg.Implicit {
		return nil
	}
	deadline := c.opened.Add(min(helloWait, c.cfg.Timeout))
	first := make([]byte, 1)
	n, err := c.wait(first, deadline)
	switch {
	case err != nil && !errors.Is(err, ErrSilent):
		return err
	case n > 0 && MayBeTLS(first[0]):
		return c.handshake(Replay(c.cfg.TCP, first))
	}
	c.heard = true // it is known not to be TLS
	c.in = first[:n:n]
	return nil
}

// MayBeTLS reports whether a connection to a port for TLS begins with this byte: a handshake, or an SSL 2
// hello, which Go knows to name.
func MayBeTLS(first byte) bool { return first == recordHandshake || first >= 0x80 }

// StartTLS does the handshake after the program has asked for it and was told to begin. What it
// had sent in clear text after the command is thrown away, so that nothing injected is taken for
// a command (RFC 2595 section 4, RFC 9051 section 6.2.1).
func (c *Conn) StartTLS() error {
	if err := c.Flush(); err != nil {
		return err
	}
	c.in = nil
	return c.handshake(c.cfg.TCP)
}

func (c *Conn) handshake(raw net.Conn) error {
	t := tls.Server(raw, c.cfg.TLS)
	c.cfg.TCP.SetDeadline(c.end())
	if err := c.cfg.Ended(); err != nil {
		return err
	}
	if err := t.Handshake(); err != nil {
		return &HandshakeError{err}
	}
	c.conn, c.secure = t, true
	return nil
}

// Replay is a connection of which first was read already.
func Replay(conn net.Conn, first []byte) net.Conn { return &replayed{Conn: conn, first: first} }

// replayed is a connection whose first bytes were read before the handshake.
type replayed struct {
	net.Conn
	first []byte
}

func (r *replayed) Read(p []byte) (int, error) {
	if len(r.first) > 0 && len(p) > 0 {
		n := copy(p, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// NetConn is the connection below, for options of its socket.
func (r *replayed) NetConn() net.Conn { return r.Conn }

// Cure says what to change about a program that failed with err; "" where nothing is known.
func Cure(err error) string {
	var handshake *HandshakeError
	switch {
	case errors.Is(err, ErrTLS):
		return "set the program's encryption to none, or let it use Waxseal's port for TLS"
	case !errors.As(err, &handshake):
		return ""
	}
	var record tls.RecordHeaderError
	switch text := err.Error(); {
	case strings.Contains(text, "unsupported versions"), strings.Contains(text, "SSLv2"):
		return "the program knows only TLS 1.1 or older; on this computer it needs no encryption"
	case strings.Contains(text, "unknown certificate"), strings.Contains(text, "bad certificate"):
		return "the program does not trust Waxseal's certificate; `waxseal certificate` shows it"
	case errors.As(err, &record):
		return "the program does not speak TLS; check its encryption setting"
	}
	return "the program gave up; it may not trust Waxseal's certificate, which `waxseal certificate` shows"
}

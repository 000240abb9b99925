package dial

import (
	"context"
	"crypto/tls"
	"net"
)

// TLSMode says how a connection becomes private.
type TLSMode string

const (
	StartTLS TLSMode = "starttls" // plain first, then STARTTLS or nothing (RFC 3207, RFC 2595); the default
	Implicit TLSMode = "implicit" // TLS from the first byte (RFC 8314)
	NoTLS    TLSMode = "none"     // plain text; loopback addresses only
)

// Handshake starts TLS on a connection of TCP. Where it fails, the connection is the caller's to close.
func (s *Server) Handshake(ctx context.Context, raw net.Conn) (net.Conn, error) {
	limit := s.timeout()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, TimeoutError(limit))
	defer cancel()
	cfg := s.config()
	var conn interface {
		net.Conn
		HandshakeContext(context.Context) error
	} = arrive(raw, cfg)
	if s.Bulk {
		conn = secure(raw, cfg)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, s.failed(ctx, Handshake, untrusted(cfg.ServerName, err))
	}
	return conn, nil
}

// config is shared by the server's connections, so that they resume each other's sessions.
func (s *Server) config() *tls.Config {
	s.once.Do(func() {
		host, _, err := net.SplitHostPort(s.Addr)
		if err != nil {
			host = s.Addr // dialling says what is wrong with it
		}
		s.cfg = &tls.Config{
			ServerName:         host,
			RootCAs:            s.Roots,
			MinVersion:         tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
			// Go starts a connection with records of one packet each, for web pages that are drawn as they
			// come. A message is of no use before its end.
			DynamicRecordSizingDisabled: s.Bulk,
		}
	})
	return s.cfg
}

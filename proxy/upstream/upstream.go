// Package upstream sends mail through one account at one provider: a pooled,
// pipelining submission client (RFC 6409) that logs in with OAuth tokens.
//
// A [Pool] belongs to one account. It keeps a few authenticated connections
// warm and lends one to each message:
//
//	tx, err := pool.Begin(ctx, "me@corp.example", nil)
//	if err != nil { ... }
//	defer tx.Close()
//	replies, err := tx.Rcpt(ctx, []upstream.Recipient{{To: "you@there.example"}})
//	reply, err := tx.Data(ctx, body)
//
// The provider's answers come back as [Reply] values, word for word, whether
// they are good or bad news. An error means that there is no answer: the
// connection, the login or the token failed, and [ConnError], [AuthError] and
// the sentinels of this package say how. Nothing is answered in the provider's
// place.
//
// # Flights
//
// On a warm connection a message costs two round trips: MAIL and every RCPT go
// up together (PIPELINING, RFC 2920), with the RSET of an abandoned transaction
// before them where there was one; the body follows with its command (BDAT, RFC
// 3030). Where the provider has no CHUNKING, DATA takes one more.
//
// # What is tried again
//
// A warm connection found dead before the body has started is replaced by a new
// one and the envelope is said again there. A token that the provider refuses is
// refreshed once. Nothing else is tried again, and nothing at all once the first
// byte of the body is on its way: a message must not arrive twice.
//
// A body that breaks off is never ended: without the last chunk, or the final
// dot, the provider has nothing to deliver.
//
// # Trust
//
// TLS is verified, version 1.2 or newer, and there is no way back to plain text.
// Mode "none" is refused for anything but the loopback interface.
package upstream

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// TLSMode says how a connection becomes private.
type TLSMode string

const (
	StartTLS TLSMode = "starttls" // plain first, then STARTTLS or nothing (RFC 3207); the default
	Implicit TLSMode = "implicit" // TLS from the first byte (RFC 8314)
	NoTLS    TLSMode = "none"     // plain text; loopback addresses only
)

// Tokens are an account's access tokens; *oauth.Grant is the real one, tests
// have theirs.
type Tokens interface {
	Token(ctx context.Context) (oauth.Token, error) // a token that is good now
	Reject(value string)                            // the provider refused this one
}

// Config describes one account at one provider. Addr, Login and Tokens are
// needed; the zero value of everything else is a sensible default.
type Config struct {
	Addr    string         // host:port of the submission server
	TLS     TLSMode        // "" is StartTLS
	RootCAs *x509.CertPool // nil: the system's
	Hello   string         // our name in EHLO; "" is "localhost"

	// Proxy names the HTTP proxy through which a URL's host is reached; nil, or a
	// nil URL, is none. The host is asked for as https://Addr. People see its
	// errors, which must hold no password.
	Proxy func(*url.URL) (*url.URL, error)

	Login  string // the SASL identity, mostly the mail address
	Tokens Tokens

	// MaxConnections bounds the connections open at once, warm ones included.
	// 0 is 3, what Exchange Online lets one mailbox have.
	MaxConnections int

	Breaker *breaker.Breaker // for the host; nil: none
	Log     *slog.Logger     // nil: nowhere
	Stats   *Stats           // may be shared by many pools; nil: own
	Now     func() time.Time // nil: time.Now

	// DialTimeout bounds connecting, and a TLS handshake; 0 is 20 s. ReplyTimeout bounds each reply and
	// each write, FinalTimeout the reply to the whole message. 0 is what RFC 5321 section 4.5.3.2 asks
	// for: 5 minutes for the greeting, MAIL and RCPT, 2 for DATA, 3 for a piece of the body, 10 for the
	// final reply. More than these a reply does not get.
	DialTimeout, ReplyTimeout, FinalTimeout time.Duration

	WaitTimeout time.Duration // waiting for a turn at the limit; 0 is 60 s
	IdleTimeout time.Duration // a warm connection's life without work; 0 is 60 s
}

// Stats counts the connections of all pools that share it. Each number moves
// where the thing it counts happens.
type Stats struct {
	Dialling, Warm, Busy atomic.Int64 // connections now
	Dials                atomic.Int64 // connections ever tried
	Reused               atomic.Int64 // leases of a warm connection, ever
}

const defaultConnections = 3

// RFC 5321 section 4.5.3.2.
const (
	replyTimeout = 5 * time.Minute // greeting, MAIL, RCPT; other commands too
	dataTimeout  = 2 * time.Minute
	blockTimeout = 3 * time.Minute
	finalTimeout = 10 * time.Minute
)

func (c Config) withDefaults() Config {
	c.TLS = cmp.Or(c.TLS, StartTLS)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	c.Stats = cmp.Or(c.Stats, new(Stats))
	if c.Now == nil {
		c.Now = time.Now
	}
	c.DialTimeout = cmp.Or(c.DialTimeout, 20*time.Second)
	c.ReplyTimeout = cmp.Or(c.ReplyTimeout, replyTimeout)
	c.FinalTimeout = cmp.Or(c.FinalTimeout, finalTimeout)
	c.WaitTimeout = cmp.Or(c.WaitTimeout, time.Minute)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, time.Minute)
	if c.MaxConnections <= 0 {
		c.MaxConnections = defaultConnections
	}
	return c
}

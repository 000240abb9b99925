// Package upstream sends mail through one account at one provider: a pooled, pipelining submission client
// (RFC 6409) that logs in with OAuth tokens.
//
// A [Pool] belongs to one account. It keeps a few authenticated connections warm and lends one to each
// message:
//
//	tx, err := pool.Begin(ctx, "me@corp.example", nil)
//	if err != nil { ... }
//	defer tx.Close()
//	replies, err := tx.Rcpt(ctx, []upstream.Recipient{{To: "you@there.example"}})
//	reply, err := tx.Data(ctx, body)
//
// The provider's answers come back as [Reply] values, word for word, whether they are good or bad news;
// only the access token is taken out where a server repeats it. An error means that there is no answer:
// the connection, the login or the token failed, and [ConnError], [AuthError] and the sentinels of this
// package say how. Nothing is answered in the provider's place.
//
// # Flights
//
// On a warm connection a message takes two round trips: MAIL and every RCPT go up together (PIPELINING,
// RFC 2920), after the RSET of an abandoned transaction if there was one; the body follows with its
// command (BDAT, RFC 3030). Where the provider has no CHUNKING, DATA takes one more.
//
// # What is tried again
//
// A warm connection found dead before the body has started is replaced by a new one and the envelope is
// repeated there. So is a connection whose server offers CHUNKING but does not know BDAT: it has taken
// nothing of the body. A token that the provider refuses is refreshed once. Nothing else is tried again,
// and nothing at all once the provider may have taken a part of the body: a message must not arrive
// twice.
//
// A body that breaks off is never ended: without the last chunk, or the final dot, the provider has
// nothing to deliver.
//
// Package dial makes the connections, and says what they trust.
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
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/pace"
)

// Tokens are an account's access tokens: an *oauth.Grant, or a fake in tests.
type Tokens interface {
	Token(ctx context.Context) (oauth.Token, error) // a token that is good now
	Reject(value string)                            // the provider refused this one
}

// Config describes one account at one provider. Addr, Login and Tokens are required; the zero value of
// everything else is a sensible default.
type Config struct {
	Addr    string         // host:port of the submission server
	TLS     dial.TLSMode   // "" is StartTLS
	RootCAs *x509.CertPool // nil: the system's

	// Hello is our name in EHLO, which CheckHello must accept. "" is this machine's name if that is fully
	// qualified, else the address of our end of the connection.
	Hello string

	Proxy func(*url.URL) (*url.URL, error) // that of [dial.Server]

	Login  string // the SASL identity, mostly the email address
	Tokens Tokens

	// MaxConnections bounds the connections open at once, warm ones included. 0 is 3, which is what
	// Exchange Online allows one mailbox.
	MaxConnections int

	Pace    *pace.Pacer      // the account's sending limits; nil: none. It may outlive the pool
	Breaker *breaker.Breaker // for the host; nil: none
	Log     *slog.Logger     // nil: nowhere
	Stats   *Stats           // may be shared by many pools; nil: its own
	Now     func() time.Time // nil: time.Now

	// DialTimeout bounds connecting, and each TLS handshake; 0 is 20 s.
	DialTimeout time.Duration
	// ReplyTimeout bounds each reply and each write; 0 is 5 min. The reply to DATA gets at most 2 min of
	// it, and a piece of the body 3 min, as RFC 5321 section 4.5.3.2 asks for.
	ReplyTimeout time.Duration
	FinalTimeout time.Duration // the reply to the whole message; 0 is 10 min, as there
	// WaitTimeout bounds a message's wait for its turn, where MaxConnections are busy and by Pace; 0 is 90 s. That is a
	// minute, after which a message that came after a whole minute's can go, and the time that those took. RFC 5321 gives
	// MAIL five minutes, but Thunderbird and .NET give up after 100 s.
	WaitTimeout time.Duration
	IdleTimeout time.Duration // how long a connection stays warm without work; 0 is 60 s
}

// Stats counts the connections of all pools that share it. Each number changes where the thing that it
// counts happens.
type Stats struct {
	Dialling, Warm, Busy atomic.Int64 // connections at this moment
	Dials                atomic.Int64 // attempts to connect, ever
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
	c.TLS = cmp.Or(c.TLS, dial.StartTLS)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	c.Stats = cmp.Or(c.Stats, new(Stats))
	if c.Now == nil {
		c.Now = time.Now
	}
	c.ReplyTimeout = cmp.Or(c.ReplyTimeout, replyTimeout)
	c.FinalTimeout = cmp.Or(c.FinalTimeout, finalTimeout)
	c.WaitTimeout = cmp.Or(c.WaitTimeout, 90*time.Second)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, time.Minute)
	if c.MaxConnections <= 0 {
		c.MaxConnections = defaultConnections
	}
	return c
}

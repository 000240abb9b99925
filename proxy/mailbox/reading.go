package mailbox

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/dial"
)

// This is what a session of IMAP or POP needs of an account: the server, a token, and who logs in.

// Addr is the provider's server for a protocol, host:port.
func (b *Mailbox) Addr(p api.Protocol) string {
	address, _ := b.Provider.Server(p)
	return address
}

// Dial connects to the provider's server for a protocol, and does TLS. starttls has the dialogue in
// clear text, where there is one; see [dial.Server.Connect], whose errors it returns.
func (b *Mailbox) Dial(ctx context.Context, p api.Protocol, starttls func(net.Conn) error) (net.Conn, error) {
	return b.Reader(p).server.Connect(ctx, starttls)
}

// Breaker stands before the provider's server for a protocol.
func (b *Mailbox) Breaker(p api.Protocol) *breaker.Breaker {
	return b.parts.Servers.Get(ServerBreaker(b.Provider, p))
}

// Token is an access token that is good now for a protocol for reading. For IMAP, whose sessions end with
// their token, it is one with more than 30 minutes left, or half of its life if that is less, provided
// that a refresh gives one in time. A permission that is known to be missing is an [*oauth.ScopeError].
func (b *Mailbox) Token(ctx context.Context, p api.Protocol) (value string, expiry time.Time, err error) {
	get := b.Grant.Token
	if p == api.IMAP {
		get = b.Grant.Young
	}
	token, err := get(ctx)
	if err == nil {
		err = b.Grant.Allows(string(p))
	}
	return token.Value, token.Expiry, err
}

// Reject says that the provider refused this access token, so that the next is a new one.
func (b *Mailbox) Reject(token string) { b.Grant.Reject(token) }

// Uses returns an error for [Hall.Refuse] if the account does not do a protocol.
func (b *Mailbox) Uses(p api.Protocol) error {
	if b.Account.Uses(p) {
		return nil
	}
	return &api.Problem{Account: b.Address, Lasting: true, Code: "5.7.8",
		What: api.Say("{{.Account}} isn’t set up for {{.Protocol}} in Waxseal.", "Account", b.Address, "Protocol", p.Label().String()),
		Cure: api.Say("Switch it on for the account in Waxseal.")}
}

// Users are the names to log in with at the provider's server for reading, the most likely first: the one
// that worked before, else the address. A shared mailbox is read as itself, with the token of the user
// who signed in, where sending wants that user's name; some providers want it for reading too.
func (b *Mailbox) Users(p api.Protocol) []string {
	users := []string{b.Address}
	if login := cmp.Or(b.Account.Login, b.Address); config.Fold(login) != config.Fold(b.Address) {
		users = append(users, login)
	}
	if b.parts.Users == nil || len(users) == 1 {
		return users
	}
	if known := b.parts.Users.Worked(b.Address, p); slices.Contains(users, known) && known != users[0] {
		slices.Reverse(users)
	}
	return users
}

// UserWorked remembers which of Users the provider took.
func (b *Mailbox) UserWorked(p api.Protocol, user string) {
	if b.parts.Users != nil {
		b.parts.Users.Remember(b.Address, p, user)
	}
}

// Users remembers, over restarts, with which name accounts log in for reading.
type Users interface {
	Worked(address string, p api.Protocol) (user string) // "" if that is not known
	Remember(address string, p api.Protocol, user string)
}

// newReader makes the part of a mailbox that does a protocol for reading.
func (b *Mailbox) newReader(p api.Protocol) *Reader {
	address, tls := b.Provider.Server(p)
	return &Reader{
		box: b, hall: b.hall, protocol: p, all: b.hall.Stats.reading[p],
		server: &dial.Server{Addr: address, TLS: dial.TLSMode(tls), Roots: b.parts.Roots, Proxy: b.parts.Proxy, Timeout: b.parts.Timeouts.Dial},
	}
}

// Mechanism is the SASL mechanism to use though the server for a protocol does not announce it, as it writes
// it; "" means one that it announces.
func (b *Mailbox) Mechanism(p api.Protocol) string { return strings.ToUpper(b.Provider.Auth(p)) }

// Try calls login, which connects to the server for a protocol and logs in, behind the server's breaker.
// Only the server's health counts: not a login that it refuses, nor what only a person can change, nor a
// caller who left. One who has waited until the end of its time has not left: the server does not answer.
func (b *Mailbox) Try(ctx context.Context, p api.Protocol, login func() error) error {
	var err error
	verdict := b.Breaker(p).Do(func() error {
		err = login()
		refused, ok := errors.AsType[*ServerError](err)
		switch {
		case err == nil, ok && refused.Op != "greeting",
			errors.Is(err, dial.ErrNoTLS), errors.Is(err, dial.ErrNotLoopback), errors.Is(err, dial.ErrNoOAuth):
			return nil
		case ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded):
			return context.Canceled
		}
		return err
	})
	if open, ok := errors.AsType[*breaker.OpenError](verdict); ok {
		return open
	}
	return err
}

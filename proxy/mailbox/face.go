// Package mailbox is an account at work, and the hall in which mail programs of all
// protocols stand: their connections, logins, limits and statistics.
//
// CONTRACT: the bodies come with the move of package proxy. The names below are what
// proxy/imapd and proxy/popd are written against.
package mailbox

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
)

// Hall is what the sessions of all protocols share.
type Hall struct {
	Log *slog.Logger
	TLS *tls.Config // of this machine's certificate, for mail programs
}

// Hard is cancelled when nothing is waited for any more; Client.Context is derived from it.
// Stopping is closed as soon as the server begins to stop: idle sessions say goodbye.
func (h *Hall) Stopping() <-chan struct{} { panic("contract") }

// Paused reports whether the user has paused Waxseal.
func (h *Hall) Paused() bool { panic("contract") }

// IdleTimeout is how long a mail program that has not logged in may be silent.
func (h *Hall) IdleTimeout() time.Duration { panic("contract") }

// Client is a mail program's connection, whatever it speaks. It is counted from the moment
// it is accepted; Leave ends that.
type Client struct {
	ID       string // of the session, in log and Activity
	Protocol api.Protocol
	TCP      net.Conn        // as it was accepted, below any TLS
	Implicit bool            // it came in on a port for TLS
	Ctx      context.Context // ends with the connection, and with a hard stop

	// Nudge is set by the session. Other goroutines call it so that the session looks whether it has to end:
	// Evicted, or Hall.Stopping.
	Nudge func()
}

// Evicted reports whether the connection, which has not logged in, must make room for another.
func (c *Client) Evicted() bool { panic("contract") }

// Leave ends the connection's part in all counts and closes TCP. It may be called twice.
func (c *Client) Leave() { panic("contract") }

// Remote reports whether the client is on another machine, where TLS must come before a login.
func (c *Client) Remote() bool { panic("contract") }

// Login checks a user name and local password, in UTF-8 or the program's old encoding,
// finds the account and counts the connection for it until Client.Leave. A wrong password
// is delayed here, as on SMTP, and recorded. The same wrong password of one client within
// a few seconds counts once. It does not ask whether the account can do anything: that is
// the protocol's own login at the provider.
func (h *Hall) Login(ctx context.Context, c *Client, username, password string) (*Mailbox, *Refusal) {
	panic("contract")
}

// Refuse explains and records a login that failed with the right password.
func (h *Hall) Refuse(c *Client, b *Mailbox, err error) *Refusal { panic("contract") }

// Refusal is why a login failed. Each protocol has its own form for it.
type Refusal struct {
	Kind    RefusalKind
	Problem *api.Problem // what failed, whether it lasts, and the cure; never nil
	Words   string       // one English sentence or two for the mail program, without line ends, in ASCII
}

// RefusalKind says what a mail program's user can do.
type RefusalKind int

const (
	WrongPassword RefusalKind = iota // another password helps
	LockedOut                        // too many wrong passwords; close the connection
	TooMany                          // the account's limit of connections
	Passing                          // the password is right; trying again may help
	Lasting                          // the password is right; a person has to do something
	Paused                           // the user has paused Waxseal
)

// Mailbox is an account at work.
type Mailbox struct{}

// Address is the account's address.
func (b *Mailbox) Address() string { panic("contract") }

// Uses returns an error for Refuse if the account does not do p.
func (b *Mailbox) Uses(p api.Protocol) error { panic("contract") }

// Removed reports whether the account was removed or changed since: no new connection.
func (b *Mailbox) Removed() bool { panic("contract") }

// Addr is the provider's server for p, host:port.
func (b *Mailbox) Addr(p api.Protocol) string { panic("contract") }

// Dial connects to the provider's server for p, through the HTTP proxy if there is one, and
// does TLS, from the first byte or, where starttls is not nil, after starttls has asked for
// it in clear text. Mode "none" (loopback only) gives a plain connection. It does not go through Breaker.
// Errors are those of package dial, which Refuse explains.
func (b *Mailbox) Dial(ctx context.Context, p api.Protocol, starttls func(net.Conn) error) (net.Conn, error) {
	panic("contract")
}

// Breaker stands before the provider's server for p.
func (b *Mailbox) Breaker(p api.Protocol) *breaker.Breaker { panic("contract") }

// Token is an access token that is good now; with young, one that has more than
// min(30 min, half its life) left if a refresh gives one in time (IMAP sessions end with
// their token).
func (b *Mailbox) Token(ctx context.Context, young bool) (value string, expiry time.Time, err error) {
	panic("contract")
}

// Reject says that the provider refused this access token, so that the next is a new one.
func (b *Mailbox) Reject(token string) { panic("contract") }

// Users are the names to log in with at the provider, the most likely first: what worked
// before, else the shared address for reading; then the other where address and login differ.
func (b *Mailbox) Users(p api.Protocol) []string { panic("contract") }

// UserWorked remembers which of Users the provider took, over restarts too.
func (b *Mailbox) UserWorked(p api.Protocol, user string) { panic("contract") }

// Reader is an account's share of a reading protocol: gauges, the last login's trouble, and
// the provider's limit of connections. All methods may be called by many goroutines.
func (b *Mailbox) Reader(p api.Protocol) *Reader { panic("contract") }

// Reader counts what an account does with IMAP or POP.
type Reader struct{}

// Begin counts a session that the provider has let in; the func returned ends it with why
// it ended and how many bytes went down (to the mail program) and up, records it in
// Activity and is called exactly once.
func (r *Reader) Begin(c *Client) (end func(End)) { panic("contract") }

// Sessions are those logged in now, a spare not counted.
func (r *Reader) Sessions() int64 { panic("contract") }

// Limit is how many connections the provider allows the account, 0 if unknown.
func (r *Reader) Limit() int64 { panic("contract") }

// Count adds bytes that have passed, while the session goes on (the gauges are live).
func (r *Reader) Count(down, up int64) { panic("contract") }

// Note remembers how the last login at the provider ended; nil: it worked.
func (r *Reader) Note(err error) { panic("contract") }

// End is how a session ended.
type End struct {
	Why      api.EndedBy
	Said     string // the provider's last words, such as its BYE; "" if there were none
	Down, Up int64  // bytes after login
}

// ServerError is a refusal in the provider's words: the response to a login, or a greeting that
// is one. Refuse explains it by Code and Text.
type ServerError struct {
	Protocol api.Protocol
	Op       string // "greeting", "AUTHENTICATE", "AUTH", "login"
	Status   string // "NO", "BAD", "BYE", "-ERR"
	Code     string // the response code without brackets, "" if none: AUTHENTICATIONFAILED, IN-USE, "SYS/TEMP"
	Text     string // for people; control characters and secrets removed by package foreign
	Report   string // the JSON that came as a challenge, decoded and made harmless; "" if none
}

// Error implements error.
func (e *ServerError) Error() string { panic("contract") }

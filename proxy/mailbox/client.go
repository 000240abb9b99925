package mailbox

import (
	"container/list"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/balancer"
	"github.com/waxseal/waxseal/proxy/localuser"
)

// LastWords is how long a client may take to read the last thing that it is told.
const LastWords = 2 * time.Second

// Client is a mail program's connection, whatever it speaks. It is counted from the moment it is
// admitted until Leave.
type Client struct {
	ID       string          // of the session, in log and Activity
	Protocol api.Protocol    //
	TCP      net.Conn        // as it was accepted, below any TLS and behind a balancer's header
	Addr     net.Addr        // where the mail program is; a balancer may have said so
	Implicit bool            // it came in on a port for TLS
	Opened   time.Time       // when it came in
	Ctx      context.Context // ends with the connection, and with a hard stop

	arrived net.Conn // as Admit got it
	cancel  context.CancelFunc
	hall    *Hall
	box     atomic.Pointer[Mailbox] // that it is counted for

	nudge atomic.Pointer[func()]

	asked    sync.Once     // who the caller is
	who      Caller        // see Caller()
	queue    *list.List    // of the hall's strangers, whose lock guards it and the next
	stranger *list.Element // in queue
	evicted  atomic.Bool   // it has to make room
}

func newClient(h *Hall, tcp net.Conn, p api.Protocol, implicitTLS bool) *Client {
	c := &Client{ID: h.NewID(), Protocol: p, TCP: tcp, Addr: tcp.RemoteAddr(), Implicit: implicitTLS, Opened: time.Now(), arrived: tcp, hall: h}
	if relayed := relayed(tcp); relayed != nil {
		c.TCP = relayed.Conn
	}
	c.Ctx, c.cancel = context.WithCancel(context.WithValue(h.hard, sessionKey{}, c.ID))
	return c
}

// OnNudge sets what other goroutines call so that the session looks whether it has to end: it has
// been Evicted, or the server is Stopping. If that is so already, f is called at once.
func (c *Client) OnNudge(f func()) {
	c.nudge.Store(&f)
	if c.Evicted() || c.hall.Stopping() {
		f()
	}
}

// Nudge makes the session look whether it has to end.
func (c *Client) Nudge() {
	if f := c.nudge.Load(); f != nil {
		(*f)()
	}
}

// Evicted reports whether the connection, which has not logged in, must make room for another.
func (c *Client) Evicted() bool { return c.evicted.Load() }

// evict ends the connection from another goroutine: its own says why, and if that takes too long it
// is cut off.
func (c *Client) evict() {
	c.evicted.Store(true)
	c.Nudge()
	time.AfterFunc(LastWords, c.Kill)
}

// Cancel ends Ctx: the session is over, though its connection may not have ended yet.
func (c *Client) Cancel() { c.cancel() }

// Kill ends the connection from any goroutine, without a word.
func (c *Client) Kill() {
	c.cancel()
	c.TCP.Close()
}

// Leave ends the connection's part in all counts, and TCP. It may be called more than once.
func (c *Client) Leave() {
	c.Kill()
	c.count(nil)
	c.hall.forget(c)
}

// count counts the connection for another account, or for none.
func (c *Client) count(b *Mailbox) {
	if was := c.box.Swap(b); was != nil {
		was.connections.Of(c.Protocol).Add(-1)
		c.hall.Changed.Wake()
	}
}

// Logout ends the connection's part in its account's counts.
func (c *Client) Logout() { c.count(nil) }

// Follow counts the connection for the mailbox that took the place of its own when the account's
// settings changed, and returns that; nil when the account is gone.
func (c *Client) Follow(b *Mailbox) *Mailbox {
	next := c.hall.Mailbox(b.Address)
	if next != nil {
		next.connections.Of(c.Protocol).Add(1)
		c.count(next)
	}
	return next
}

// relayed is a connection as a balancer's, nil if it came directly.
func relayed(tcp net.Conn) *balancer.Conn {
	c, _ := tcp.(*balancer.Conn)
	return c
}

// Remote reports whether the client is on another machine. Whoever comes through a balancer is, whatever
// address the balancer names: neither a balancer on this machine nor a header that says 127.0.0.1 makes
// anybody local.
func (c *Client) Remote() bool { return relayed(c.arrived) != nil || !IsLoopback(c.Addr) }

// Public reports whether what the client sends could be read on a network. Nobody knows how a balancer got
// it.
func (c *Client) Public() bool { return relayed(c.arrived) != nil || !IsLoopback(c.TCP.LocalAddr()) }

// TLS is the certificate's configuration for this client.
func (c *Client) TLS() *tls.Config { return c.hall.TLSFor(c.arrived) }

// Caller is who a connection counts for: a host, and on this computer its user, as far as the system
// tells.
type Caller struct {
	host string
	user localuser.ID
}

// callerOf asks the system who is at the other end. It takes some microseconds, so it is only asked
// where it matters: after a wrong password, and when the server is full.
func callerOf(tcp net.Conn) Caller {
	who := Caller{host: clientHost(tcp.RemoteAddr())}
	if relayed(tcp) != nil { // not the user of a balancer on this computer, and never one of its own programs
		if who.host == localhost {
			who.host = balancersOwn
		}
		return who
	}
	if who.host == localhost {
		who.user = localuser.Of(tcp)
	}
	return who
}

// balancersOwn is the host of whoever a balancer says is on loopback: its own machine's, which may be any.
const balancersOwn = "loopback of a balancer"

// Caller is callerOf, asked once.
func (c *Client) Caller() Caller {
	c.asked.Do(func() { c.who = callerOf(c.arrived) })
	return c.who
}

// isOwner reports whether this is certainly the user that Waxseal runs as.
func (c Caller) isOwner() bool { return c.user != localuser.Unknown && c.user == localuser.Me() }

// IsLoopback reports whether a local address can only be reached from this machine.
func IsLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// sessionKey is where a context keeps the ID of the session it works for.
type sessionKey struct{}

// BySession adds the session to what is logged with a session's context.
type BySession struct{ slog.Handler }

// Handle implements slog.Handler.
func (h BySession) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(sessionKey{}).(string); ok {
		r = r.Clone()
		r.AddAttrs(slog.String("session", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h BySession) WithAttrs(attrs []slog.Attr) slog.Handler {
	return BySession{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h BySession) WithGroup(name string) slog.Handler { return BySession{h.Handler.WithGroup(name)} }

package mailbox

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/history"
	"github.com/waxseal/waxseal/proxy/machine"
)

// Hall is what the sessions of all protocols share: the accounts, the mail programs' connections
// and their limits, logins, statistics and the stop. Set the exported fields before the first call.
type Hall struct {
	Log     *slog.Logger
	Secrets *keystore.Store
	Shared  *shared.Store // what several machines share; nil if this one is alone

	// Unready is why a user name that is no account's may be one's all the same: the accounts are not known yet, or this
	// one cannot be used here. Nil, or a nil error, if it is not.
	Unready func(username string) error
	History *history.Log
	TLS     *tls.Config           // of this machine's certificate, for mail programs
	Relayed *tls.Config           // the same for those behind a balancer; nil: there is no difference
	Config  func() *config.Config // the current configuration

	IdleTimeout time.Duration // how long a mail program may be silent, and take to log in

	Stats   *Stats
	Changed Notifier

	boxes     atomic.Pointer[map[string]*Mailbox] // by folded address; replaced, never changed
	guesses   guesses
	full      PerMinute // limits log lines about max_connections
	refusals  PerMinute // and those about wrong passwords
	strangers strangers
	nextID    atomic.Uint64
	paused    atomic.Bool

	serving  context.Context // ends when the server stops
	endServe context.CancelFunc
	hard     context.Context // ends when the server waits for nothing any more
	kill     context.CancelFunc

	mu      sync.Mutex // guards what follows
	clients map[*Client]struct{}
	live    sync.WaitGroup // as many as clients
}

// NewHall makes a hall without accounts and clients.
func NewHall() *Hall {
	h := &Hall{Stats: NewStats(), clients: make(map[*Client]struct{})}
	h.boxes.Store(new(map[string]*Mailbox))
	h.hard, h.kill = context.WithCancel(context.Background())
	h.serving, h.endServe = context.WithCancel(h.hard)
	return h
}

// Mailbox finds an account by the address that a mail program gives, in any spelling. It
// returns nil if there is no such account.
func (h *Hall) Mailbox(address string) *Mailbox { return h.Mailboxes()[config.Fold(address)] }

// Mailboxes are all accounts, by folded address. Do not change the map.
func (h *Hall) Mailboxes() map[string]*Mailbox { return *h.boxes.Load() }

// Use puts other accounts in the place of those before.
func (h *Hall) Use(boxes map[string]*Mailbox) { h.boxes.Store(&boxes) }

// Serving ends when the server begins to stop: mail programs that do nothing are told goodbye.
func (h *Hall) Serving() context.Context { return h.serving }

// Hard ends when nothing is waited for any more.
func (h *Hall) Hard() context.Context { return h.hard }

// Stopping reports whether the server has begun to stop.
func (h *Hall) Stopping() bool { return h.serving.Err() != nil }

// Pause pauses or resumes all logins and new messages; it reports whether that is a change.
func (h *Hall) Pause(paused bool) (changed bool) { return h.paused.Swap(paused) != paused }

// Paused reports whether the user has paused Waxseal.
func (h *Hall) Paused() bool { return h.paused.Load() }

// NewID makes an ID for a session.
func (h *Hall) NewID() string { return strconv.FormatUint(h.nextID.Add(1), 36) }

// Sessions are how many IDs there have been.
func (h *Hall) Sessions() uint64 { return h.nextID.Load() }

// TLSFor is the certificate's configuration for a connection that was accepted.
func (h *Hall) TLSFor(tcp net.Conn) *tls.Config {
	if relayed(tcp) != nil && h.Relayed != nil {
		return h.Relayed
	}
	return h.TLS
}

// Admit counts a connection in; nil when there are too many and none of those without a login makes room.
// A *balancer.Conn counts for its client.
func (h *Hall) Admit(tcp net.Conn, p api.Protocol, implicitTLS bool) *Client {
	if limit := h.Capacity(); h.Stats.Connections.Add(1) > limit {
		h.Stats.Refused.Add(1)
		if !h.Stopping() && h.full.First() {
			h.Log.Warn("too many connections: closing the oldest without a login, or refusing new ones",
				"client", tcp.RemoteAddr().String(), "max_connections", limit, "open_files", machine.OpenFiles)
		}
		if !h.strangers.makeRoom(tcp, limit) {
			h.Stats.Connections.Add(-1)
			return nil
		}
	}
	c := newClient(h, tcp, p, implicitTLS)
	h.mu.Lock()
	if h.Stopping() {
		h.mu.Unlock()
		h.Stats.Connections.Add(-1)
		return nil
	}
	h.clients[c] = struct{}{}
	h.live.Add(1)
	h.mu.Unlock()
	h.Stats.Clients.Of(p).Add(1)
	h.strangers.add(c)
	h.Changed.Wake()
	return c
}

// StopServing ends Serving: no connection is admitted from here on, and each that is there looks
// whether it has to end.
func (h *Hall) StopServing() {
	h.mu.Lock()
	h.endServe()
	h.mu.Unlock()
	for _, b := range h.Mailboxes() {
		b.Pace.Stop()
	}
	h.NudgeAll()
}

// NudgeAll makes each session look whether it has to end.
func (h *Hall) NudgeAll() { h.each((*Client).Nudge) }

// Kill ends Hard and cuts off the connections that are left.
func (h *Hall) Kill() {
	h.kill()
	h.each((*Client).Kill)
}

// Wait returns when the last connection has ended.
func (h *Hall) Wait() { h.live.Wait() }

func (h *Hall) each(do func(*Client)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		do(c)
	}
}

func (h *Hall) forget(c *Client) {
	h.mu.Lock()
	_, here := h.clients[c]
	delete(h.clients, c)
	h.mu.Unlock()
	if !here {
		return
	}
	h.Stats.Connections.Add(-1)
	h.Stats.Clients.Of(c.Protocol).Add(-1)
	h.strangers.gone(c)
	h.Changed.Wake()
	h.live.Done()
}

const (
	// MaxRejects bounds the connections over the limit that are being told why, and maxLeaving those
	// that have been told to make room.
	MaxRejects = 32
	maxLeaving = 32
	// reservedFiles are descriptors for everything but mail programs and providers: rejected and
	// leaving connections, listeners, the control socket, the keystore, the log.
	reservedFiles = MaxRejects + maxLeaving + 64
)

// MaxHeaders bounds the connections from balancers whose header is being read. They are nobody's yet, so
// no other limit counts them.
func MaxHeaders() int { return min(1024, machine.OpenFiles/8) }

// Capacity is how many connections of mail programs there may be: max_connections, or fewer where
// the system lets this process open fewer files.
func (h *Hall) Capacity() int64 {
	cfg := h.Config()
	files := machine.OpenFiles
	if len(cfg.ProxyProtocol.From) > 0 {
		files -= MaxHeaders()
	}
	if cfg.MaxConnections+reservedFiles < files/4 {
		return int64(cfg.MaxConnections) // the usual case, without a look at each account
	}
	upstream := 0
	for _, b := range h.Mailboxes() {
		upstream += b.Provider.MaxConnections
	}
	return int64(min(cfg.MaxConnections, room(files, upstream)))
}

// room is how many of the files that may be open are left to mail programs' connections when there
// may be that many connections to providers.
func room(files, upstream int) int {
	return max(files-min(files/2, reservedFiles+min(upstream, files/4)), 1)
}

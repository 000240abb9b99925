package upstream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/waxseal/waxseal/proxy/dial"
)

// Pool is one account's connections to its provider. All methods may be called by many goroutines at a
// time.
//
// It has no goroutine while there is nothing to do, and no timer while it has no warm connection.
type Pool struct {
	cfg    Config
	server *dial.Server

	ctx        context.Context // ends with the pool
	cancel     context.CancelFunc
	checks     singleflight.Group
	accepted   atomic.Pointer[string] // the last token that the provider let in
	lastErr    atomic.Pointer[failure]
	slowest    atomic.Int64   // the server's longest wait lately before the first reply to an envelope
	noChunking atomic.Bool    // the server offers CHUNKING but does not know BDAT
	work       sync.WaitGroup // goroutines that say good-bye or check

	mu      sync.Mutex
	warm    []*conn // the one idle the longest comes first; leased from the end
	open    int     // how many are warm, leased or being dialled; at most limit, once those over it have ended
	limit   int     // cfg.MaxConnections, or this machine's part of it
	lot     Lot     // see Share
	waiting []chan *conn
	gen     uint64 // connections of an older generation are not kept
	timer   *time.Timer
	armed   bool // the timer will call sweep
	closed  bool
}

type failure struct {
	text string
	at   time.Time
}

// New makes a pool. It connects when the first message needs it.
func New(cfg Config) *Pool {
	cfg = cfg.withDefaults()
	p := &Pool{cfg: cfg, limit: cfg.MaxConnections, server: &dial.Server{
		Addr: cfg.Addr, TLS: cfg.TLS, Roots: cfg.RootCAs, Proxy: cfg.Proxy, Timeout: cfg.DialTimeout, Bulk: true,
	}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// lease gives a connection, warm or new, waiting up to patience for a turn where the limit requires it. It goes back
// by release.
func (p *Pool) lease(ctx context.Context, patience time.Duration) (*conn, error) {
	c, err := p.turn(ctx, patience)
	if err != nil {
		return nil, err
	}
	if c != nil {
		if !p.outlived(c) && c.quiet() == nil {
			c.reused = true
			p.cfg.Stats.Reused.Add(1)
			return c, nil
		}
		p.discard(c)
	}
	if c, err = p.renew(ctx); err != nil {
		p.release(nil)
		return nil, err
	}
	return c, nil
}

// renew connects in a place that the caller already holds.
func (p *Pool) renew(ctx context.Context) (*conn, error) {
	p.mu.Lock()
	gen := p.gen
	p.mu.Unlock()
	c, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	c.gen = gen
	p.cfg.Stats.Busy.Add(1)
	return c, nil
}

// discard closes a leased connection; its place remains the caller's.
func (p *Pool) discard(c *conn) {
	p.cfg.Stats.Busy.Add(-1)
	c.close()
}

// turn gives a warm connection, or nil for a place to dial in. Turns are given in the order in which they
// were asked for.
func (p *Pool) turn(ctx context.Context, patience time.Duration) (*conn, error) {
	p.mu.Lock()
	switch n := len(p.warm); {
	case p.closed:
		p.mu.Unlock()
		return nil, ErrClosed
	case n > 0: // then nobody is waiting
		c := p.warm[n-1]
		p.warm[n-1] = nil
		p.warm = p.warm[:n-1]
		p.mu.Unlock()
		p.cfg.Stats.Warm.Add(-1)
		p.cfg.Stats.Busy.Add(1)
		return c, nil
	case p.open < p.limit:
		p.open++
		p.mu.Unlock()
		return nil, nil
	}
	mine := make(chan *conn, 1)
	p.waiting = append(p.waiting, mine)
	lot := p.lot
	p.mu.Unlock()
	if lot != nil {
		lot.Wake()
	}
	return p.wait(ctx, patience, mine)
}

func (p *Pool) wait(ctx context.Context, patience time.Duration, mine chan *conn) (*conn, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	select {
	case c, ok := <-mine:
		if !ok {
			return nil, ErrClosed
		}
		return c, nil
	case <-ctx.Done():
		err = fmt.Errorf("waiting for a connection: %w", context.Cause(ctx))
	case <-timer.C:
		err = fmt.Errorf("%w: none of %d became free within %v", ErrBusy, p.cfg.MaxConnections, patience)
	}
	p.mu.Lock()
	i := slices.Index(p.waiting, mine)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	p.mu.Unlock()
	if i < 0 { // the turn came in the same moment; it goes to the next who waits
		if c, ok := <-mine; ok {
			p.release(c)
		}
	}
	return nil, err
}

// release ends a lease: the place goes to the next who waits, with the connection in it unless c is nil
// or of no more use; or the connection stays warm.
func (p *Pool) release(c *conn) {
	p.mu.Lock()
	var old *conn
	over := p.open > p.limit // a place that another machine waits for
	if c != nil && (c.broken || p.closed || c.gen != p.gen || over) {
		old, c = c, nil
	}
	lot := p.lot
	switch {
	case over:
		p.open--
	case len(p.waiting) > 0:
		p.waiting[0] <- c
		p.waiting = slices.Delete(p.waiting, 0, 1)
	case c == nil:
		p.open--
	default:
		p.cfg.Stats.Busy.Add(-1)
		p.cfg.Stats.Warm.Add(1)
		c.used, c.reused = p.cfg.Now(), false
		p.warm = append(p.warm, c)
		p.arm()
	}
	p.mu.Unlock()
	if old != nil {
		p.discard(old)
	}
	if over && lot != nil {
		lot.Wake()
	}
}

// Lot is told when a message waits for a place, and when one that was over the limit is free.
type Lot interface{ Wake() }

// Share makes MaxConnections a limit that other machines share. The pool has no place until SetLimit gives it some.
func (p *Pool) Share(lot Lot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lot = lot
}

// SetLimit changes how many connections the pool may have. Those over it end when their message is done, and at once if
// they are idle.
func (p *Pool) SetLimit(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = n
	if over := min(p.open-n, len(p.warm)); over > 0 {
		p.dismiss(over)
	}
	for p.open < p.limit && len(p.waiting) > 0 {
		p.open++
		p.waiting[0] <- nil
		p.waiting = slices.Delete(p.waiting, 0, 1)
	}
}

// Use tells how many connections there are, and how many messages have one or wait for one.
func (p *Pool) Use() (used, wanted int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open, p.open - len(p.warm) + len(p.waiting)
}

// Status is a pool at one moment.
type Status struct {
	Warm      int       `json:"warm"`    // idle, logged in
	Busy      int       `json:"busy"`    // leased, or being dialled
	Waiting   int       `json:"waiting"` // messages waiting for a turn
	Limit     int       `json:"limit"`
	LoggedIn  bool      `json:"logged_in"`            // the provider has accepted a token
	LastError string    `json:"last_error,omitempty"` // of the last attempt to connect that failed
	ErrorAt   time.Time `json:"error_at,omitzero"`
}

// Status tells how the pool stands.
func (p *Pool) Status() Status {
	p.mu.Lock()
	s := Status{Warm: len(p.warm), Busy: p.open - len(p.warm), Waiting: len(p.waiting), Limit: p.cfg.MaxConnections}
	p.mu.Unlock()
	s.LoggedIn = p.accepted.Load() != nil
	if f := p.lastErr.Load(); f != nil {
		s.LastError, s.ErrorAt = f.text, f.at
	}
	return s
}

// note keeps an error for Status, and gives it back.
func (p *Pool) note(ctx context.Context, err error) error {
	p.lastErr.Store(&failure{err.Error(), time.Now()})
	p.cfg.Log.DebugContext(ctx, "no connection to the provider", "login", p.cfg.Login, "err", err)
	return err
}

package mailbox

import (
	"cmp"
	"errors"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// reading are the gauges and totals of one protocol for reading, of all accounts.
type reading struct {
	sessions, spares, logins, down, up atomic.Int64

	ended map[api.EndedBy]*atomic.Int64 // the map does not change after newReading
}

func newReading() *reading {
	r := &reading{ended: make(map[api.EndedBy]*atomic.Int64)}
	for _, by := range api.EndedBys {
		r.ended[by] = new(atomic.Int64)
	}
	return r
}

// Reading are the gauges and totals of a protocol for reading.
func (s *Stats) Reading(p api.Protocol) api.ReadGauges {
	r := s.reading[p]
	g := api.ReadGauges{
		Protocol: p, Connections: s.Clients.Of(p).Load(), Sessions: r.sessions.Load(), Spares: r.spares.Load(),
		Logins: r.logins.Load(), Down: r.down.Load(), Up: r.up.Load(), Ended: make(map[api.EndedBy]int64, len(r.ended)),
	}
	for by, n := range r.ended {
		g.Ended[by] = n.Load()
	}
	return g
}

// Reader counts what an account does with IMAP or POP. Its methods may be called by many
// goroutines.
type Reader struct {
	box      *Mailbox
	hall     *Hall
	protocol api.Protocol
	all      *reading
	server   *dial.Server

	sessions, logins, down, up atomic.Int64

	spare     atomic.Bool
	lastLogin atomic.Pointer[time.Time]
	trouble   atomic.Pointer[api.Problem] // why the provider refused the last login; nil if it did not
}

// End is how a session ended.
type End struct {
	Why      api.EndedBy
	Said     string // the provider's last words, such as its BYE; "" if there were none
	Down, Up int64  // bytes after the login
}

// Begin counts a session that the provider has let in. Call end once, when it is over: it lists the
// session in the activity.
func (r *Reader) Begin(c *Client) (end func(End)) {
	start := time.Now()
	r.login(start)
	r.sessions.Add(1)
	r.all.sessions.Add(1)
	r.hall.Changed.Wake()
	return func(e End) {
		r.sessions.Add(-1)
		r.all.sessions.Add(-1)
		r.all.ended[e.Why].Add(1)
		now := time.Now()
		r.hall.Log.Info("session ended", "session", c.ID, "account", r.box.Address, "protocol", string(r.protocol), "by", string(e.Why),
			"bytes_down", e.Down, "bytes_up", e.Up, "seconds", now.Sub(start).Seconds())
		r.hall.Remember(api.Activity{
			Kind: api.Reading, Time: now, Session: c.ID, Protocol: r.protocol, Account: r.box.Address, Took: now.Sub(start),
			Ended: e.Why, Down: e.Down, Up: e.Up,
		}, e.Said, r.box.Address)
	}
}

func (r *Reader) login(at time.Time) {
	r.logins.Add(1)
	r.all.logins.Add(1)
	r.lastLogin.Store(&at)
}

// Sessions are those in progress, without the spare.
func (r *Reader) Sessions() int64 { return r.sessions.Load() }

// Limit is how many connections the provider allows the account; 0 if it does not say.
func (r *Reader) Limit() int64 { return int64(r.box.Provider.ReadConnections) }

// Count adds bytes that have passed after a login: down to the mail program, and up.
func (r *Reader) Count(down, up int64) {
	r.down.Add(down)
	r.all.down.Add(down)
	r.up.Add(up)
	r.all.up.Add(up)
}

// Spare notes whether a connection to the provider waits for a mail program.
func (r *Reader) Spare(there bool) {
	if r.spare.Swap(there) == there {
		return
	}
	if there {
		r.all.spares.Add(1)
	} else {
		r.all.spares.Add(-1)
	}
	r.hall.Changed.Wake()
}

// Note remembers how the last login at the provider ended; nil means that it worked. A failure that
// is neither the account's nor its server's changes nothing, nor does one of the sign-in, whose state
// is known without a login.
func (r *Reader) Note(err error) {
	if err == nil {
		r.trouble.Store(nil)
	} else if p := ExplainFor(r.box, r.protocol, err); p.State != "" && !ofSignIn(err) {
		r.trouble.Store(p.Problem)
	}
	r.hall.Changed.Wake()
}

// ofSignIn reports whether an error came before the server for mail was asked.
func ofSignIn(err error) bool {
	if open, ok := errors.AsType[*breaker.OpenError](err); ok {
		return !IsMailBreaker(open.Name)
	}
	return oauth.ReasonOf(err) != "" || errors.Is(err, keystore.ErrUnavailable)
}

// problem is why the account cannot read, as far as that is not due to its sign-in as a whole.
func (r *Reader) problem() *api.Problem {
	if err := r.box.Grant.Allows(string(r.protocol)); err != nil {
		return ExplainFor(r.box, r.protocol, err).Problem
	}
	return r.trouble.Load()
}

// inherit takes over the counts of the account's previous mailbox.
func (r *Reader) inherit(before *Reader) {
	r.logins.Add(before.logins.Load())
	r.down.Add(before.down.Load())
	r.up.Add(before.up.Load())
	if at := before.lastLogin.Load(); at != nil {
		r.lastLogin.Store(at)
	}
}

// status has the reader's state; signIn is what keeps all that the account does from working, or nil.
func (r *Reader) status(signIn *api.Problem) api.ReadStatus {
	st := api.ReadStatus{
		Protocol: r.protocol, State: api.Unused, Sessions: r.sessions.Load(), Spare: r.spare.Load(), Limit: r.Limit(),
		Logins: r.logins.Load(), Down: r.down.Load(), Up: r.up.Load(),
	}
	if at := r.lastLogin.Load(); at != nil {
		st.State, st.LastLogin = api.Ready, *at
	}
	if p := cmp.Or(signIn, r.problem()); p != nil {
		st.State, st.Problem = p.State, p
	}
	return st
}

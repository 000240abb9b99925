// Package popd serves POP3 to mail programs (RFC 1939).
//
//	s := popd.New(hall)
//	s.Serve(client) // one connection, on the caller's goroutine
//
// Before the login Waxseal answers itself: CAPA, USER and PASS, AUTH PLAIN and LOGIN, STLS (dialogue).
// A login checks the local password, then logs in at the provider with an access token (account), whose
// welcome goes down word for word. From then on no byte is changed: package splice carries them, and an
// observer follows which answers are complete, so that a stop cuts no message in two.
//
// A refused login says with a response code whether another password would help: [AUTH], and else
// [SYS/PERM], [SYS/TEMP] or [IN-USE] (RFC 3206, RFC 2449).
package popd

import (
	"context"
	"net"
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/prelogin"
	"github.com/waxseal/waxseal/proxy/tcp"
)

// errSlow is the end of a login that takes too long.
const errSlow = dial.TimeoutError(mailbox.LoginTimeout)

// Server serves mail programs. All methods may be called by many goroutines.
type Server struct {
	// OffersTLS reports whether STLS is offered on loopback too, where it works but is not needed. nil: it is
	// not. It is set before the first call.
	OffersTLS func() bool

	hall  *mailbox.Hall
	known memory

	upstream tcp.Probes // of the open sessions
}

// New makes a Server.
func New(hall *mailbox.Hall) *Server {
	return &Server{hall: hall}
}

// Accounts says which accounts use POP, by address. Before its login, a mail program is offered what the
// providers of all of them offer.
func (s *Server) Accounts(addresses []string) { s.known.keep(addresses) }

// Serve serves one connection until its end, and leaves the hall.
func (s *Server) Serve(c *mailbox.Client) {
	defer c.Leave()
	t := &session{ctx: c.Ctx, log: s.hall.Log.With("session", c.ID)}
	t.ended = func() error { return s.ended(c, t) }
	t.before = prelogin.New(prelogin.Config{
		TCP: tcp.Direct(c.TCP), TLS: c.TLS(), Implicit: c.Implicit, Timeout: s.hall.IdleTimeout, MaxLine: maxLine, Ended: t.ended,
	})
	t.talk = &dialogue{
		conn: t.before, timeout: s.hall.IdleTimeout, paused: s.hall.Paused(),
		needsTLS: c.Implicit || c.Public(), offersTLS: s.OffersTLS != nil && s.OffersTLS(), provider: s.known.common,
	}
	t.open = func(ctx context.Context, name, password string, utf8 bool) (*maildrop, answer) {
		return s.open(ctx, c, t, name, password, utf8)
	}
	c.OnNudge(t.nudge)
	defer context.AfterFunc(c.Ctx, func() { c.TCP.Close() })() // a dialogue is cut off too
	forget := func() {}
	defer func() { forget() }()
	t.run(func() (func(down, up int64), func(mailbox.End)) {
		forget = s.upstream.Add(t.drop.conn)
		reader := t.box.Reader(api.POP)
		return reader.Count, reader.Begin(c)
	})
}

// open logs in: at Waxseal, then at the provider.
func (s *Server) open(ctx context.Context, c *mailbox.Client, t *session, name, password string, utf8 bool) (*maildrop, answer) {
	if s.hall.Paused() {
		return nil, answer{line: pausedGreeting}
	}
	prefix, user := recent(name)
	box, refusal := s.hall.Login(ctx, c, "", user, password, nil)
	if refusal != nil {
		return nil, told(refusal, nil)
	}
	err := box.Uses(api.POP)
	var drop *maildrop
	if err == nil {
		a := accountOf(box, &s.known)
		a.utf8 = utf8
		for i, u := range a.users {
			a.users[i] = prefix + u
		}
		drop, err = a.login(ctx)
		if err != nil && t.ended() != nil { // a stop is nobody's failure
			return nil, answer{}
		}
		box.Reader(api.POP).Note(err)
	}
	if err != nil {
		answer := told(s.hall.Refuse(c, box, err), err)
		answer.atProvider = true
		return nil, answer
	}
	t.box = box
	s.hall.Passed(c)
	return drop, answer{}
}

// recentPrefix before the address asks Gmail for the messages of the last 30 days, whoever has read them
// (support.google.com/mail/answer/7104828).
const recentPrefix = "recent:"

// recent splits it from the address of the account.
func recent(name string) (prefix, user string) {
	if n := len(recentPrefix); len(name) > n && strings.EqualFold(name[:n], recentPrefix) {
		return name[:n], name[n:]
	}
	return "", name
}

// accountOf is what a login at the provider needs of a mailbox.
func accountOf(b *mailbox.Mailbox, known *memory) *account {
	a := &account{
		address: b.Address, addr: b.Addr(api.POP), users: slices.Clone(b.Users(api.POP)), known: known,
		dial: func(ctx context.Context, starttls func(net.Conn) error) (net.Conn, error) {
			return b.Dial(ctx, api.POP, starttls)
		},
		guard: func(ctx context.Context, try func() error) error { return b.Try(ctx, api.POP, try) },
		token: func(ctx context.Context) (string, error) {
			token, _, err := b.Token(ctx, api.POP)
			return token, err
		},
		reject: b.Reject,
	}
	a.worked = func(user string) {
		_, user = recent(user)
		b.UserWorked(api.POP, user)
	}
	a.mechanism = b.Mechanism(api.POP)
	return a
}

// ended says why a session has to end, nil if it may go on.
func (s *Server) ended(c *mailbox.Client, t *session) error {
	if s.hall.Stopping() {
		return errStopping
	}
	t.mu.Lock()
	in := t.through != nil
	t.mu.Unlock()
	switch {
	case !in && c.Evicted():
		return errEvicted
	case in && t.box.Removed():
		return errRemoved
	}
	return nil
}

// Probe asks all connections to providers whether they still live, after the machine has slept or its
// network has changed. One that does not answer ends in about 7 seconds. Probe does not wait.
func (s *Server) Probe() { s.upstream.Start() }

// Close ends what goes on in the background. Sessions are not waited for: whoever called Serve does that.
func (s *Server) Close(context.Context) error {
	s.upstream.Stop()
	return nil
}

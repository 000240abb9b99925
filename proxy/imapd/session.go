package imapd

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/splice"
	"github.com/waxseal/waxseal/proxy/tcp"
)

// afterBye is how long the provider has to close after its BYE. Exchange leaves the connection open.
const afterBye = 2 * time.Second

// session is one mail program's connection.
type session struct {
	srv    *Server
	c      *mailbox.Client
	tcp    net.Conn
	log    *slog.Logger
	splice *splice.Splice
	watch  observer
	cancel context.CancelFunc // ends a login that is going on

	box  atomic.Pointer[mailbox.Mailbox] // once it has logged in
	link *link
	said string      // the provider's BYE
	hang *time.Timer // ends the session after it
}

// Serve runs a mail program's connection to its end, and calls its Leave.
func (s *Server) Serve(c *mailbox.Client) {
	defer c.Leave()
	ctx, cancel := context.WithCancel(c.Ctx)
	defer cancel()
	session := &session{
		srv: s, c: c, tcp: tcp.Direct(c.TCP), log: s.hall.Log.With("session", c.ID), splice: &splice.Splice{}, cancel: cancel,
	}
	c.Nudge = session.nudge
	if session.begin(ctx) {
		session.pass(c.Ctx)
	}
}

// nudge looks whether the session has to end.
func (s *session) nudge() {
	box := s.box.Load()
	if s.stopping() || box != nil && box.Removed() {
		s.cancel()
		s.splice.Finish(api.ByWaxseal)
	}
	if box == nil {
		s.tcp.SetReadDeadline(time.Unix(1, 0))
	}
}

func (s *session) stopping() bool {
	select {
	case <-s.srv.hall.Stopping():
		return true
	default:
		return false
	}
}

// why is why a mail program that has not logged in has to leave, "" if it may stay.
func (s *session) why() string {
	switch {
	case s.stopping():
		return stoppingWords
	case s.c.Evicted():
		return "Waxseal has too many connections; this one had not logged in"
	}
	return ""
}

const stoppingWords = "Waxseal is stopping; try again later"

// begin goes as far as the login. It runs on a goroutine of its own: a login reaches deep, and a stack that
// has grown does not shrink, though a session may last for days.
func (s *session) begin(ctx context.Context) (ok bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				ok = false
				s.log.Error("an IMAP session broke", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			}
		}()
		ok = s.receive(ctx)
	}()
	<-done
	return ok
}

func (s *session) receive(ctx context.Context) bool {
	hall := s.srv.hall
	r := &reception{
		tcp: s.tcp, tls: hall.TLS, idle: hall.IdleTimeout(), implicit: s.c.Implicit, needsTLS: s.c.Remote(), offersTLS: s.c.Remote(),
		offers: s.srv.connector.known.common, why: s.why,
		login: func(user, password string) *mailbox.Refusal { return s.login(ctx, user, password) },
	}
	tag, err := r.run()
	if err != nil {
		if err != errLeft {
			s.log.Info("TLS handshake failed", "client", s.tcp.RemoteAddr().String(), "err", err)
		}
		return false
	}
	s.tcp.SetDeadline(time.Time{})
	s.splice.Client, s.splice.Server = r.conn, s.link.conn
	s.splice.FromServer, s.splice.FromClient = s.link.greeting(tag), bytes.Clone(r.pipelined())
	return true
}

// login checks a login, and logs in at the provider.
func (s *session) login(ctx context.Context, user, password string) *mailbox.Refusal {
	hall := s.srv.hall
	if hall.Paused() {
		return &mailbox.Refusal{Kind: mailbox.Paused, Words: "Waxseal is paused; resume it and try again"}
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	box, refused := hall.Login(ctx, s.c, user, password)
	if refused != nil {
		return refused
	}
	if err := box.Uses(api.IMAP); err != nil {
		return hall.Refuse(s.c, box, err)
	}
	var err error
	s.link, err = s.srv.open(ctx, box)
	box.Reader(api.IMAP).Note(err)
	if err != nil {
		return hall.Refuse(s.c, box, err)
	}
	s.box.Store(box)
	return nil
}

// open takes the account's spare, or makes a connection.
func (s *Server) open(ctx context.Context, box account) (*link, error) {
	token, _, err := box.Token(ctx, true)
	if err != nil {
		return nil, err
	}
	if l := s.spares.take(box, token); l != nil {
		return l, nil
	}
	return s.connector.connect(ctx, box, nil)
}

// pass is the session after the login.
func (s *session) pass(ctx context.Context) {
	box := s.box.Load()
	reader := box.Reader(api.IMAP)
	ended := reader.Begin(s.c)
	keepAlive(s.link.conn, steady)
	s.srv.add(s)
	defer s.srv.remove(s)
	s.srv.spares.loggedIn(box, room(reader.Sessions(), reader.Limit()))

	s.watch.bye = func(words string) {
		s.said = words
		s.hang = time.AfterFunc(afterBye, func() { s.splice.Finish(api.ByProvider) })
	}
	s.watch.notConnected = func() {
		reader.Note(&mailbox.ServerError{Protocol: api.IMAP, Op: "login", Status: "BAD", Text: "User is authenticated but not connected."})
	}
	s.splice.Down, s.splice.Up, s.splice.Count, s.splice.Farewell = s.watch.said, s.watch.asked, reader.Count, s.farewell
	s.nudge() // what happened before it could be heard
	end := s.splice.Run(ctx)
	if s.hang != nil {
		s.hang.Stop()
	}
	ended(mailbox.End{Why: s.endedBy(end.By), Said: dial.Cleaner(s.link.token).Clean(s.said), Down: end.Down, Up: end.Up})
}

// room reports whether a spare leaves half of the provider's limit free; 0 is no limit that is known.
func room(sessions, limit int64) bool { return limit == 0 || 2*(sessions+1) <= limit }

// farewell is what the mail program hears when others end its session.
func (s *session) farewell(by api.EndedBy) []byte {
	if s.watch.saidBye || s.watch.loggedOut.Load() {
		return nil
	}
	switch by {
	case api.ByWaxseal:
		return []byte(bye(stoppingWords))
	case api.ByNetwork:
		return []byte(bye("The connection to the provider was lost; log in again"))
	}
	return []byte(bye("The provider closed the connection; log in again"))
}

// endedBy is who ended the session. After LOGOUT, the provider closes.
func (s *session) endedBy(by api.EndedBy) api.EndedBy {
	switch {
	case s.watch.loggedOut.Load():
		return api.ByProgram
	case s.watch.saidBye && by == api.ByNetwork:
		return api.ByProvider
	}
	return by
}

func (s *Server) add(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[x] = struct{}{}
}

func (s *Server) remove(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, x)
}

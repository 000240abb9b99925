package imapd

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/prelogin"
	"github.com/waxseal/waxseal/proxy/splice"
	"github.com/waxseal/waxseal/proxy/tcp"
)

// afterBye is how long the provider has to close after its BYE. Exchange leaves the connection open.
const afterBye = 2 * time.Second

// session is one mail program's connection.
type session struct {
	srv   *Server
	c     *mailbox.Client
	log   *slog.Logger
	watch observer
	last  failure // the last login that the provider refused

	mu      sync.Mutex         // guards what follows
	before  *prelogin.Conn     // up to the login
	logging context.CancelFunc // ends a login in progress
	box     *mailbox.Mailbox   // after the login, and the next two
	link    *link
	splice  *splice.Splice

	said string      // the provider's BYE
	hang *time.Timer // ends the session after it
}

// failure is a login that failed for another reason than its password. Programs try another mechanism on the
// same connection, which is no reason to bother the provider again.
type failure struct {
	name, password string
	answer         answer
}

// Serve runs a mail program's connection to its end, and calls its Leave.
func (s *Server) Serve(c *mailbox.Client) {
	defer c.Leave()
	session := &session{srv: s, c: c, log: s.hall.Log.With("session", c.ID)}
	session.before = prelogin.New(prelogin.Config{
		TCP: tcp.Direct(c.TCP), TLS: c.TLS(), Implicit: c.Implicit, Timeout: s.hall.IdleTimeout, MaxLine: maxLine, Ended: session.ended,
	})
	defer context.AfterFunc(c.Ctx, func() { c.TCP.Close() })() // a dialogue is cut off too
	c.OnNudge(session.nudge)
	if session.begin() {
		session.pass()
	}
}

// nudge looks whether the session has to end. Any goroutine may call it.
func (s *session) nudge() {
	why := s.ended()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.splice != nil && why != nil:
		s.splice.Finish(api.ByWaxseal)
	case s.logging != nil && why != nil:
		s.logging()
	case s.before != nil && s.logging == nil && why != nil: // a deadline would break a TLS handshake
		s.before.Nudge()
	}
}

// ended says why the session has to end, nil if it may go on.
func (s *session) ended() error {
	s.mu.Lock()
	box := s.box
	s.mu.Unlock()
	switch {
	case s.srv.hall.Stopping():
		return errStopping
	case box == nil && s.c.Evicted():
		return errEvicted
	case box != nil && box.Removed():
		return errRemoved
	}
	return nil
}

const stoppingWords = "Waxseal is stopping; try again later"

// begin goes as far as the login.
func (s *session) begin() (ok bool) {
	if panicked := mailbox.Apart(func() { ok = s.talk() }); panicked != "" {
		ok = false
		s.log.Error("an IMAP session broke", "err", panicked)
	}
	if !ok && s.link != nil {
		s.link.conn.Close()
	}
	return ok
}

func (s *session) talk() (ok bool) {
	hall := s.srv.hall
	public := s.c.Implicit || s.c.Public()
	d := &dialogue{
		conn: s.before, needsTLS: public, offersTLS: hall.Config().OfferSTARTTLS, timeout: hall.IdleTimeout,
		provider: s.srv.connector.known.common, login: s.login,
	}
	tag, err := d.run()
	if err != nil {
		if cure := prelogin.Cure(err); cure != "" {
			s.log.Info("a mail program could not begin", "err", err, "cure", cure)
		} else {
			s.log.Debug("disconnected before a login", "reason", err)
		}
		return false
	}
	hall.Passed(s.c)
	s.mu.Lock()
	defer s.mu.Unlock()
	program, rest := s.before.Release()
	s.before = nil // a nudge would leave a deadline
	s.splice = &splice.Splice{Client: program, FromClient: rest, Server: s.link.conn, FromServer: s.link.greeting(tag)}
	return true
}

// login checks a login, and logs in at the provider.
func (s *session) login(name, password string) answer {
	if f := s.last; f.answer.line != "" && f.name == name && f.password == password {
		return f.answer
	}
	ctx, cancel := context.WithTimeoutCause(s.c.Ctx, mailbox.LoginTimeout, dial.TimeoutError(mailbox.LoginTimeout))
	defer cancel()
	s.mu.Lock()
	s.logging = cancel
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.logging = nil
		s.mu.Unlock()
	}()
	s.nudge() // a stop does not wait for logins
	hall := s.srv.hall
	box, refusal := hall.Login(ctx, s.c, "", name, password, nil)
	if refusal != nil {
		return told(refusal)
	}
	err := box.Uses(api.IMAP)
	var l *link
	if err == nil {
		if l, err = s.srv.open(ctx, boxed{box}); err != nil && s.ended() != nil { // a stop is nobody's failure
			return answer{line: bye(lastWords(s.ended(), 0)), last: true}
		}
		box.Reader(api.IMAP).Note(err)
	}
	if err != nil {
		s.last = failure{name, password, told(hall.Refuse(s.c, box, err))}
		return s.last.answer
	}
	s.mu.Lock()
	s.box, s.link = box, l
	s.mu.Unlock()
	s.last = failure{}
	return answer{in: true}
}

// told is refused, and lists the login.
func told(r *mailbox.Refusal) answer {
	a := refused(r)
	r.Told(a.line)
	return a
}

// open takes the account's spare, or makes a connection.
func (s *Server) open(ctx context.Context, box account) (*link, error) {
	token, _, err := box.Token(ctx, api.IMAP)
	if err != nil {
		return nil, err
	}
	if l := s.spares.take(box, token); l != nil {
		return l, nil
	}
	return s.connector.connect(ctx, box, nil)
}

// pass is the session after the login.
func (s *session) pass() {
	box := s.box
	reader := box.Reader(api.IMAP)
	ended := reader.Begin(s.c)
	defer s.srv.upstream.Add(s.link.conn)()
	s.srv.spares.loggedIn(boxed{box}, room(reader.Sessions(), reader.Limit()))

	s.watch.bye = func(words string) {
		s.said = words
		s.hang = time.AfterFunc(afterBye, func() { s.splice.Finish(api.ByProvider) })
	}
	s.watch.notConnected = func() {
		reader.Note(&mailbox.ServerError{Protocol: api.IMAP, Op: "login", Status: "BAD", Text: "User is authenticated but not connected."})
	}
	s.splice.Down, s.splice.Up, s.splice.Count, s.splice.Farewell = s.watch.said, s.watch.asked, reader.Count, func(by api.EndedBy) []byte {
		s.c.Logout() // a program that is slow to close does not count for its account
		return s.farewell(by)
	}
	s.nudge() // what happened before it could be heard
	end := s.splice.Run(s.c.Ctx)
	if s.hang != nil {
		s.hang.Stop()
	}
	ended(mailbox.End{Why: s.endedBy(end.By), Said: dial.Cleaner(s.link.token).Clean(s.said), Down: end.Down, Up: end.Up})
}

// room reports whether a spare leaves half of the provider's limit free; 0 is no limit that is known.
func room(sessions, limit int64) bool { return limit == 0 || 2*(sessions+1) <= limit }

// farewell is what the mail program hears when others end its session.
func (s *session) farewell(by api.EndedBy) []byte {
	if s.watch.saidBye || s.watch.blind || s.watch.loggedOut.Load() {
		return nil
	}
	switch by {
	case api.ByWaxseal:
		if s.box.Removed() {
			return []byte(bye("The account was changed in Waxseal; log in again") + "\r\n")
		}
		return []byte(bye(stoppingWords) + "\r\n")
	case api.ByNetwork:
		return []byte(bye("The connection to the provider was lost; log in again") + "\r\n")
	}
	return []byte(bye("The provider closed the connection; log in again") + "\r\n")
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

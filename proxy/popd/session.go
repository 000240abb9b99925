package popd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/prelogin"
	"github.com/waxseal/waxseal/proxy/splice"
)

// session is one mail program's connection, from its greeting to its end.
type session struct {
	talk *dialogue
	log  *slog.Logger
	ctx  context.Context // the connection's

	// open checks a local password and logs in at the provider. It returns the maildrop, or the answer
	// that says why there is none.
	open func(ctx context.Context, name, password string, utf8 bool) (*maildrop, answer)
	// ended says why the session has to end, nil if it may go on.
	ended func() error

	box  *mailbox.Mailbox // of the login that worked
	drop *maildrop
	last failure // the last login that did not

	mu      sync.Mutex         // guards what follows
	before  *prelogin.Conn     // up to the login
	logging context.CancelFunc // ends a login in progress
	through *splice.Splice     // after the login
}

// failure is a login that failed for another reason than its password. Programs try another mechanism
// on the same connection, which is no reason to bother the provider again.
type failure struct {
	name, password string
	answer         answer
}

// run serves the connection until its end. begun is told when the provider has let the program in, and
// what it returns is told how the session ended.
func (s *session) run(begun func() (count func(down, up int64), end func(mailbox.End))) {
	var count func(down, up int64)
	var end func(mailbox.End)
	program, rest, err := s.begin(func() { count, end = begun() })
	if err != nil {
		if end != nil {
			end(mailbox.End{Why: api.ByProgram})
		}
		s.left(err)
		return
	}
	o := &observer{}
	through := &splice.Splice{
		Client: program, FromClient: rest, Up: o.Up,
		Server: s.drop.conn, FromServer: s.drop.ahead, Down: o.Down, Count: count,
	}
	s.talk, s.last = nil, failure{}
	s.mu.Lock()
	s.through = through
	s.mu.Unlock()
	s.nudge() // one that came meanwhile has found nothing
	end(s.ending(through.Run(s.ctx), o))
}

// begin goes as far as the provider's welcome; in is called before the program hears it.
func (s *session) begin(in func()) (program net.Conn, rest []byte, err error) {
	panicked := mailbox.Apart(func() {
		s.talk.login = s.login
		if err = s.talk.run(); err != nil {
			return
		}
		in()
		s.talk.conn.Say(s.drop.welcome)
		err = s.talk.conn.Flush()
	})
	if panicked != "" {
		err = fmt.Errorf("%w: %s", errBroken, panicked)
	}
	if err != nil {
		if s.drop != nil {
			s.drop.conn.Close()
		}
		return nil, nil, err
	}
	s.mu.Lock()
	s.before = nil // a nudge would leave a deadline
	s.mu.Unlock()
	program, rest = s.talk.conn.Release()
	return program, rest, nil
}

// left logs why a program has not logged in. That it left, or had to, is nothing to look at.
func (s *session) left(err error) {
	cure := prelogin.Cure(err)
	switch {
	case errors.Is(err, errBroken):
		s.log.Error("a POP session broke", "err", err)
	case cure != "":
		s.log.Info("a mail program could not begin", "err", err, "cure", cure)
	default:
		s.log.Debug("disconnected before a login", "reason", err)
	}
}

// errBroken is a panic, which ends one connection and no other.
var errBroken = errors.New("panic")

// ending is how a session has ended. A provider closes the connection after QUIT, which is the program's
// wish.
func (s *session) ending(e splice.End, o *observer) mailbox.End {
	quit, said := o.Ended()
	if quit && e.By == api.ByProvider {
		e.By = api.ByProgram
	}
	return mailbox.End{Why: e.By, Said: s.drop.clean(said), Down: e.Down, Up: e.Up}
}

// login answers the dialogue's login.
func (s *session) login(name, password string, utf8 bool) answer {
	if f := s.last; f.answer.line != "" && f.name == name && f.password == password {
		return f.answer
	}
	ctx, cancel := context.WithTimeoutCause(s.ctx, mailbox.LoginTimeout, errSlow)
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
	drop, a := s.open(ctx, name, password, utf8)
	if drop != nil {
		s.drop, s.last = drop, failure{}
		return answer{in: true}
	}
	if err := s.ended(); err != nil {
		return answer{line: lastLine(err, 0), last: true}
	}
	if a.atProvider {
		s.last = failure{name, password, a}
	}
	return a
}

// nudge looks whether the session has to end. Any goroutine may call it.
func (s *session) nudge() {
	why := s.ended()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.through != nil && why != nil:
		s.through.Finish(api.ByWaxseal)
	case s.logging != nil && why != nil:
		s.logging()
	case s.before != nil && s.logging == nil && why != nil: // a deadline would break a TLS handshake
		s.before.Nudge()
	}
}

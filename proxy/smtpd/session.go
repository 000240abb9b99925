package smtpd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/envelope"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/pace"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// session is one mail program's dialogue: it carries each command to the account's provider and the
// provider's answer back. All of its methods are called by go-smtp from the connection's goroutine,
// but for Data of a BDAT message, which has its own.
type session struct {
	srv *Server
	c   *conn
	log *slog.Logger

	box *mailbox.Mailbox // nil before AUTH
	msg *message         // nil outside a transaction

	body  sync.Mutex    // held by Data: Reset and Logout wait for it
	chunk io.Reader     // the pipe of the last BDAT body
	pump  *pump         // and what reads it
	begun chan struct{} // of the last MAIL; closed when a body is read
}

// message is one transaction, from MAIL to its last reply.
type message struct {
	tx      *upstream.Transaction
	ctx     context.Context // ends with the transaction, so that Data ends with it
	cancel  context.CancelFunc
	rcpts   int             // accepted by the provider
	refusal *smtp.SMTPError // of the last recipient that was refused
	why     *api.Problem    // explains that; nil where nothing is known
	bytes   int64           // of the body, as far as it came
	started time.Time
	outcome outcome
}

var (
	errAuthFirst = &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0},
		Message: "Authentication required: log in with the account's address and its local password"}
	errTLSFirst = &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0},
		Message: "Must issue a STARTTLS command first"}
)

func (srv *Server) newSession(sc *smtp.Conn) (smtp.Session, error) {
	c := sc.Conn().(*conn)
	log := srv.hall.Log.With("session", c.client.ID)
	log.Debug("connected", "client", c.RemoteAddr().String())
	return &session{srv: srv, c: c, log: log}, nil
}

// AuthMechanisms are those offered in the reply to EHLO.
func (s *session) AuthMechanisms() []string {
	if s.c.needsTLS() {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

// Auth starts an authentication exchange.
func (s *session) Auth(mech string) (sasl.Server, error) {
	if s.c.needsTLS() {
		return nil, errTLSFirst
	}
	switch mech {
	case sasl.Plain:
		return ownWords{sasl.NewPlainServer(s.authenticate)}, nil
	case sasl.Login:
		return &loginServer{authenticate: func(username, password string) error { return s.authenticate("", username, password) }}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// Mail opens a transaction on a connection to the provider. The command itself goes up with the
// first recipient, in one flight.
func (s *session) Mail(_ string, opts *smtp.MailOptions) error {
	switch {
	case s.box == nil:
		return errAuthFirst
	case s.msg != nil:
		return answer(503, "5.5.1", "MAIL was given already; RSET takes it back")
	}
	from, refusal := envelope.Mail(s.c.arg, opts)
	switch {
	case refusal != nil:
		s.log.Info("sender refused", "account", s.box.Address, "reply", replyText(refusal))
		return refusal
	case s.box.Removed() && !s.follow():
		return s.turnAway(answer(550, "5.7.1", "The account "+s.box.Address+" was removed from Waxseal"))
	case s.box.Uses(api.SMTP) != nil: // any more
		return s.turnAway(replyTo("MAIL", s.box, s.box.Uses(api.SMTP)))
	case s.srv.hall.Paused():
		return s.turnAway(answer(451, "4.3.2", (&mailbox.Refusal{Kind: mailbox.Paused}).Words()))
	}
	s.c.busy.Store(true)
	s.c.tempo.message()
	s.srv.hall.Stats.Messages.Add(1)
	s.box.Messages.Add(1)
	s.srv.hall.Changed.Wake()

	s.settle()
	m := &message{started: time.Now()}
	s.begun = make(chan struct{})
	s.c.bodyBegun = s.begun
	m.ctx, m.cancel = context.WithCancel(s.c.client.Ctx)
	s.msg = m
	tx, err := s.box.Pool.Begin(m.ctx, from, opts)
	if err != nil {
		r := s.fail("MAIL", err)
		s.end()
		return r
	}
	m.tx = tx
	s.c.unknown = 0
	s.c.answer = []string{"250 2.1.0 OK; the provider decides at RCPT"}
	return nil
}

// follow moves the session to the mailbox that took the place of its own when the account's settings
// changed; false when the account is gone.
func (s *session) follow() bool {
	next := s.c.client.Follow(s.box)
	if next == nil {
		return false
	}
	s.box = next
	return true
}

// Rcpt asks the provider for one recipient and gives its answer word for word.
func (s *session) Rcpt(_ string, opts *smtp.RcptOptions) error {
	m := s.msg
	if m == nil {
		return answer(503, "5.5.1", "MAIL comes first")
	}
	to, refusal := envelope.Rcpt(s.c.arg, opts)
	if refusal != nil {
		return s.refuse(refusal, nil)
	}
	replies, err := m.tx.Rcpt(m.ctx, []upstream.Recipient{{To: to, Opts: opts}})
	if errors.Is(err, upstream.ErrEnvelope) || errors.Is(err, upstream.ErrUTF8) {
		return s.refuse(replyTo("RCPT", s.box, err), nil) // of this recipient alone
	}
	if _, full := errors.AsType[*pace.Error](err); full { // and this one is for later
		return s.refuse(replyTo("RCPT", s.box, err), mailbox.Explain(s.box, err).Problem)
	}
	if err != nil {
		return s.fail("RCPT", err)
	}
	r := replies[0]
	if r.Code/100 != 2 {
		return s.refuse(passThrough(r), mailbox.KnownReply(s.box, r))
	}
	m.rcpts++
	s.c.answer = replyLines(r)
	return nil
}

// Reset ends the transaction, whether it is over or taken back.
func (s *session) Reset() {
	if s.msg == nil {
		return
	}
	s.msg.cancel()
	s.end()
}

// Logout ends the session; go-smtp calls it when the connection closes.
func (s *session) Logout() error {
	s.c.client.Cancel()
	s.Reset()
	s.c.client.Logout()
	s.box = nil
	s.log.Debug("disconnected")
	return nil
}

package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// session is one mail program's dialogue: it carries each command to the
// account's provider and the provider's answer back. All of its methods are
// called by go-smtp from the connection's goroutine, but for Data of a BDAT
// message, which has its own.
type session struct {
	srv *Server
	c   *conn
	log *slog.Logger

	ctx    context.Context // ends with the connection, and with a hard stop
	cancel context.CancelFunc

	box *mailbox // nil before AUTH
	msg *message // nil outside a transaction

	body  sync.Mutex    // held by Data: Reset and Logout wait for it
	chunk io.Reader     // the pipe of the last BDAT body
	begun chan struct{} // of the last MAIL; closed when a body is read
}

// message is one transaction, from MAIL to its last reply.
type message struct {
	tx      *upstream.Transaction
	ctx     context.Context // ends with the transaction, so that Data ends with it
	cancel  context.CancelFunc
	rcpts   int             // accepted by the provider
	refusal *smtp.SMTPError // the last recipient's that was refused
	why     *api.Problem    // explains that; nil where nothing is known
	bytes   int64           // of the body, as far as it came
	started time.Time
	counted bool // its result is in the statistics
}

var (
	errAuthFirst = &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0},
		Message: "Authentication required: give the account's address and its local password"}
	errTLSFirst = &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0},
		Message: "Must issue a STARTTLS command first"}
	errSender = &smtp.SMTPError{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 1, 7},
		Message: "The sender's address holds a control character"}
	errRecipient = &smtp.SMTPError{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 1, 3},
		Message: "The recipient's address holds a control character"}
)

func (s *Server) newSession(sc *smtp.Conn) (smtp.Session, error) {
	c := sc.Conn().(*conn)
	ctx, cancel := context.WithCancel(context.WithValue(s.hard, sessionKey{}, c.id))
	log := s.log.With("session", c.id)
	log.Debug("connected", "client", c.RemoteAddr().String())
	return &session{srv: s, c: c, ctx: ctx, cancel: cancel, log: log}, nil
}

// AuthMechanisms are those offered in the reply to EHLO.
func (s *session) AuthMechanisms() []string {
	if s.needsTLS() {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

// needsTLS is true where passwords could be read off a network: on anything but
// the loopback interface, before TLS.
func (s *session) needsTLS() bool { return !s.c.secure && !isLoopback(s.c.LocalAddr()) }

// Auth starts an authentication exchange.
func (s *session) Auth(mech string) (sasl.Server, error) {
	if s.needsTLS() {
		return nil, errTLSFirst
	}
	switch mech {
	case sasl.Plain:
		return ownWords{sasl.NewPlainServer(func(identity, username, password string) error {
			if identity != "" && config.Fold(identity) != config.Fold(username) {
				return s.wrongPassword(username, "", "asked to act as another user")
			}
			return s.authenticate(username, password)
		})}, nil
	case sasl.Login:
		return &loginServer{authenticate: s.authenticate}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// Mail opens a transaction on a connection to the provider. The command itself
// goes up with the first recipient, in one flight.
func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	switch {
	case s.box == nil:
		return errAuthFirst
	case s.msg != nil:
		return &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "MAIL was given already; RSET takes it back"}
	case hasControl(from):
		return errSender
	case s.box.removed.Load() && !s.follow():
		return s.turnAway(answer(550, "5.7.1", "The account "+s.box.address+" was removed from Waxseal"))
	case s.srv.paused.Load():
		return s.turnAway(paused(451))
	}
	s.c.busy.Store(true)
	s.c.pace.message()
	s.srv.stats.messages.Add(1)
	s.box.messages.Add(1)
	s.srv.changed.wake()

	s.settle()
	m := &message{started: time.Now()}
	s.begun = make(chan struct{})
	s.c.begun = s.begun
	m.ctx, m.cancel = context.WithCancel(s.ctx)
	s.msg = m
	tx, err := s.box.pool.Begin(m.ctx, from, opts)
	if err != nil {
		r := s.fail("MAIL", err)
		s.end()
		return r
	}
	m.tx = tx
	s.c.answer = []string{"250 2.1.0 Sender noted; the provider decides at the recipients"}
	return nil
}

// settle waits until go-smtp's goroutine for the last BDAT body has given its
// result away: it does so over a channel that the next body replaces, and then
// closes its end of the pipe. It is between the two when it is waited for.
func (s *session) settle() {
	for tries := 0; s.chunk != nil && tries < 20_000; tries++ {
		if _, err := s.chunk.Read(nil); err == io.ErrClosedPipe || !pause(s.srv.hard, 50*time.Microsecond) {
			break
		}
	}
	s.chunk = nil
}

// follow moves the session to the mailbox that took the place of its own when
// the account's settings changed; false when the account is gone.
func (s *session) follow() bool {
	next := s.srv.mailbox(s.box.address)
	if next == nil {
		return false
	}
	s.box.connections.Add(-1)
	next.connections.Add(1)
	s.box = next
	return true
}

// Rcpt asks the provider for one recipient and gives its answer word for word.
func (s *session) Rcpt(to string, opts *smtp.RcptOptions) error {
	m := s.msg
	if m == nil {
		return &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "MAIL comes first"}
	}
	if hasControl(to) {
		return s.refuse(errRecipient, nil)
	}
	replies, err := m.tx.Rcpt(m.ctx, []upstream.Recipient{{To: to, Opts: opts}})
	if errors.Is(err, upstream.ErrEnvelope) || errors.Is(err, upstream.ErrUTF8) {
		return s.refuse(replyTo("RCPT", s.box, err), nil) // of this recipient alone
	}
	if err != nil {
		return s.fail("RCPT", err)
	}
	r := replies[0]
	if r.Code/100 != 2 {
		return s.refuse(passThrough(r), knownReply(s.box, r))
	}
	m.rcpts++
	s.c.answer = replyLines(r)
	return nil
}

// Data carries the body up and the provider's final reply down.
func (s *session) Data(r io.Reader) error {
	s.body.Lock()
	defer s.body.Unlock()
	m := s.msg
	body := &countingReader{r: r}
	if s.begun != nil {
		select {
		case <-s.begun:
		default:
			close(s.begun)
		}
	}
	if _, chunked := r.(*io.PipeReader); chunked {
		s.chunk = r
		// go-smtp starts this in a goroutine that may come late: after the
		// transaction was taken back, even in the middle of the next one. Then
		// its pipe is closed, which the first read tells.
		first, err := firstRead(r)
		if err != nil || m == nil {
			return replyTo("DATA", nil, errCutOff)
		}
		body.r = io.MultiReader(first, r)
	} else {
		body.r = s.c.data()
	}
	reply, err := m.tx.Data(m.ctx, body)
	m.bytes = body.n
	if err != nil {
		switch {
		case errors.Is(body.err, errLoneDot):
			err = body.err
		case body.err != nil:
			err = fmt.Errorf("%w: %w", errCutOff, body.err)
		}
		return s.fail("DATA", err)
	}
	s.srv.stats.seconds.Observe(time.Since(m.started).Seconds())
	answered := passThrough(reply)
	s.finish(resultOf(reply.Code), answered, knownReply(s.box, reply), nil)
	return answered
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
	s.cancel()
	s.Reset()
	if s.box != nil {
		s.box.connections.Add(-1)
		s.box = nil
		s.srv.changed.wake()
	}
	s.log.Debug("disconnected")
	return nil
}

// firstRead waits for a body's first bytes, or its end.
func firstRead(r io.Reader) (io.Reader, error) {
	buf := make([]byte, 4<<10)
	n, err := r.Read(buf)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return bytes.NewReader(buf[:n]), nil
}

// countingReader counts a body's bytes and remembers how reading it ended.
type countingReader struct {
	r   io.Reader
	n   int64
	err error // other than io.EOF
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

func hasControl(address string) bool {
	return strings.ContainsFunc(address, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// ownWords keeps a mechanism's own errors from the client: go-smtp would send
// their text, with a code that asks it to try again.
type ownWords struct{ sasl.Server }

func (o ownWords) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = o.Server.Next(response)
	var ours *smtp.SMTPError
	if err != nil && !errors.As(err, &ours) {
		err = errSyntax
	}
	return challenge, done, err
}

// loginServer is the server side of LOGIN, which go-sasl has only as a client
// (draft-murchison-sasl-login): old programs know nothing else.
type loginServer struct {
	authenticate func(username, password string) error
	step         int
	username     string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.step++
	if l.step == 1 && response == nil {
		return []byte("Username:"), false, nil
	}
	if l.username == "" {
		if len(response) == 0 {
			return nil, false, errSyntax
		}
		l.username = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.authenticate(l.username, string(response))
}

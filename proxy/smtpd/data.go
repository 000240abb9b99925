package smtpd

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// Data carries the body up and the provider's final reply down.
func (s *session) Data(r io.Reader) error {
	s.body.Lock()
	defer s.body.Unlock()
	m := s.msg
	if s.begun != nil {
		select {
		case <-s.begun:
		default:
			close(s.begun)
		}
	}
	body := &countingReader{c: s.c}
	if pipe, chunked := r.(*io.PipeReader); chunked {
		s.chunk = r
		p := newPump(pipe)
		// go-smtp starts this in a goroutine that may come late: after the transaction was taken
		// back, even in the middle of the next one. Then its pipe is closed, which the first read
		// tells.
		if err := p.first(); err != nil || m == nil {
			return replyTo("DATA", nil, mailbox.ErrCutOff)
		}
		s.pump, body.r, body.pump = p, p, p
	} else {
		body.r = s.c.data()
	}
	reply, err := m.tx.Data(m.ctx, body)
	m.tx.Close() // whoever waits for the connection need not wait for this client
	m.bytes = body.n
	answered := s.judge(reply, err, body)
	if body.unread() {
		s.c.refuse(answered)
	}
	return answered
}

// judge notes how a message ended that was sent as far as its body came.
func (s *session) judge(reply upstream.Reply, err error, body *countingReader) *smtp.SMTPError {
	if err == nil {
		s.srv.hall.Stats.Seconds.Observe(time.Since(s.msg.started).Seconds())
		answered := passThrough(reply)
		s.finish(mailbox.ResultOf(reply.Code), answered, mailbox.KnownReply(s.box, reply), nil)
		return answered
	}
	switch {
	case wrongLineEnds(body.err):
		err = body.err
	case body.cutOff() != nil:
		err = fmt.Errorf("%w: %w", mailbox.ErrCutOff, body.err)
	}
	return s.fail("DATA", err)
}

// settle waits until go-smtp's goroutine for the last BDAT body has handed over its result: it does
// so over a channel that the next body replaces, and then closes its end of the pipe. When this is
// called it may be between the two.
func (s *session) settle() {
	for tries := 0; s.chunk != nil && tries < 20_000; tries++ {
		if _, err := s.chunk.Read(nil); err == io.ErrClosedPipe || !mailbox.Pause(s.srv.hall.Hard(), 50*time.Microsecond) {
			break
		}
	}
	s.chunk = nil
}

// countingReader counts a body's bytes and remembers how reading it ended. It is an
// [upstream.Interrupter].
type countingReader struct {
	r     io.Reader
	c     *conn
	pump  *pump // of a BDAT body
	n     int64
	ended bool  // with io.EOF
	err   error // otherwise

	interrupted atomic.Bool
}

func (b *countingReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	switch err {
	case nil:
	case io.EOF:
		b.ended = true
	default:
		b.err = err
	}
	return n, err
}

// Interrupt gives up a Read that waits for the client, since the provider has refused the message. It
// may be called from another goroutine.
func (b *countingReader) Interrupt() {
	b.interrupted.Store(true)
	if b.pump != nil {
		b.pump.interrupt()
	} else {
		b.c.interrupt()
	}
}

// cutOff is how the client broke off its body; nil where it did not.
func (b *countingReader) cutOff() error {
	if b.interrupted.Load() || wrongLineEnds(b.err) {
		return nil
	}
	return b.err
}

// unread reports whether the client may still be sending, or waiting for an answer in the middle of
// its body.
func (b *countingReader) unread() bool { return !b.ended && b.cutOff() == nil }

package proxy

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/upstream"
)

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
		// go-smtp starts this in a goroutine that may come late: after the transaction was taken
		// back, even in the middle of the next one. Then its pipe is closed, which the first read
		// tells.
		first, err := firstRead(r)
		if err != nil || m == nil {
			return replyTo("DATA", nil, errCutOff)
		}
		body.r = io.MultiReader(first, r)
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
		s.srv.stats.seconds.Observe(time.Since(s.msg.started).Seconds())
		known, _ := meaningOf(reply)
		answered := passThrough(reply)
		s.finish(resultOf(reply.Code), answered, known.cure, nil)
		return answered
	}
	switch {
	case wrongLineEnds(body.err):
		err = body.err
	case body.err != nil:
		err = fmt.Errorf("%w: %w", errCutOff, body.err)
	}
	return s.fail("DATA", err)
}

// settle waits until go-smtp's goroutine for the last BDAT body has handed over its result: it does
// so over a channel that the next body replaces, and then closes its end of the pipe. When this is
// called it may be between the two.
func (s *session) settle() {
	for tries := 0; s.chunk != nil && tries < 20_000; tries++ {
		if _, err := s.chunk.Read(nil); err == io.ErrClosedPipe || !pause(s.srv.hard, 50*time.Microsecond) {
			break
		}
	}
	s.chunk = nil
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
	r     io.Reader
	n     int64
	ended bool  // with io.EOF
	err   error // otherwise
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	switch err {
	case nil:
	case io.EOF:
		c.ended = true
	default:
		c.err = err
	}
	return n, err
}

// unread reports whether the client may still be sending, or waiting for an answer in the middle of
// its body.
func (c *countingReader) unread() bool { return !c.ended && (c.err == nil || wrongLineEnds(c.err)) }

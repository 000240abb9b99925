package upstream

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// headRoom is room for the command before a chunk: both go in one write.
	headRoom = 32
	// chunkSize is how much of a body is held at a time, whatever its size: with
	// the command before it four TLS records, and no fifth with a few bytes.
	chunkSize = 4*record - headRoom
	// dataSize is how much is read at a time for DATA; with its dots doubled it
	// still fits into a chunk.
	dataSize = chunkSize / 2
)

type buffer [headRoom + chunkSize]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// Data sends the body and gives the provider's final reply. It must follow an
// accepted recipient.
//
// The bytes go up as they are, by BDAT where the provider offers CHUNKING. By
// DATA a final CRLF is added where there is none, and a body that could end
// early is refused with [ErrBareLineEnd].
//
// An error of body, other than io.EOF, comes back wrapped; nothing is delivered
// then. After any error or refusal body may be left half read. When ctx ends,
// the connection is cut; a Read of body that waits is the caller's to end.
func (t *Transaction) Data(ctx context.Context, body io.Reader) (Reply, error) {
	switch {
	case t.err != nil:
		return Reply{}, t.err
	case t.verdict != nil:
		return *t.verdict, nil
	case len(t.accepted) == 0:
		return Reply{}, errNoRecipient
	}
	t.err = errOver
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	src := &source{r: body}
	if err := t.c.quiet(); err != nil { // the last moment to be told
		lost := t.c.fail(ctx, "DATA", err)
		if !t.dead(ctx) {
			return Reply{}, lost
		}
		if err := t.revive(ctx); err != nil {
			return Reply{}, err
		}
	}
	send := t.data
	if t.c.x.chunking {
		send = t.bdat
	}
	reply, err := send(ctx, src, buf)
	if err == nil && reply.ok() {
		t.c.pending = false
	}
	return reply, err
}

// data sends the body behind DATA, in lines.
func (t *Transaction) data(ctx context.Context, src *source, buf *buffer) (Reply, error) {
	out := buffers.Get().(*buffer)
	defer buffers.Put(out)
	var s stuffer
	next := func() ([]byte, error) {
		n, err := src.fill(buf[:dataSize])
		if err != nil {
			return nil, err
		}
		return s.encode(out[:0], buf[:n], src.ended)
	}
	p, err := next() // before DATA: many a bad body is found out while there is nothing to break off
	if err != nil {
		return Reply{}, err
	}
	r, err := t.askData(ctx)
	if err != nil || r.Code != 354 {
		return r, err
	}
	c := t.c
	defer c.guard(ctx)()
	for {
		if err := c.send(ctx, p); err != nil {
			return t.lastWords(ctx, "DATA", err, 0)
		}
		if src.ended {
			return t.finalReply(ctx)
		}
		if p, err = next(); err != nil {
			c.broken = true
			return Reply{}, err
		}
	}
}

// askData says DATA; the body may follow a 354 and nothing else.
func (t *Transaction) askData(ctx context.Context) (Reply, error) {
	ask := func() (Reply, error) {
		defer t.c.guard(ctx)()
		r, err := t.c.command(ctx, "DATA", "DATA")
		if err == nil && r.Code != 354 && r.Code < 400 {
			err = t.c.fail(ctx, "DATA", &ReplyError{r})
		}
		return r, err
	}
	r, err := ask()
	if t.dead(ctx) {
		if err = t.revive(ctx); err == nil {
			r, err = ask()
		}
	}
	return r, err
}

// finalReply waits for the answer to the whole message.
func (t *Transaction) finalReply(ctx context.Context) (Reply, error) {
	r, err := t.c.read(ctx, t.p.cfg.FinalTimeout)
	if err == nil && !r.answer() {
		err = &ReplyError{r}
	}
	if err != nil {
		return Reply{}, t.lost(ctx, "the final reply", err, true, true)
	}
	return r, nil
}

// lastWords looks whether a server that hung up in the middle of a body has said
// why: that is its answer then. unanswered chunks may have been answered before.
func (t *Transaction) lastWords(ctx context.Context, op string, err error, unanswered int) (Reply, error) {
	lost := t.lost(ctx, op, err, true, false)
	if ctx.Err() != nil || t.c.raw.SetDeadline(time.Now().Add(goodbye)) != nil {
		return Reply{}, lost
	}
	for range unanswered + 1 {
		r, err := readReply(t.c.r)
		if err != nil {
			break
		}
		if r.Code >= 400 {
			return r, nil
		}
	}
	return Reply{}, lost
}

func (t *Transaction) lost(ctx context.Context, op string, err error, started, unknown bool) error {
	var e *ConnError
	if !errors.As(err, &e) {
		e = t.c.fail(ctx, op, err)
	}
	e.Started, e.Unknown = started, unknown
	return e
}

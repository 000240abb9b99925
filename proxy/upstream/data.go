package upstream

import (
	"context"
	"errors"
	"io"
	"sync"
)

const (
	// headRoom is room for the command before a chunk: both go in one write.
	headRoom = 32
	// chunkSize is how much of a body is held at a time, whatever its size: with the command before it
	// four TLS records, and no fifth with a few bytes.
	chunkSize = 4*record - headRoom
	// dataSize is how much is encoded at a time for DATA; with its dots doubled it still fits into a
	// chunk.
	dataSize = chunkSize / 2
)

type buffer [headRoom + chunkSize]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// Data sends the body and gives the provider's final reply. It must follow an accepted recipient.
//
// The bytes go up as they are, by BDAT where the provider offers CHUNKING and knows it. By DATA a final
// CRLF is added where there is none, and a body that could end early is refused with [ErrBareLineEnd].
//
// A provider that refuses the message before the end of the body is not sent the rest; its reply is
// returned at once where body is an [Interrupter], else when the next Read returns.
//
// An error of body, other than io.EOF, comes back wrapped; nothing is delivered then. After any error
// or refusal body may be left half read. When ctx ends, the connection is cut; the caller must end a
// Read of body that waits.
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
	n, err := src.fill(buf[headRoom:])
	if err != nil {
		return Reply{}, err
	}
	if err := t.awake(ctx); err != nil {
		return Reply{}, err
	}
	reply, err := t.body(ctx, src, buf, n)
	if err == nil && reply.ok() {
		t.c.pending = false
	}
	return reply, err
}

// awake makes sure that the connection is alive, as far as that can be told without asking: this is
// the last moment at which another can take its place.
func (t *Transaction) awake(ctx context.Context) error {
	err := t.c.quiet()
	if err == nil {
		return nil
	}
	lost := t.c.fail(ctx, "DATA", err)
	if !t.dead(ctx) {
		return lost
	}
	return t.revive(ctx, "it was dead")
}

// body sends the body, of which buf holds the first n bytes.
func (t *Transaction) body(ctx context.Context, src *source, buf *buffer, n int) (Reply, error) {
	if !t.c.x.chunking || t.p.noChunking.Load() {
		return t.data(ctx, src, buf, n)
	}
	first := !t.c.chunked
	reply, err := t.bdat(ctx, src, buf, n)
	if err != nil || !first || t.c.chunked || !unknownCommand(reply) {
		return reply, err
	}
	// Nothing of the message was taken, and the first chunk is all that was read of it. What the server
	// took the chunk's bytes for is not known, so that the connection is of no use any more.
	t.p.noChunking.Store(true)
	t.p.cfg.Log.WarnContext(ctx, "the server offers CHUNKING but does not know BDAT; Waxseal sends by DATA from now on", "server", t.c.addr, "reply", reply.String())
	if err := t.revive(ctx, "BDAT is unknown on it"); err != nil {
		return Reply{}, err
	}
	return t.data(ctx, src, buf, n)
}

// data sends the body in lines, after DATA. buf holds the first n bytes of it.
func (t *Transaction) data(ctx context.Context, src *source, buf *buffer, n int) (Reply, error) {
	out := buffers.Get().(*buffer)
	defer buffers.Put(out)
	var s stuffer
	left := buf[headRoom : headRoom+n]
	next := func() (p []byte, last bool, err error) {
		if len(left) == 0 && !src.ended {
			n, err := src.fill(buf[headRoom:])
			if err != nil {
				return nil, false, err
			}
			left = buf[headRoom : headRoom+n]
		}
		piece := left[:min(len(left), dataSize)]
		left = left[len(piece):]
		last = src.ended && len(left) == 0
		p, err = s.encode(out[:0], piece, last)
		return p, last, err
	}
	p, last, err := next() // before DATA: many bad bodies are found out while there is nothing to break off
	if err != nil {
		return Reply{}, err
	}
	r, err := t.askData(ctx)
	if err != nil || r.Code != 354 {
		return r, err
	}
	c := t.c
	defer c.guard(ctx)()
	if c.unasked() {
		return t.lastWords(ctx, "DATA", errOutOfTurn, nil)
	}
	if last {
		if err := c.write(ctx, p, min(c.timeout, blockTimeout)); err != nil {
			return t.lastWords(ctx, "DATA", err, nil)
		}
		return t.finalReply(ctx)
	}
	l := c.listen(src.r)
	defer l.end()
	for {
		due := int64(0)
		if last {
			due = 1
		}
		if err := l.write(ctx, p, due, last); err != nil {
			return t.lastWords(ctx, "DATA", err, l)
		}
		if last {
			return t.final(ctx, l.next(ctx, t.p.cfg.FinalTimeout))
		}
		if p, last, err = next(); err != nil {
			return t.brokenOff(ctx, "DATA", err, l)
		}
		if h, ok := l.poll(); ok {
			return t.early(ctx, "DATA", h)
		}
	}
}

// askData says DATA; the body may follow a 354 and nothing else.
func (t *Transaction) askData(ctx context.Context) (Reply, error) {
	ask := func() (Reply, error) {
		defer t.c.guard(ctx)()
		r, err := t.c.command(ctx, "DATA", "DATA", min(t.c.timeout, dataTimeout))
		if err == nil && r.Code != 354 && !r.refusal() {
			err = t.c.fail(ctx, "DATA", &ReplyError{r})
		}
		return r, err
	}
	r, err := ask()
	if t.dead(ctx) {
		if err = t.revive(ctx, "it was dead"); err == nil {
			r, err = ask()
		}
	}
	return r, err
}

// finalReply waits for the answer to the whole message.
func (t *Transaction) finalReply(ctx context.Context) (Reply, error) {
	r, err := t.c.read(ctx, t.p.cfg.FinalTimeout)
	return t.final(ctx, heard{Reply: r, err: err})
}

// final judges the answer to the whole message.
func (t *Transaction) final(ctx context.Context, h heard) (Reply, error) {
	if h.err == nil && !h.answer() {
		h.err = &ReplyError{h.Reply}
	}
	if h.err != nil {
		return Reply{}, t.lost(ctx, "the final reply", h.err, true, true)
	}
	return h.Reply, nil
}

// early judges what ended a body before its end.
func (t *Transaction) early(ctx context.Context, op string, h heard) (Reply, error) {
	if h.err == nil && h.refusal() {
		return h.Reply, nil
	}
	if h.err == nil {
		h.err = &ReplyError{h.Reply}
	}
	return Reply{}, t.lost(ctx, op, h.err, true, false)
}

// brokenOff ends a body that cannot be read further, unless the provider has ended it before.
func (t *Transaction) brokenOff(ctx context.Context, op string, err error, l *listener) (Reply, error) {
	for {
		h, ok := l.poll()
		if !ok {
			t.c.broken = true
			return Reply{}, err
		}
		if h.err != nil || !h.ok() {
			return t.early(ctx, op, h)
		}
	}
}

// lastWords ends a body that cannot be sent further. A refusal that the server has said meanwhile is
// its answer then. l is nil where nothing was listening.
func (t *Transaction) lastWords(ctx context.Context, op string, err error, l *listener) (Reply, error) {
	if l == nil {
		l = t.c.listen(nil)
		defer l.end()
	}
	if ctx.Err() == nil {
		h := l.lastWords()
		if h.err == nil && h.refusal() {
			return h.Reply, nil
		}
		if h.err != nil && err == errBrokeOff {
			err = h.err
		}
	}
	return Reply{}, t.lost(ctx, op, err, true, false)
}

func (t *Transaction) lost(ctx context.Context, op string, err error, started, unknown bool) error {
	var e *ConnError
	if !errors.As(err, &e) {
		e = t.c.fail(ctx, op, err)
	}
	e.Started, e.Unknown = started, unknown
	return e
}

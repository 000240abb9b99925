package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/pace"
)

const (
	// headRoom is room for the command before a chunk: both go in one write.
	headRoom = 32
	// chunkSize is how much of a body is held at a time, whatever its size: with the command before it
	// four TLS records, and no fifth with a few bytes.
	chunkSize = 4*dial.Record - headRoom
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
	if t.opts.UTF8 && !t.c.x.utf8 && !asciiHeader(buf[headRoom:headRoom+n]) {
		return Reply{}, ErrUTF8
	}
	reply, err := t.body(ctx, src, buf, n)
	if err == nil && reply.ok() {
		t.c.pending = false
	}
	if lost, _ := errors.AsType[*ConnError](err); err == nil && reply.ok() || lost != nil && lost.Unknown {
		t.ended = pace.Sent
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
	return t.revive(ctx, wasDead)
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
	if err := t.revive(ctx, knowsNoBDAT); err != nil {
		return Reply{}, err
	}
	return t.data(ctx, src, buf, n)
}

// asciiHeader reports whether the header of a message, as far as it is in p, is ASCII. A header that is
// not needs SMTPUTF8 all the way (RFC 6531 section 3.6).
func asciiHeader(p []byte) bool {
	if end := bytes.Index(p, []byte("\r\n\r\n")); end >= 0 {
		p = p[:end]
	}
	return bytes.IndexFunc(p, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

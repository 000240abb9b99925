package upstream

import "context"

// dataSize is how much is encoded at a time for DATA; with its dots doubled it still fits into a chunk.
const dataSize = chunkSize / 2

// lineBody is a body on its way by DATA, in pieces.
type lineBody struct {
	src      *source
	buf, out *buffer
	left     []byte // of buf, not encoded yet
	stuffer  stuffer
}

// next gives the next piece, good until the one after it, and reports whether it is the last.
func (b *lineBody) next() (p []byte, last bool, err error) {
	if len(b.left) == 0 && !b.src.ended {
		n, err := b.src.fill(b.buf[headRoom:])
		if err != nil {
			return nil, false, err
		}
		b.left = b.buf[headRoom : headRoom+n]
	}
	piece := b.left[:min(len(b.left), dataSize)]
	b.left = b.left[len(piece):]
	last = b.src.ended && len(b.left) == 0
	p, err = b.stuffer.encode(b.out[:0], piece, last)
	return p, last, err
}

// data sends the body by DATA. buf holds the first n bytes of it.
func (t *Transaction) data(ctx context.Context, src *source, buf *buffer, n int) (Reply, error) {
	out := buffers.Get().(*buffer)
	defer buffers.Put(out)
	body := lineBody{src: src, buf: buf, out: out, left: buf[headRoom : headRoom+n]}
	p, last, err := body.next() // before DATA: many bad bodies are found out while there is nothing to break off
	if err != nil {
		return Reply{}, err
	}
	r, err := t.askData(ctx)
	if err != nil || r.Code != 354 {
		return r, err
	}
	c := t.c
	defer c.guard(ctx)()
	switch {
	case c.unasked():
		return t.lastWords(ctx, "DATA", ErrOutOfTurn, nil)
	case !last:
		return t.dataInPieces(ctx, &body, p)
	}
	if err := c.write(ctx, p, min(c.timeout, blockTimeout)); err != nil {
		return t.lastWords(ctx, "DATA", err, nil)
	}
	return t.finalReply(ctx)
}

// dataInPieces sends a body of which p is the first piece.
func (t *Transaction) dataInPieces(ctx context.Context, body *lineBody, p []byte) (Reply, error) {
	l := t.c.listen(body.src.r)
	defer l.end()
	for {
		if err := l.write(ctx, p, 0, false); err != nil {
			return t.lastWords(ctx, "DATA", err, l)
		}
		var last bool
		var err error
		if p, last, err = body.next(); err != nil {
			return t.brokenOff(ctx, "DATA", err, l)
		}
		if h, ok := l.poll(); ok {
			return t.early(ctx, "DATA", h)
		}
		if last {
			break
		}
	}
	if err := l.write(ctx, p, 1, true); err != nil {
		return t.lastWords(ctx, "DATA", err, l)
	}
	return t.final(ctx, l.next(ctx, t.p.cfg.FinalTimeout))
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
		if err = t.revive(ctx, wasDead); err == nil {
			r, err = ask()
		}
	}
	return r, err
}

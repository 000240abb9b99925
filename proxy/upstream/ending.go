package upstream

import (
	"context"
	"errors"
)

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

package upstream

import (
	"context"
	"strconv"
)

// window is how many chunks may be unanswered: with 64 KiB each enough for 50 MB/s at a round trip of
// 20 ms.
const window = 16

// bdat sends the body in chunks (RFC 3030), some of which are unanswered at any time. buf holds the
// first n bytes.
//
// The server's answer to the first chunk on a connection is waited for: filters between us and the
// server pass the word CHUNKING in the reply to EHLO without knowing BDAT, and as long as no more was
// read of the body, it can be sent another way.
func (t *Transaction) bdat(ctx context.Context, src *source, buf *buffer, n int) (Reply, error) {
	c := t.c
	defer c.guard(ctx)()
	if c.unasked() {
		return Reply{}, t.lost(ctx, "BDAT", c.outOfTurn(), false, false)
	}
	if src.ended {
		if err := c.write(ctx, buf.chunk(n, true), min(c.timeout, blockTimeout)); err != nil {
			return t.lastWords(ctx, "BDAT", err, nil)
		}
		r, err := t.finalReply(ctx)
		c.chunked = c.chunked || err == nil && r.ok()
		return r, err
	}
	l := c.listen(src.r)
	defer l.end()
	for unanswered := 0; ; {
		if err := l.write(ctx, buf.chunk(n, src.ended), 1, src.ended); err != nil {
			return t.lastWords(ctx, "BDAT", err, l)
		}
		unanswered++
		if src.ended {
			return t.answers(ctx, l, unanswered)
		}
		if h := t.hearChunks(ctx, l, &unanswered, src.slow); h.err != nil || !h.ok() {
			return t.early(ctx, "BDAT", h)
		}
		var err error
		if n, err = src.fill(buf[headRoom:]); err != nil {
			return t.brokenOff(ctx, "BDAT", err, l)
		}
	}
}

// hearChunks takes the answers that have come to chunks, and waits for those that the next chunk may
// not be sent without. Where the client is the slow one, all are waited for: nothing is gained by not
// listening.
func (t *Transaction) hearChunks(ctx context.Context, l *listener, unanswered *int, all bool) heard {
	most := window
	if !t.c.x.pipelining || !t.c.chunked {
		most = 1
	}
	for {
		h, ok := l.poll()
		if !ok && (*unanswered >= most || all && *unanswered > 0) {
			h, ok = l.next(ctx, t.c.timeout), true
		}
		if !ok {
			return heard{Reply: Reply{Code: 250}}
		}
		if h.err != nil || !h.ok() {
			return h
		}
		t.c.chunked = true
		*unanswered--
	}
}

// answers waits for the answers to the last chunks, of which the last is the answer to the message.
func (t *Transaction) answers(ctx context.Context, l *listener, unanswered int) (Reply, error) {
	for ; unanswered > 1; unanswered-- {
		h := l.next(ctx, t.c.timeout)
		if h.err == nil && h.refusal() {
			t.c.broken = true // more replies may follow
			return h.Reply, nil
		}
		if h.err != nil || !h.ok() {
			return t.final(ctx, h)
		}
	}
	return t.final(ctx, l.next(ctx, t.p.cfg.FinalTimeout))
}

// chunk is the command and the n bytes after it, in one piece.
func (b *buffer) chunk(n int, last bool) []byte {
	var room [headRoom]byte
	head := strconv.AppendInt(append(room[:0], "BDAT "...), int64(n), 10)
	if last {
		head = append(head, " LAST"...)
	}
	head = append(head, '\r', '\n')
	start := headRoom - len(head)
	copy(b[start:], head)
	return b[start : headRoom+n]
}

// unknownCommand reports whether a reply refuses the command itself, and not what it carried: 500 to
// 504 (RFC 5321 section 4.2.4), unless the enhanced code, X.5.Y for commands, says otherwise.
func unknownCommand(r Reply) bool {
	enhanced, ok := r.Enhanced()
	return r.Code >= 500 && r.Code <= 504 && (!ok || enhanced[1] == 5)
}

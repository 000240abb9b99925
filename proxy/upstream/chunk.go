package upstream

import (
	"context"
	"strconv"
)

// window is how many chunks may be unanswered: with 64 KiB each enough for
// 50 MB/s at a round trip of 20 ms.
const window = 16

// bdat sends the body in chunks, of which some are unanswered at any time.
func (t *Transaction) bdat(ctx context.Context, src *source, buf *buffer) (Reply, error) {
	c := t.c
	defer c.guard(ctx)()
	unanswered, most := 0, window
	if !c.x.pipelining {
		most = 1
	}
	for started := false; !src.ended; started = true {
		n, err := src.fill(buf[headRoom:])
		if err != nil {
			c.broken = c.broken || started
			return Reply{}, err
		}
		if unanswered == 0 && c.r.Buffered() > 0 {
			return Reply{}, t.lost(ctx, "BDAT", errOutOfTurn, started, false)
		}
		if err := c.write(ctx, buf.chunk(n, src.ended)); err != nil {
			return t.lastWords(ctx, "BDAT", err, unanswered)
		}
		unanswered++
		// Where the client is the slow one nothing is gained by not listening.
		for !src.ended && unanswered > 0 && (unanswered >= most || src.slow || c.r.Buffered() > 0) {
			if r, err := t.chunkReply(ctx, false); err != nil || !r.ok() {
				return r, err
			}
			unanswered--
		}
	}
	for ; unanswered > 1; unanswered-- {
		if r, err := t.chunkReply(ctx, true); err != nil || !r.ok() {
			return r, err
		}
	}
	return t.finalReply(ctx)
}

// chunk is the command and the n bytes behind it, in one piece.
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

// chunkReply reads the reply to a chunk that is not the last. A refusal ends the
// message; more replies may follow it, so the connection ends too.
func (t *Transaction) chunkReply(ctx context.Context, allSent bool) (Reply, error) {
	r, err := t.c.read(ctx, t.c.timeout)
	if err == nil && !r.answer() {
		err = &ReplyError{r}
	}
	if err != nil {
		return Reply{}, t.lost(ctx, "BDAT", err, true, allSent)
	}
	if !r.ok() {
		t.c.broken = true
	}
	return r, nil
}

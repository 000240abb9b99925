package upstream

import (
	"context"
	"time"
)

const (
	// The replies to one flight of commands must fit any receive window: otherwise both ends could
	// block in writing (RFC 2920 section 3.1).
	flightCommands = 100
	flightBytes    = 16 << 10
)

// exchange sends the lines, in as few flights as the server's extensions allow, and gives the reply
// to each. No more replies come after a 421: it answers the remaining lines too. first is the
// patience with the first reply.
func (c *conn) exchange(ctx context.Context, op string, first time.Duration, lines []string) ([]Reply, error) {
	replies := make([]Reply, 0, len(lines))
	began := time.Now()
	for len(replies) < len(lines) {
		flight, n := c.flight(lines[len(replies):])
		if err := c.send(ctx, flight); err != nil {
			return nil, c.fail(ctx, op, err)
		}
		for range n {
			r, err := c.read(ctx, first)
			if err == nil && !r.answer() {
				err = &ReplyError{r}
			}
			if err != nil {
				return nil, c.fail(ctx, op, err)
			}
			if len(replies) == 0 {
				c.lag = c.used.Sub(began)
			}
			first = c.timeout
			replies = append(replies, r)
			switch {
			case !c.broken, len(replies) == len(lines):
			case r.Code == 421:
				return repeat(r, replies, len(lines)), nil
			default: // the connection broke in the middle of a refusal of this line alone
				return nil, c.fail(ctx, op, &ReplyError{r})
			}
		}
	}
	return replies, nil
}

// flight is what can be sent of the lines without waiting, and how many lines that is.
func (c *conn) flight(lines []string) (flight []byte, n int) {
	for n < len(lines) && (n == 0 || c.x.pipelining && n < flightCommands && len(flight) < flightBytes) {
		flight = append(append(flight, lines[n]...), '\r', '\n')
		n++
	}
	return flight, n
}

// repeat fills replies up to n with r.
func repeat(r Reply, replies []Reply, n int) []Reply {
	for len(replies) < n {
		replies = append(replies, r)
	}
	return replies
}

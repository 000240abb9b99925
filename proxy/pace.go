package proxy

import (
	"fmt"
	"time"
)

const (
	// messageGrace is how long a message may take however slowly it comes; behind
	// it, minPace bytes a second on average must have come. Both are far below what
	// honest programs do over the slowest networks: they are there so that nobody
	// holds a connection for ever by dripping into it.
	messageGrace = time.Hour
	minPace      = 1 << 10

	// lastWords is how long a client may take to read the last reply.
	lastWords = 2 * time.Second
)

// pace is how fast a client talks. Silence alone does not tell: a byte now and
// then breaks it.
type pace struct {
	opened time.Time // the connection
	line   time.Time // the command under way was first waited for
	began  time.Time // the message under way
	bytes  int64     // of it, commands included
}

// message begins to count a message.
func (p *pace) message() { p.began, p.bytes = time.Now(), 0 }

// deadline is when the client must have said more: one idle timeout from now
// (RFC 5321 section 4.5.3.2.7), for a whole command as for any byte of a body,
// and one for everything that comes before a login.
func (c *conn) deadline(now time.Time) time.Time {
	end := now.Add(c.srv.idleTimeout)
	sooner := func(t time.Time) {
		if t.Before(end) {
			end = t
		}
	}
	if !c.authed {
		sooner(c.pace.opened.Add(c.srv.idleTimeout))
	}
	body := c.body != nil || c.chunk > 0
	if !body {
		sooner(c.pace.line.Add(c.srv.idleTimeout))
	}
	if body || c.busy.Load() {
		sooner(c.messageEnd())
	}
	return end
}

// messageEnd is when the message under way has been too slow.
func (c *conn) messageEnd() time.Time {
	return c.pace.began.Add(messageGrace + time.Duration(c.pace.bytes/minPace)*time.Second)
}

// overdue says why the client's time is over.
func (c *conn) overdue(now time.Time) string {
	switch {
	case !c.authed && !now.Before(c.pace.opened.Add(c.srv.idleTimeout)):
		return fmt.Sprintf("Nobody has logged in within %v", c.srv.idleTimeout)
	case (c.busy.Load() || c.body != nil || c.chunk > 0) && !now.Before(c.messageEnd()):
		return fmt.Sprintf("This message comes too slowly, at less than %d bytes a second", minPace)
	}
	return fmt.Sprintf("Nothing heard for %v", c.srv.idleTimeout)
}

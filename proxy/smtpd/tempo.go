package smtpd

import (
	"fmt"
	"time"
)

const (
	// messageGrace is how long a message may take however slowly it comes; after that, minPace bytes
	// a second on average must have come. Both are far below what honest programs do over the slowest
	// networks: they keep a client from holding a connection for ever by dripping into it.
	messageGrace = time.Hour
	minPace      = 1 << 10

	// lingerBytes is how much of what a client sends is read and thrown away while it has the time to
	// read its last reply.
	lingerBytes = 1 << 20

	// A body that was refused is read on, since most clients look for an answer only at its end. A
	// client that falls silent is told after refusedQuiet, one that goes on sending after
	// refusedTold; after refusedEnd the connection is closed.
	refusedQuiet = time.Second
	refusedTold  = 5 * time.Second
	refusedEnd   = 30 * time.Second

	// wrongEnd is how long a client may be silent after what looks like an end with the wrong line
	// ends, before it is told so.
	wrongEnd = 5 * time.Second
)

// tempo is how fast a client sends. Silence alone does not tell: a byte now and then breaks it.
type tempo struct {
	line  time.Time // when the command in progress was first waited for
	began time.Time // when the message in progress began
	bytes int64     // of it, commands included
}

// message begins to count a message.
func (p *tempo) message() { p.began, p.bytes = time.Now(), 0 }

// deadline is when the client must have sent more: one idle timeout from now (RFC 5321 section
// 4.5.3.2.7), for a whole command as for any byte of a body, and one for everything that comes
// before a login.
func (c *conn) deadline(now time.Time) time.Time {
	end := now.Add(c.srv.hall.IdleTimeout)
	sooner := func(t time.Time) {
		if t.Before(end) {
			end = t
		}
	}
	if !c.authed {
		sooner(c.client.Opened.Add(c.srv.hall.IdleTimeout))
	}
	if c.inBody() || c.busy.Load() {
		sooner(c.messageEnd())
	}
	switch {
	case !c.inBody():
		sooner(c.tempo.line.Add(c.srv.hall.IdleTimeout))
		if c.halfCR {
			sooner(now.Add(wrongEnd))
		}
	case c.told:
		sooner(c.refusedAt.Add(refusedEnd))
	case !c.refusedAt.IsZero():
		sooner(now.Add(refusedQuiet))
		sooner(c.refusedAt.Add(refusedTold))
	case c.body != nil && c.body.misended():
		sooner(now.Add(wrongEnd))
	}
	return end
}

// messageEnd is when the message in progress has been too slow.
func (c *conn) messageEnd() time.Time {
	return c.tempo.began.Add(messageGrace + time.Duration(c.tempo.bytes/minPace)*time.Second)
}

// overdue is the last line for a client whose time is over.
func (c *conn) overdue(now time.Time) string {
	switch {
	case !c.authed && !now.Before(c.client.Opened.Add(c.srv.hall.IdleTimeout)):
		return fmt.Sprintf("421 4.4.2 No login within %v; closing", c.srv.hall.IdleTimeout)
	case (c.busy.Load() || c.inBody()) && !now.Before(c.messageEnd()):
		return fmt.Sprintf("421 4.4.2 This message comes too slowly, at less than %d bytes a second; closing", minPace)
	case !c.inBody() && c.halfCR:
		return "500 5.5.2 Line ends must be CRLF, not CR alone; closing"
	}
	return fmt.Sprintf("421 4.4.2 Nothing received for %v; closing", c.srv.hall.IdleTimeout)
}

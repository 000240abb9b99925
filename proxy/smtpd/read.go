package smtpd

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/tcp"
)

// fill reads from the network: replies go out first, then the client has the idle timeout to send
// something. It is where a connection learns that it has to end.
func (c *conn) fill(p []byte) (int, error) {
	if len(c.left) > 0 {
		n := copy(p, c.left)
		if c.left = c.left[n:]; len(c.left) == 0 {
			c.left = nil
		}
		return n, nil
	}
	if err := c.flush(); err != nil {
		return 0, c.broke(err)
	}
	for !c.gone {
		if n, err := c.receive(p); n > 0 || err != nil {
			return n, c.broke(err)
		}
	}
	return 0, io.EOF
}

// broke is the error of a connection that broke off. Where the client had not said anything, it is an end
// like any other: a balancer that looks whether the port is open may close with a reset, every few seconds.
func (c *conn) broke(err error) error {
	if err != nil && !c.heard && !c.secure && !errors.Is(err, io.EOF) {
		c.srv.hall.Log.Debug("disconnected before the first command", "session", c.client.ID, "err", err)
		return io.EOF
	}
	return err
}

// receive waits for the client once; it returns nothing where it has to be called again.
func (c *conn) receive(p []byte) (int, error) {
	deadline := c.deadline(time.Now())
	if err := c.tcp.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	// After the deadline is set, so that a nudge between the two is not lost.
	if line := c.farewell(); line != "" {
		c.goodbye(line)
		return 0, nil
	}
	inBody := c.inBody()
	if inBody && c.refusedAt.IsZero() {
		switch {
		case c.refusal.Load() != nil:
			c.refusedAt = time.Now()
			return 0, nil
		case c.interrupted.Load():
			return 0, errInterrupted
		}
	}
	if inBody && c.pieces { // most bodies come whole, or faster than they are read
		tcp.QuickAck(c.tcp)
	}
	n, err := c.Conn.Read(p)
	c.pieces = inBody && n < len(p)
	switch {
	case n > 0:
		c.tempo.bytes += int64(n)
		if !c.heard && c.tellTLS(p[:n]) {
			return 0, io.EOF
		}
		return n, nil
	case !errors.Is(err, os.ErrDeadlineExceeded):
		c.gone = err != nil && !errors.Is(err, io.EOF) // what cannot be read cannot be answered
		return 0, err
	case time.Now().Before(deadline):
		return 0, nil // nudged
	}
	return 0, c.expired()
}

// expired acts on a deadline that has passed.
func (c *conn) expired() error {
	switch {
	case c.inBody() && c.told:
		c.srv.hall.Log.Info("closing: a message goes on though it was refused", "session", c.client.ID, "client", c.client.Addr.String())
		c.gone = true
	case c.inBody() && !c.refusedAt.IsZero():
		c.tell()
	case c.body != nil && c.body.misended():
		return errLineEnds
	default:
		c.goodbye(c.overdue(time.Now()))
	}
	return nil
}

// farewell is the last line of a connection that has to end for a reason outside it; "" where there
// is none.
func (c *conn) farewell() string {
	switch {
	case c.client.Evicted():
		return makingRoom
	case c.srv.hall.Stopping() && !c.busy.Load():
		return shuttingDown
	}
	return ""
}

// nudge makes a waiting Read look whether the connection has to end, and a Write that waits for a
// client that does not read give up soon, unless a message is in progress. It leaves alone who may
// stay: a deadline would break a TLS handshake.
func (c *conn) nudge() {
	if c.farewell() == "" {
		return
	}
	if !c.busy.Load() {
		c.tcp.SetWriteDeadline(time.Now().Add(mailbox.LastWords))
	}
	c.tcp.SetReadDeadline(time.Unix(1, 0))
}

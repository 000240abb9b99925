package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/tcp"
)

const (
	// maxCommand bounds a command line, in bytes. RFC 5321 section 4.5.3.1.4
	// asks for 512 and more where an extension needs it; nothing honest comes
	// near this.
	maxCommand = 64<<10 + 2
	// keptSize is how large a buffer for replies an idle connection may keep, in
	// bytes. It has none for reading: what comes goes into go-smtp's own.
	keptSize = 1 << 10
)

// conn is one mail program's connection, as go-smtp sees it: always clear text,
// TLS being done here, and one command line a Read. That is what lets Waxseal
//
//   - give the provider's words for MAIL and RCPT, where go-smtp has its own,
//   - decode the body of DATA itself, byte for byte (see dotReader),
//   - tell a body cut off in mid-chunk from a whole one,
//   - renew deadlines as bytes flow, and say why it closes a connection.
//
// Everything but kill belongs to the one goroutine that go-smtp serves the
// connection with.
type conn struct {
	net.Conn          // TCP, or TLS over it
	tcp      net.Conn // what kill and nudge reach
	id       string
	secure   bool // TLS is up
	srv      *Server

	left []byte // read too far, beyond a line or a body; comes before anything new

	seen   int        // bytes of a line that has not ended
	chunk  int64      // bytes still to come of a BDAT chunk
	body   *dotReader // the body of DATA, until go-smtp has seen its end
	pieces bool       // the last read was of a body, and all that had come
	tail   string     // what go-smtp must still read to see that end
	inAuth bool       // the last reply was 334: the next line is no command

	out    []byte   // replies not sent yet
	part   []byte   // a reply line that has not ended
	answer []string // instead of go-smtp's next line: the provider's

	authed  bool            // AUTH has succeeded
	begun   <-chan struct{} // closed when the session has begun to read a BDAT body
	started bool            // go-smtp has taken a chunk: what comes next waits for begun
	busy    atomic.Bool     // a message is under way, from MAIL to its last reply
	last    bool            // the reply just given is the last one
	gone    bool            // the last word is said; nothing more is read or written
	closed  sync.Once
	pace    pace
}

const shuttingDown = "421 4.3.2 Waxseal is shutting down; try again when it runs"

func newConn(raw net.Conn, srv *Server, id string, implicitTLS bool) *conn {
	raw = tcp.Direct(raw)
	c := &conn{Conn: raw, tcp: raw, id: id, srv: srv, pace: pace{opened: time.Now()}}
	if implicitTLS {
		// The handshake happens with the first byte written, in the
		// connection's own goroutine and under its deadlines.
		c.Conn, c.secure = tls.Server(raw, srv.tls), true
	}
	return c
}

// Read gives go-smtp what it may see next: the rest of a chunk, the end of a
// body, or one command line.
func (c *conn) Read(p []byte) (int, error) {
	if c.started {
		// go-smtp reads a BDAT body in a goroutine. One that came late would find
		// another message, or none, or no session any more.
		c.started = false
		select {
		case <-c.begun:
		case <-c.srv.hard.Done():
		}
	}
	if c.last {
		c.flush()
		c.gone = true
	}
	switch {
	case c.gone:
		return 0, io.EOF // whatever stands behind the last reply, or behind QUIT
	case len(p) == 0:
		return 0, nil
	case c.chunk > 0:
		return c.readChunk(p)
	case c.body != nil:
		// go-smtp now looks for the end of a body it has not seen.
		if err := c.body.drain(); err != nil {
			return 0, err
		}
		c.body, c.tail = nil, ".\r\n"
		fallthrough
	case c.tail != "":
		n := copy(p, c.tail)
		c.tail = c.tail[n:]
		return n, nil
	}
	return c.readLine(p)
}

// readChunk reads bytes of a BDAT chunk and no further. An end in mid-chunk is
// never io.EOF: go-smtp would take the chunk for complete.
func (c *conn) readChunk(p []byte) (int, error) {
	n, err := c.fill(p[:min(int64(len(p)), c.chunk)])
	c.chunk -= int64(n)
	if n > 0 {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

func (c *conn) readLine(p []byte) (int, error) {
	if c.seen == 0 {
		c.pace.line = time.Now()
	}
	for {
		n, whole, err := c.line(p)
		if err != nil {
			return 0, err // a command without its end is no command
		}
		first := c.seen == 0
		c.seen += n
		verb, arg := "", ""
		if first && !c.inAuth {
			verb, arg = command(p[:n])
		}
		// The commands that change how the next bytes are read must be seen whole.
		if c.seen > maxCommand || verb != "" && !whole {
			c.goodbye("500 5.5.6 Line too long")
			return 0, io.EOF
		}
		if whole {
			c.seen = 0
			n = trimEnd(p, n)
		}
		switch verb {
		case "STARTTLS":
			if err := c.startTLS(arg); err != nil {
				return 0, err
			}
			continue
		case "BDAT":
			if c.chunk = chunkSize(arg); !c.busy.Load() {
				c.pace.message() // it is refused, and read all the same
			}
		}
		return n, nil
	}
}

// trimEnd takes the blanks off a line's end and says how long it is then. RFC 5321
// section 4.1.1 wants them borne, and go-smtp takes "DATA " for no command.
func trimEnd(p []byte, n int) int {
	end := "\n"
	if bytes.HasSuffix(p[:n], []byte("\r\n")) {
		end = "\r\n"
	}
	kept := len(bytes.TrimRight(p[:n-len(end)], " \t"))
	return kept + copy(p[kept:n], end)
}

// line reads to the end of one line, or as much of it as p holds.
func (c *conn) line(p []byte) (n int, whole bool, err error) {
	for n < len(p) {
		m, err := c.lineFrom(p[n:])
		if err != nil {
			return 0, false, err
		}
		if n += m; m > 0 && p[n-1] == '\n' {
			return n, true, nil
		}
	}
	return n, false, nil
}

// lineFrom is one read that goes no further than a line's end: what came with it
// is left for later.
func (c *conn) lineFrom(p []byte) (n int, err error) {
	if len(c.left) > 0 {
		n = len(c.left)
		if i := bytes.IndexByte(c.left, '\n'); i >= 0 {
			n = i + 1
		}
		return c.fill(p[:min(n, len(p))])
	}
	if n, err = c.fill(p); err != nil {
		return 0, err
	}
	if i := bytes.IndexByte(p[:n], '\n'); i >= 0 && i+1 < n {
		c.left = bytes.Clone(p[i+1 : n])
		n = i + 1
	}
	return n, nil
}

// command splits a line as go-smtp does, so that both agree on what it is.
func command(line []byte) (verb, arg string) {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) >= 8 && strings.EqualFold(string(line[:8]), "STARTTLS") {
		return "STARTTLS", strings.TrimSpace(string(line[8:]))
	}
	if len(line) < 6 || line[4] != ' ' || !strings.EqualFold(string(line[:4]), "BDAT") {
		return "", ""
	}
	return "BDAT", string(line[5:])
}

// chunkSize is how many bytes follow a BDAT command by go-smtp's reading of it:
// none where it answers 501.
func chunkSize(arg string) int64 {
	args := strings.Fields(arg)
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && !strings.EqualFold(args[1], "LAST") {
		return 0
	}
	size, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return 0
	}
	return int64(size)
}

// data is the decoded body that follows the DATA command go-smtp just answered.
func (c *conn) data() *dotReader {
	c.body = newDotReader(c)
	if !c.busy.Load() {
		c.pace.message()
	}
	return c.body
}

// fill reads from the network: replies go out first, then the client has the
// idle timeout to say something. It is where a connection learns that the
// server stops.
func (c *conn) fill(p []byte) (int, error) {
	if len(c.left) > 0 {
		n := copy(p, c.left)
		if c.left = c.left[n:]; len(c.left) == 0 {
			c.left = nil
		}
		return n, nil
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	for !c.gone {
		deadline := c.deadline(time.Now())
		if err := c.tcp.SetReadDeadline(deadline); err != nil {
			return 0, err
		}
		// After the deadline is set, so that a nudge between the two is not lost.
		if c.srv.stopping.Load() && !c.busy.Load() {
			c.goodbye(shuttingDown)
			break
		}
		inBody := c.body != nil || c.chunk > 0
		if inBody && c.pieces { // most bodies come whole, or faster than they are read
			tcp.QuickAck(c.tcp)
		}
		n, err := c.Conn.Read(p)
		c.pieces = inBody && n < len(p)
		switch {
		case n > 0:
			c.pace.bytes += int64(n)
			return n, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case time.Now().Before(deadline):
			continue // nudged
		}
		c.goodbye("421 4.4.2 " + c.overdue(time.Now()) + "; closing")
	}
	return 0, io.EOF
}

// nudge makes a waiting Read look whether the server stops, and a Write that
// waits for a client that does not read give up soon, unless a message is under
// way.
func (c *conn) nudge() {
	if !c.busy.Load() {
		c.tcp.SetWriteDeadline(time.Now().Add(lastWords))
	}
	c.tcp.SetReadDeadline(time.Unix(1, 0))
}

// startTLS upgrades the connection (RFC 3207). Whatever the client sent in clear
// text behind the command is thrown away, so that nothing injected before the
// handshake is taken for a command after it.
func (c *conn) startTLS(arg string) error {
	switch {
	case c.secure:
		c.out = append(c.out, "503 5.5.1 TLS is already active\r\n"...)
		return nil
	case arg != "":
		c.out = append(c.out, "501 5.5.4 STARTTLS takes no parameter\r\n"...)
		return nil
	case c.authed:
		// RFC 3207 section 4.2: what was known before TLS must not be used after.
		c.out = append(c.out, "503 5.5.1 STARTTLS comes before AUTH\r\n"...)
		return nil
	}
	c.out = append(c.out, "220 2.0.0 Ready to start TLS\r\n"...)
	if err := c.flush(); err != nil {
		return err
	}
	c.left = nil
	ctx, cancel := context.WithTimeout(c.srv.hard, c.srv.idleTimeout)
	defer cancel()
	t := tls.Server(c.tcp, c.srv.tls)
	c.tcp.SetDeadline(time.Now().Add(c.srv.idleTimeout))
	if c.srv.stopping.Load() {
		c.nudge()
	}
	if err := t.HandshakeContext(ctx); err != nil {
		c.srv.log.Info("TLS handshake failed", "session", c.id, "client", c.tcp.RemoteAddr().String(), "err", err)
		c.gone = true
		return io.EOF
	}
	c.Conn, c.secure = t, true
	return nil
}

// Close sends what is left to say and ends the connection.
func (c *conn) Close() error {
	var err error
	c.closed.Do(func() {
		if !c.gone && len(c.out) > 0 {
			c.tcp.SetWriteDeadline(time.Now().Add(lastWords))
			c.Conn.Write(c.out)
		}
		c.gone = true
		err = c.Conn.Close()
		c.srv.forget(c)
	})
	return err
}

// kill ends the connection from another goroutine, without a word.
func (c *conn) kill() { c.tcp.Close() }

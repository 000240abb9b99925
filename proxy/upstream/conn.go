package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/foreign"
)

const (
	// probeAfter is how long a connection is taken to be alive after its last use.
	probeAfter = time.Second
	// probeFor is how long a probe waits for bad news that has already arrived.
	probeFor = time.Millisecond
	// goodbye bounds the last exchange with a server that is given up.
	goodbye = 2 * time.Second
)

// longAgo is the deadline that ends all reading and writing at once.
var longAgo = time.Unix(1, 0)

// conn is one connection to the provider. It belongs to one goroutine at a time: to that of its
// lease, or to the pool's while it is warm. While a long body goes up, a [listener] reads it.
type conn struct {
	raw  net.Conn // TCP
	rw   net.Conn // raw, or TLS over it
	r    *bufio.Reader
	addr string
	x    extensions
	gen  uint64 // the pool's, when it was made

	token     string          // the one it logs in with
	secret    *foreign.Secret // the same, once it was said
	challenge string          // the text of the last 334 reply

	used    time.Time     // when the last reply came, or since when it is warm
	timeout time.Duration // for each reply
	until   time.Time     // the deadline that within has set
	lag     time.Duration // how long the first reply to the last exchange took
	served  bool          // it has carried an envelope
	chunked bool          // the server has accepted a chunk on it
	reused  bool          // this lease found it warm, so that another may take its place if it is dead
	pending bool          // a transaction is open on the server: RSET comes before the next MAIL
	broken  bool          // it can only be closed
}

func newConn(raw net.Conn, addr string, timeout time.Duration) *conn {
	c := &conn{raw: raw, addr: addr, timeout: timeout}
	c.use(raw)
	return c
}

// use makes rw what is read and written, and forgets anything read before.
func (c *conn) use(rw net.Conn) {
	c.rw = rw
	c.r = bufio.NewReaderSize(rw, 2<<10)
}

// guard lets ctx cut the connection's reads and writes short until the returned function is called.
// A connection that was cut is broken.
func (c *conn) guard(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	unhook := context.AfterFunc(ctx, func() { c.raw.SetDeadline(longAgo) })
	return func() {
		if !unhook() {
			c.broken = true
		}
	}
}

// within renews the deadline for the next read or write. It must look at ctx after setting it, since
// guard may have set its own just before.
func (c *conn) within(ctx context.Context, d time.Duration) error {
	now := time.Now()
	// A deadline set a moment ago will do: several are due for each message.
	if want := now.Add(d); c.until.After(want) || want.Sub(c.until) > d/64 {
		if err := c.raw.SetDeadline(want); err != nil {
			return err
		}
		c.until = want
	}
	return ctx.Err()
}

// write writes all of p, which may take d.
func (c *conn) write(ctx context.Context, p []byte, d time.Duration) error {
	if err := c.within(ctx, d); err != nil {
		return err
	}
	_, err := c.rw.Write(p)
	return inTime(err, d)
}

// send starts a flight. The server must not have said anything unasked: it would be taken for the
// answer to what is asked now.
func (c *conn) send(ctx context.Context, p []byte) error {
	if c.unasked() {
		return c.outOfTurn()
	}
	return c.write(ctx, p, c.timeout)
}

// unasked reports whether something has arrived since the last reply. Blank lines do not count.
func (c *conn) unasked() bool {
	for n := c.r.Buffered(); n > 0; n-- {
		if b, err := c.r.ReadByte(); err != nil || b != '\r' && b != '\n' {
			c.r.UnreadByte()
			return true
		}
	}
	return false
}

// outOfTurn is the error about what was said unasked. A refusal, such as the 421 of a server that
// closes the connection, is quoted.
func (c *conn) outOfTurn() error {
	c.raw.SetDeadline(time.Now().Add(goodbye))
	c.until = time.Time{}
	if r, _ := c.readReply(nil); r.refusal() {
		return fmt.Errorf("%w: %w", ErrOutOfTurn, &ReplyError{r})
	}
	return ErrOutOfTurn
}

// read waits for one reply. A refusal that breaks off is one all the same.
func (c *conn) read(ctx context.Context, d time.Duration) (Reply, error) {
	if c.r.Buffered() == 0 {
		if err := c.within(ctx, d); err != nil {
			return Reply{}, err
		}
	}
	r, err := c.readReply(c.silent)
	if err != nil && !r.refusal() {
		return Reply{}, inTime(err, d)
	}
	c.used = time.Now()
	if err != nil || r.Code == 421 { // closing: RFC 5321 section 3.8
		c.broken = true
	}
	return r, nil
}

// restOfReply is how long the rest of a reply is waited for that looks complete and need not be.
const restOfReply = time.Second

// silent waits for more of a reply, and reports that there is none. What would come later would be
// taken for the answer to the next command.
func (c *conn) silent() bool {
	c.raw.SetReadDeadline(time.Now().Add(restOfReply))
	_, err := c.r.Peek(1)
	c.raw.SetReadDeadline(c.until)
	return err != nil
}

// rest adds to a reply that is the only one due what has come with it under the same code: some
// servers write each line of a reply as if it were the last.
func (c *conn) rest(r Reply) (Reply, error) {
	for code := []byte(strconv.Itoa(r.Code)); ; {
		next, _ := c.r.Peek(min(c.r.Buffered(), len(code)))
		if !bytes.Equal(next, code) {
			return r, nil
		}
		more, err := c.readReply(nil)
		if err != nil {
			return r, err
		}
		r.Code, r.Lines = more.Code, append(r.Lines, more.Lines...)
		if c.secret != nil { // it may be in all lines together
			r.Lines = withoutToken(r.Lines, c.token)
		}
	}
}

// inTime names the time that was waited where err is the end of it.
func inTime(err error, d time.Duration) error {
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return dial.TimeoutError(d)
	}
	return err
}

// command sends one line and waits for its reply.
func (c *conn) command(ctx context.Context, op, line string, d time.Duration) (Reply, error) {
	err := c.send(ctx, append([]byte(line), '\r', '\n'))
	var r Reply
	if err == nil {
		r, err = c.read(ctx, d)
	}
	if err != nil {
		return Reply{}, c.fail(ctx, op, err)
	}
	return r, nil
}

// ask sends a line that no other follows before its reply.
func (c *conn) ask(ctx context.Context, op, line string) (Reply, error) {
	r, err := c.command(ctx, op, line, c.timeout)
	if err != nil {
		return r, err
	}
	if r, err = c.rest(r); err != nil {
		return r, c.fail(ctx, op, err)
	}
	return r, nil
}

// fail marks the connection broken and says what was tried.
func (c *conn) fail(ctx context.Context, op string, err error) *ConnError {
	c.broken = true
	if cause := context.Cause(ctx); cause != nil {
		err = cause // and not the deadline that it set
	}
	return &ConnError{Op: op, Addr: c.addr, Err: err}
}

// quiet looks whether the server has hung up or said good-bye meanwhile, without asking it. Only a
// connection that was idle for a while is looked at closely.
func (c *conn) quiet() error {
	switch {
	case c.unasked():
		return c.outOfTurn()
	case time.Since(c.used) < probeAfter:
		return nil
	}
	c.until = time.Time{}
	if err := c.raw.SetDeadline(time.Now().Add(probeFor)); err != nil {
		return err
	}
	switch _, err := c.r.Peek(1); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case err != nil:
		return err
	case c.unasked():
		return c.outOfTurn()
	}
	return nil
}

// close hangs up without a word, in any state: a body that was not ended stays so.
func (c *conn) close() { c.raw.Close() }

// quit says good-bye to a server that waits for the next command.
func (c *conn) quit() {
	defer c.close()
	c.raw.SetDeadline(time.Now().Add(goodbye))
	if _, err := c.rw.Write([]byte("QUIT\r\n")); err == nil {
		readReply(c.r, nil)
		c.rw.Close()
	}
}

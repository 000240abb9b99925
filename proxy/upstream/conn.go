package upstream

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"time"
)

const (
	// probeAfter: a connection that was used this short a time ago is taken for alive.
	probeAfter = time.Second
	// probeFor is how long a probe waits for bad news that has arrived already.
	probeFor = time.Millisecond
	// goodbye bounds what is said to and heard from a server we are done with.
	goodbye = 2 * time.Second
	// A flight of commands is small enough that their replies fit any receive
	// window: else both ends could block in writing (RFC 2920 section 3.1).
	flightCommands = 100
	flightBytes    = 16 << 10
)

// longAgo is the deadline that ends all reading and writing at once.
var longAgo = time.Unix(1, 0)

// conn is one connection to the provider. It belongs to one goroutine at a time:
// to a lease's, or to the pool's while it is warm.
type conn struct {
	raw   net.Conn // TCP
	rw    net.Conn // raw, or TLS over it
	r     *bufio.Reader
	addr  string
	x     extensions
	token string // the one it logged in with
	gen   uint64 // the pool's, when it was made

	used    time.Time     // the last reply, or since when it is warm
	timeout time.Duration // for each reply and write
	until   time.Time     // the deadline that within has set
	reused  bool          // this lease found it warm
	pending bool          // a transaction is open up there: RSET comes before the next MAIL
	broken  bool          // fit for nothing but close
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

// guard lets ctx cut the connection's reads and writes short until the function
// it returns is called. A connection that was cut is broken.
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

// within renews the deadline of what comes next. It must look at ctx behind
// setting it, since guard may have set its own just before.
func (c *conn) within(ctx context.Context, d time.Duration) error {
	now := time.Now()
	// One set a moment ago will do: several are due for each message.
	if want := now.Add(d); c.until.After(want) || want.Sub(c.until) > d/64 {
		if err := c.raw.SetDeadline(want); err != nil {
			return err
		}
		c.until = want
	}
	return ctx.Err()
}

// write writes all of p.
func (c *conn) write(ctx context.Context, p []byte) error {
	if err := c.within(ctx, c.timeout); err != nil {
		return err
	}
	_, err := c.rw.Write(p)
	return err
}

// send starts a flight. Nothing may have come from the server that was not asked
// for: it would be taken for the answer to what is asked now.
func (c *conn) send(ctx context.Context, p []byte) error {
	if c.r.Buffered() > 0 {
		return errOutOfTurn
	}
	return c.write(ctx, p)
}

// read waits for one reply.
func (c *conn) read(ctx context.Context, d time.Duration) (Reply, error) {
	if c.r.Buffered() == 0 {
		if err := c.within(ctx, d); err != nil {
			return Reply{}, err
		}
	}
	r, err := readReply(c.r)
	if err != nil {
		return Reply{}, err
	}
	c.used = time.Now()
	if r.Code == 421 { // closing: RFC 5321 section 3.8
		c.broken = true
	}
	return r, nil
}

// command sends one line and waits for its reply.
func (c *conn) command(ctx context.Context, op, line string) (Reply, error) {
	err := c.send(ctx, append([]byte(line), '\r', '\n'))
	var r Reply
	if err == nil {
		r, err = c.read(ctx, c.timeout)
	}
	if err != nil {
		return Reply{}, c.fail(ctx, op, err)
	}
	return r, nil
}

// exchange sends the lines, in as few flights as the server's extensions allow,
// and gives the reply to each. Behind a 421 no more will come: it answers the
// lines that are left, too. first is the patience with the first reply.
func (c *conn) exchange(ctx context.Context, op string, first time.Duration, lines []string) ([]Reply, error) {
	replies := make([]Reply, 0, len(lines))
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
			first = c.timeout
			replies = append(replies, r)
			if c.broken {
				return repeat(r, replies, len(lines)), nil
			}
		}
	}
	return replies, nil
}

// flight is what can be sent of the lines without waiting, and how many they are.
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

// fail marks the connection broken and dresses the error.
func (c *conn) fail(ctx context.Context, op string, err error) *ConnError {
	c.broken = true
	if cause := context.Cause(ctx); cause != nil {
		err = cause // not the deadline that it set
	}
	return &ConnError{Op: op, Addr: c.addr, Err: err}
}

// quiet looks whether the server has hung up or said good-bye meanwhile, without
// asking it. Only a connection that was idle for a while is looked at closely.
func (c *conn) quiet() error {
	switch {
	case c.r.Buffered() > 0:
		return errOutOfTurn
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
	case err == nil:
		return errOutOfTurn
	default:
		return err
	}
}

// close hangs up without a word, in whatever state: a body that was not ended
// stays so.
func (c *conn) close() { c.raw.Close() }

// quit says good-bye to a server that waits for the next command.
func (c *conn) quit() {
	defer c.close()
	c.raw.SetDeadline(time.Now().Add(goodbye))
	if _, err := c.rw.Write([]byte("QUIT\r\n")); err == nil {
		readReply(c.r)
		c.rw.Close()
	}
}

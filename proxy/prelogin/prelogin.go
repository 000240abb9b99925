// Package prelogin is a mail program's connection until it has logged in, for the protocols
// that are passed through afterwards (IMAP and POP). It reads lines within limits and within
// one time for everything, does TLS, reads SASL responses, and tells a program that speaks
// another protocol. It knows no command and no reply:
//
//	c := prelogin.New(prelogin.Config{TCP: tcp, TLS: certificate, Timeout: time.Minute, MaxLine: 64 << 10})
//	if err := c.Begin(); err != nil { … }
//	c.Say("+OK ready")
//	line, err := c.ReadLine()   // sends what was said, then waits
//	…
//	conn, rest := c.Release()   // logged in: the connection, and what the program sent ahead
//
// A Conn belongs to one goroutine; only Nudge may be called by others.
package prelogin

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"
)

// Why nothing more is read. Others are those of the network, and io.EOF.
var (
	ErrSilent = errors.New("no login in time")
	ErrLong   = errors.New("the line is too long")
	ErrNUL    = errors.New("the line holds a NUL")
	ErrTLS    = errors.New("TLS on a port that begins without it")
	ErrHTTP   = errors.New("HTTP on a port for mail programs")
	ErrSSH    = errors.New("SSH on a port for mail programs")
)

const (
	// lastWords is how long a program may take to read the last reply, and lingerBytes how much
	// of what it sends meanwhile is read and thrown away.
	lastWords   = 2 * time.Second
	lingerBytes = 1 << 20

	readSize = 512 // most logins are shorter
)

// Config is what a Conn starts with.
type Config struct {
	TCP      net.Conn
	TLS      *tls.Config   // of this machine's certificate
	Implicit bool          // TLS comes before the greeting
	Timeout  time.Duration // from the connection's begin to the login
	MaxLine  int           // in bytes, the line end included

	// Ended is asked before each wait, and after Nudge: the error says why the connection has to
	// end, and ReadLine returns it. nil asks nobody.
	Ended func() error
}

// Conn is a connection before its login.
type Conn struct {
	cfg    Config
	conn   net.Conn // TCP, or TLS over it
	opened time.Time
	secure bool
	heard  bool   // something has come in clear text
	buf    []byte // the memory of in
	in     []byte // received and not used
	out    []byte // said and not sent
}

// New makes a Conn. The time for the login begins now.
func New(cfg Config) *Conn {
	if cfg.Ended == nil {
		cfg.Ended = func() error { return nil }
	}
	return &Conn{cfg: cfg, conn: cfg.TCP, opened: time.Now()}
}

// Secure reports whether TLS is up.
func (c *Conn) Secure() bool { return c.secure }

// Say queues a reply line, which must hold no line end. It goes out when the program is next
// waited for.
func (c *Conn) Say(line string) { c.out = append(append(c.out, line...), "\r\n"...) }

// Flush sends what was said. A program that does not read has as long as for its login, or two
// seconds when the connection has to end.
func (c *Conn) Flush() error {
	if len(c.out) == 0 {
		return nil
	}
	c.cfg.TCP.SetWriteDeadline(c.end())
	if c.cfg.Ended() != nil { // after the deadline is set, so that a nudge between the two is not lost
		c.cfg.TCP.SetWriteDeadline(time.Now().Add(lastWords))
	}
	_, err := c.conn.Write(c.out)
	c.out = nil
	return err
}

// ReadLine is the next line without its end, CRLF or LF. It is valid until the next call.
func (c *Conn) ReadLine() ([]byte, error) {
	for from := 0; ; {
		if i := bytes.IndexByte(c.in[from:], '\n'); i >= 0 {
			if from+i >= c.cfg.MaxLine {
				return nil, ErrLong
			}
			line := c.in[:from+i]
			c.in = c.in[from+i+1:]
			return judge(bytes.TrimSuffix(line, []byte("\r")))
		}
		from = len(c.in)
		if from >= c.cfg.MaxLine {
			return nil, ErrLong
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// ReadN is the next n bytes, such as an IMAP literal. It is valid until the next call. The
// caller bounds n.
func (c *Conn) ReadN(n int) ([]byte, error) {
	for len(c.in) < n {
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	b := c.in[:n]
	c.in = c.in[n:]
	return b, nil
}

// Goodbye sends a last line and gives the program two seconds to read it. Closing while input is
// left unread would throw the line away (RFC 1122 section 4.2.2.13).
func (c *Conn) Goodbye(line string) {
	c.Say(line)
	c.cfg.TCP.SetDeadline(time.Now().Add(lastWords))
	_, err := c.conn.Write(c.out)
	if c.out = nil; err != nil {
		return
	}
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	buf := make([]byte, 4<<10)
	for n := 0; n < lingerBytes && c.cfg.Ended() == nil; {
		m, err := c.cfg.TCP.Read(buf)
		if err != nil {
			return
		}
		n += m
	}
}

// Release ends the time before the login. It returns the connection, without deadlines, and what
// the program has sent ahead.
func (c *Conn) Release() (conn net.Conn, rest []byte) {
	c.cfg.TCP.SetDeadline(time.Time{})
	rest = bytes.Clone(c.in)
	c.buf, c.in = nil, nil
	return c.conn, rest
}

// Nudge makes a wait look whether the connection has to end.
func (c *Conn) Nudge() {
	c.cfg.TCP.SetWriteDeadline(time.Now().Add(lastWords))
	c.cfg.TCP.SetReadDeadline(time.Unix(1, 0))
}

// fill sends what was said and adds to c.in what comes next.
func (c *Conn) fill() error {
	if err := c.Flush(); err != nil {
		return err
	}
	if len(c.in) == cap(c.in) || cap(c.in)-len(c.in) < readSize/4 {
		c.grow()
	}
	n, err := c.wait(c.in[len(c.in):cap(c.in)], c.end())
	c.in = c.in[:len(c.in)+n]
	if n > 0 && !c.secure && !c.heard {
		c.heard = true
		if IsTLS(c.in) {
			return ErrTLS
		}
	}
	return err
}

// wait reads once. It gives up at the deadline with ErrSilent, and earlier where the connection
// has to end.
func (c *Conn) wait(p []byte, deadline time.Time) (int, error) {
	for {
		c.cfg.TCP.SetReadDeadline(deadline)
		if err := c.cfg.Ended(); err != nil { // after the deadline is set, as in Flush
			return 0, err
		}
		n, err := c.conn.Read(p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case !time.Now().Before(deadline):
			return 0, ErrSilent
		}
	}
}

// grow makes room for more input.
func (c *Conn) grow() {
	if size := max(readSize, 2*len(c.in)); size > cap(c.buf) {
		c.buf = make([]byte, size)
	}
	c.in = c.buf[:copy(c.buf, c.in)]
}

// end is when the program must have logged in.
func (c *Conn) end() time.Time { return c.opened.Add(c.cfg.Timeout) }

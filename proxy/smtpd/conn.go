package smtpd

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/tcp"
)

// keptSize is how large a buffer for replies an idle connection may keep, in bytes. It has none for
// reading: input goes straight into go-smtp's own.
const keptSize = 1 << 10

// conn is one mail program's connection as go-smtp sees it: always clear text, since TLS is done
// here, and one command line for each Read. That lets Waxseal
//
//   - judge commands before go-smtp does, and answer those it would answer wrongly (see command),
//   - give the provider's words for MAIL and RCPT, where go-smtp has its own,
//   - decode the body of DATA itself, byte for byte (see dotReader),
//   - tell a body that was cut off in the middle of a chunk from a whole one,
//   - renew deadlines as bytes flow, and say why it closes a connection.
//
// Everything but nudge, interrupt and refuse belongs to the one goroutine that go-smtp serves the
// connection with.
type conn struct {
	net.Conn // TCP, or TLS over it
	client   *mailbox.Client
	tcp      net.Conn // what nudge reaches
	srv      *Server

	secure bool // TLS is up
	begun  bool // how the client begins is known; see begin
	heard  bool // it has sent something in clear text

	left []byte // input beyond the end of a line or a body; it comes before anything new

	grouped bool   // the reply to this command may wait for others
	arg     string // what follows MAIL or RCPT, as it came
	greeted bool   // EHLO or HELO was given, since TLS where there is TLS
	unknown int    // commands that were not recognized, since the last message
	halfCR  bool   // the line that has not ended yet holds a CR

	chunk  int64      // bytes still to come of a BDAT chunk
	body   *dotReader // the body of DATA, until go-smtp has seen its end
	pieces bool       // the last read was of a body, and took all that had come
	tail   string     // what go-smtp must still read to see that end
	inAuth bool       // the last reply was 334: the next line is not a command

	out    []byte   // replies that have not been sent
	urgent bool     // one of them must not wait for the commands after its own
	part   []byte   // a reply line that has not ended
	answer []string // the provider's reply, in place of go-smtp's next line

	authed    bool            // AUTH has succeeded
	bodyBegun <-chan struct{} // closed when the session has begun to read a BDAT body
	started   bool            // go-smtp has taken a chunk: what comes next waits for bodyBegun
	busy      atomic.Bool     // a message is in progress, from MAIL to its last reply
	last      bool            // the reply just given is the last one
	gone      bool            // nothing more is read or written
	parting   string          // the last line of a connection that Waxseal ended
	closed    sync.Once
	tempo     tempo

	interrupted atomic.Bool                    // the read of a body is given up: it will be refused
	refusal     atomic.Pointer[smtp.SMTPError] // of a body that has not come to its end
	refusedAt   time.Time                      // when this goroutine noticed
	told        bool                           // the client has been told in the middle of the body
}

const (
	shuttingDown = "421 4.3.2 Waxseal is shutting down; try again later"
	makingRoom   = "421 4.3.2 Too many connections; closing one that has not logged in"
)

func newConn(client *mailbox.Client, srv *Server) *conn {
	c := &conn{client: client, tcp: tcp.Direct(client.TCP), srv: srv, urgent: true}
	c.Conn = c.tcp
	client.OnNudge(c.nudge)
	return c
}

// Read gives go-smtp what it may see next: the rest of a chunk, the end of a body, or one command
// line.
func (c *conn) Read(p []byte) (int, error) {
	if c.started {
		// go-smtp reads a BDAT body in a goroutine. One that came late would find another message,
		// no message or no session.
		c.started = false
		select {
		case <-c.bodyBegun:
		case <-c.srv.hall.Hard().Done():
		}
	}
	if c.last {
		c.flush()
		c.gone = true
	}
	switch {
	case c.gone:
		return 0, io.EOF // whatever follows the last reply, or QUIT
	case len(p) == 0:
		return 0, nil
	case c.client.Implicit && !c.begun:
		if err := c.begin(); err != nil {
			return 0, err
		}
	case c.chunk > 0:
		return c.readChunk(p)
	case c.body != nil:
		// go-smtp now looks for the end of a body that it has not seen.
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

// readChunk reads bytes of a BDAT chunk and no further. An end in the middle of a chunk is never
// io.EOF: go-smtp would take the chunk for complete.
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

// data is the decoded body that follows the DATA command go-smtp has just answered.
func (c *conn) data() *dotReader {
	c.body = newDotReader(c)
	if !c.busy.Load() {
		c.tempo.message()
	}
	if len(c.left) > 0 {
		c.flush() // the 354 does not wait for a body that came with the command
	}
	return c.body
}

// inBody reports whether what is read next belongs to a message's body.
func (c *conn) inBody() bool { return c.body != nil || c.chunk > 0 }

// Close sends the replies that are left and ends the connection.
func (c *conn) Close() error {
	var err error
	c.closed.Do(func() {
		if !c.gone && len(c.out) > 0 {
			c.tcp.SetWriteDeadline(time.Now().Add(mailbox.LastWords))
			c.Conn.Write(c.out)
		}
		c.gone = true
		err = c.Conn.Close()
		c.client.Leave()
	})
	return err
}

// RemoteAddr implements net.Conn. It is the mail program's address, which a balancer may have said.
func (c *conn) RemoteAddr() net.Addr { return peer{c.client.Addr, c.client.ID} }

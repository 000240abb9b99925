package providertest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// Protocol is what a client speaks.
type Protocol string

const (
	SMTP Protocol = "smtp"
	IMAP Protocol = "imap"
	POP  Protocol = "pop"
)

// door is one of the ways to connect to a server.
type door int

const (
	doorSTARTTLS door = iota // clear text at first; no login before STARTTLS
	doorOpen                 // no TLS, but logins: SMTPPlain and the like, or SMTPAddr with NoSTARTTLS
	doorTLS                  // TLS is active
)

// peer is a client's connection, whatever it speaks.
type peer struct {
	*wire
	p        *Provider
	protocol Protocol
	count    *traffic
	id       int
	door     door

	account   string
	mechanism string // of the login being answered
	failures  int    // refused logins
	mistakes  int    // other commands that were malformed or out of order
	message   int    // SMTP: MAIL commands so far; IMAP and POP: commands so far
	act       Action // what a hook wants for the current step, if it does not refuse it

	tcp    net.Conn // the connection below TLS
	ending *Ending  // what End has asked for; guarded by wire.mu
}

// speaker is one protocol's side of a peer.
type speaker interface {
	dialogue() error // runs the connection from start to end
	timeout()        // says that the client was silent for too long
}

// speaker returns the protocol's side of a new connection.
func (c *peer) speaker() speaker {
	switch c.protocol {
	case IMAP:
		return &imapSession{peer: c}
	case POP:
		return &popSession{peer: c}
	}
	return &session{peer: c}
}

// accept accepts connections until the provider is closed.
func (p *Provider) accept(l net.Listener, protocol Protocol, d door) {
	for {
		conn, err := l.Accept()
		if err != nil {
			// Running out of file descriptors is temporary; a closed listener is not.
			if errors.Is(err, net.ErrClosed) || !p.wait(context.Background(), 10*time.Millisecond) {
				return
			}
			continue
		}
		c := p.open(conn, protocol, d)
		if c == nil {
			conn.Close()
			return
		}
		go c.serve(c.speaker())
	}
}

// open registers a connection, so that Close finds it and waits for it. It returns nil if the
// provider is closed.
func (p *Provider) open(conn net.Conn, protocol Protocol, d door) *peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	if p.opts.Latency > 0 {
		conn = delay(conn, p.opts.Latency, p.done)
	}
	c := &peer{p: p, protocol: protocol, door: d, tcp: conn, count: p.count.of(protocol)}
	c.wire = newWire(conn, p.opts.IdleTimeout, &c.count.flights)
	p.nextConn++
	c.id = p.nextConn
	p.peers[c] = struct{}{}
	p.running.Add(1)
	c.count.connections.Add(1)
	c.count.active.Add(1)
	return c
}

// serve runs the dialogue and cleans up after it. It counts the connection out before closing it,
// so that a client that has seen the end no longer finds the connection in the counts.
func (c *peer) serve(s speaker) {
	defer c.p.running.Done()
	defer func() {
		c.leave()
		c.conn.Close()
		c.release()
	}()
	err := s.dialogue()
	if errors.Is(err, errInterrupted) {
		err = c.end()
	}
	if timedOut(err) {
		s.timeout()
		err = errEnd
	}
	if errors.Is(err, errEnd) {
		c.flush()
	}
	c.p.log.Debug("connection ended", "protocol", string(c.protocol), "conn", c.id, "account", c.account, "cause", err)
}

// leave undoes open and login.
func (c *peer) leave() {
	c.count.active.Add(-1)
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	delete(c.p.peers, c)
	if c.account != "" {
		c.p.accounts[user{c.protocol, fold(c.account)}].active--
	}
}

// abort closes the connection at once. Any goroutine may call it.
func (c *peer) abort() {
	if d, ok := c.tcp.(*delayed); ok {
		d.Conn.Close()
		return
	}
	c.tcp.Close()
}

// drop closes the connection without any reply, and without a TLS alert.
func (c *peer) drop() {
	c.out = c.out[:0]
	c.tcp.Close()
}

// hang sends nothing more and waits until the client leaves.
func (c *peer) hang() {
	c.out = c.out[:0]
	c.conn.SetReadDeadline(time.Time{})
	io.Copy(io.Discard, c.conn)
}

// startTLS starts TLS on the connection.
func (c *peer) startTLS() error {
	if err := c.flush(); err != nil {
		return err
	}
	cfg := c.p.tls
	if c.act.Expired {
		cfg = c.p.expired
	}
	conn := tls.Server(c.conn, cfg)
	limit := time.Now().Add(c.idle)
	if err := conn.SetDeadline(limit); err != nil {
		return err
	}
	if err := conn.Handshake(); err != nil {
		return err
	}
	c.replace(conn)
	c.door = doorTLS
	c.count.handshakes.Add(1)
	if conn.ConnectionState().DidResume {
		c.count.resumed.Add(1)
	}
	return nil
}

// linger ends the connection after a reply while the client may still be sending. If unread input
// were left, closing would make TCP discard the reply, so linger goes on reading for a while.
func (c *peer) linger() error {
	if err := c.flush(); err != nil {
		return err
	}
	if w, ok := c.conn.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
	c.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	io.Copy(io.Discard, c.conn)
	return errEnd
}

// user is an account as a client of one protocol.
type user struct {
	protocol Protocol
	account  string // folded
}

// usage counts the authenticated connections of one user.
type usage struct{ active, peak int }

// login counts the connection as one of account's, and reports whether the account may have another
// one. A limit of 0 is none.
func (c *peer) login(account string, limit int) bool {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	key := user{c.protocol, fold(account)}
	u := c.p.accounts[key]
	if u == nil {
		u = new(usage)
		c.p.accounts[key] = u
	}
	if limit > 0 && u.active >= limit {
		return false
	}
	u.active++
	u.peak = max(u.peak, u.active)
	c.account = account
	c.count.auths.Add(1)
	c.p.log.Debug("logged in", "protocol", string(c.protocol), "conn", c.id, "account", account, "mechanism", c.mechanism)
	return true
}

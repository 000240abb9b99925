package providertest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// session is one SMTP connection.
type session struct {
	wire
	p    *Provider
	id   int
	door door

	greeted   bool // EHLO or HELO was accepted
	extended  bool // it was EHLO
	account   string
	mechanism string // of the AUTH command being answered
	failures  int    // refused AUTH commands
	mistakes  int    // other commands that were malformed or out of order
	message   int    // MAIL commands so far

	tx  transaction
	act Action   // what a hook wants for the current step, if it does not refuse it
	tcp net.Conn // the connection below TLS
}

// accept accepts connections until the provider is closed.
func (p *Provider) accept(l net.Listener, d door) {
	for {
		c, err := l.Accept()
		if err != nil {
			// Running out of file descriptors is temporary; a closed listener is not.
			if errors.Is(err, net.ErrClosed) || !p.wait(context.Background(), 10*time.Millisecond) {
				return
			}
			continue
		}
		s := p.open(c, d)
		if s == nil {
			c.Close()
			return
		}
		go s.serve()
	}
}

// open registers a connection, so that Close finds it and waits for it. It returns nil if the
// provider is closed.
func (p *Provider) open(c net.Conn, d door) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	if p.opts.Latency > 0 {
		c = delay(c, p.opts.Latency, p.done)
	}
	s := &session{p: p, door: d, tcp: c}
	s.wire = newWire(c, p.opts.IdleTimeout, &p.count.flights)
	p.nextConn++
	s.id = p.nextConn
	p.sessions[s] = struct{}{}
	p.running.Add(1)
	p.count.connections.Add(1)
	p.count.active.Add(1)
	return s
}

// serve runs the dialogue and cleans up after it. It counts the connection out before closing it,
// so that a client that has seen the end no longer finds the connection in the counts.
func (s *session) serve() {
	defer s.p.running.Done()
	defer func() {
		s.leave()
		s.conn.Close()
		s.release()
	}()
	err := s.dialogue()
	if timedOut(err) {
		s.reply(421, "4.4.2 Timeout, closing connection")
		err = errEnd
	}
	if errors.Is(err, errEnd) {
		s.flush()
	}
	s.p.log.Debug("connection ended", "conn", s.id, "account", s.account, "cause", err)
}

// leave undoes open and login.
func (s *session) leave() {
	s.p.count.active.Add(-1)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	delete(s.p.sessions, s)
	if s.account != "" {
		s.p.accounts[fold(s.account)].active--
	}
}

// abort closes the connection at once. Any goroutine may call it.
func (s *session) abort() {
	if d, ok := s.tcp.(*delayed); ok {
		d.Conn.Close()
		return
	}
	s.tcp.Close()
}

// drop closes the connection without any reply, and without a TLS alert.
func (s *session) drop() {
	s.out = s.out[:0]
	s.tcp.Close()
}

// hang sends nothing more and waits until the client leaves.
func (s *session) hang() {
	s.out = s.out[:0]
	s.conn.SetReadDeadline(time.Time{})
	io.Copy(io.Discard, s.conn)
}

// dialogue runs a connection from start to end: TLS if it comes first, the greeting, the commands.
func (s *session) dialogue() error {
	if s.door == doorTLS {
		if err := s.handshake(); err != nil {
			return err
		}
	}
	if skip, err := s.step(StepGreeting, "", 0); err != nil {
		return err
	} else if !skip {
		s.reply(220, "mx.provider.test ESMTP ready - gsmtp")
	}
	for {
		if err := s.command(); err != nil {
			return err
		}
	}
}

// handshake starts TLS on the connection.
func (s *session) handshake() error {
	if skip, err := s.step(StepTLS, "", 0); err != nil {
		return err
	} else if skip {
		return errEnd // a reply in clear text instead of a handshake
	}
	if err := s.flush(); err != nil {
		return err
	}
	cfg := s.p.tls
	if s.act.Expired {
		cfg = s.p.expired
	}
	c := tls.Server(s.conn, cfg)
	limit := time.Now().Add(s.idle)
	if err := c.SetDeadline(limit); err != nil {
		return err
	}
	if err := c.Handshake(); err != nil {
		return err
	}
	s.conn, s.door = c, doorTLS
	s.p.count.handshakes.Add(1)
	if c.ConnectionState().DidResume {
		s.p.count.resumed.Add(1)
	}
	return nil
}

// reply adds a reply to those collected. If a hook wants another reply of the same class, that one
// is sent instead. 421 ends the connection (RFC 5321 section 3.8).
func (s *session) reply(code int, text string) error {
	if s.act.Code != 0 && s.act.Code/100 == code/100 {
		code, text = s.act.Code, s.act.Text
		s.act = Action{}
	}
	s.out = appendReply(s.out, code, text)
	if code == 421 {
		return errEnd
	}
	return nil
}

// mistake replies to a command that nobody should send. A client that sends too many is disconnected.
func (s *session) mistake(code int, text string) error {
	if s.mistakes++; s.mistakes > 20 {
		return s.reply(421, "4.7.0 Too many errors on this connection, closing")
	}
	return s.reply(code, text)
}

// login counts the connection as one of account's, and reports whether the account may have another
// one.
func (s *session) login(account string) bool {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	key := fold(account)
	u := s.p.accounts[key]
	if u == nil {
		u = new(usage)
		s.p.accounts[key] = u
	}
	if limit := s.p.opts.MaxConnections; limit > 0 && u.active >= limit {
		return false
	}
	u.active++
	u.peak = max(u.peak, u.active)
	s.account = account
	return true
}

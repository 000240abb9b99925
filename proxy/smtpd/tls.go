package smtpd

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/waxseal/waxseal/proxy/prelogin"
)

// tlsHello is how long a client of a TLS port may take before its first byte. TLS clients speak
// first; one that waits this long is waiting for a greeting.
const tlsHello = 5 * time.Second

// begin finds out how the client of a TLS port begins: with a handshake, which is done then, or in
// clear text. A program that wants STARTTLS, or knows nothing of TLS, waits for a greeting or sends
// EHLO. It gets its greeting, and is offered STARTTLS; without it there is no AUTH (see needsTLS).
func (c *conn) begin() error {
	c.begun, c.tempo.line = true, c.client.Opened
	first := make([]byte, 1)
	for n := 0; n == 0; {
		deadline := c.deadline(time.Now())
		if hello := c.client.Opened.Add(tlsHello); hello.Before(deadline) {
			deadline = hello
		}
		c.tcp.SetReadDeadline(deadline)
		if c.farewell() != "" { // nobody has been greeted who could be told
			c.gone = true
			return io.EOF
		}
		var err error
		n, err = c.tcp.Read(first)
		switch {
		case n > 0 || err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			c.gone = true
			return c.broke(err)
		case !time.Now().Before(deadline):
			c.noTLS("waits for a greeting")
			return nil
		}
	}
	if prelogin.MayBeTLS(first[0]) {
		return c.handshake(prelogin.Replay(c.tcp, first))
	}
	c.left = first
	c.noTLS("sent clear text")
	return nil
}

func (c *conn) noTLS(what string) {
	c.srv.hall.Log.Info("a mail program "+what+" on the port for TLS; it is offered STARTTLS", "session", c.client.ID, "client", c.client.Addr.String(),
		"port", c.tcp.LocalAddr().String(), "cure", "set its encryption to SSL/TLS, or let it use "+c.srv.OtherPort(false, "listen")+" without encryption")
}

// needsTLS reports whether passwords are only taken after TLS: where they could be read off a
// network, which is on anything but the loopback interface, and on ports for TLS.
func (c *conn) needsTLS() bool { return !c.secure && (c.client.Implicit || c.client.Public()) }

// offersTLS reports whether the reply to EHLO lists STARTTLS. On the loopback interface it is not
// listed, though it works: TLS adds nothing there, and many programs take it wherever they see it
// and then refuse a certificate that signs itself.
func (c *conn) offersTLS() bool {
	return c.needsTLS() || !c.secure && c.srv.hall.Config().OfferSTARTTLS
}

// startTLS upgrades the connection (RFC 3207). Whatever the client sent in clear text after the
// command is thrown away, so that nothing injected before the handshake is taken for a command
// after it; and what it said in EHLO is forgotten (section 4.2).
func (c *conn) startTLS() error {
	switch {
	case c.secure:
		c.say("503 5.5.1 TLS is already active")
		return nil
	case c.authed:
		c.say("503 5.5.1 STARTTLS must come before AUTH")
		return nil
	}
	c.say("220 2.0.0 Ready to start TLS")
	if err := c.flush(); err != nil {
		return err
	}
	c.left, c.greeted = nil, false
	return c.handshake(c.tcp)
}

func (c *conn) handshake(raw net.Conn) error {
	t := tls.Server(raw, c.client.TLS())
	c.tcp.SetDeadline(time.Now().Add(c.srv.hall.IdleTimeout))
	if c.farewell() != "" {
		c.nudge()
	}
	if err := t.Handshake(); err != nil {
		c.srv.hall.Log.Info("TLS handshake failed", "session", c.client.ID, "client", c.client.Addr.String(), "err", err, "cure", prelogin.Cure(&prelogin.HandshakeError{Err: err}))
		c.gone = true
		return io.EOF
	}
	c.Conn, c.secure = t, true
	return nil
}

package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"time"
)

// Write takes go-smtp's replies. They go out together when the client is next
// waited for, so that a pipelining client gets one answer to one flight.
func (c *conn) Write(p []byte) (int, error) {
	if c.gone {
		c.started = c.started || c.begun != nil && bytes.HasPrefix(p, cutOff)
		return len(p), nil
	}
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			c.part = append(c.part, rest...)
			break
		}
		c.part = append(c.part, rest[:i+1]...)
		c.reply(c.part)
		c.part, rest = c.part[:0], rest[i+1:]
	}
	return len(p), nil
}

// cutOff is how go-smtp's words for a body whose reading failed begin: our own
// errors have others.
var cutOff = []byte("554 5.0.0 Error: transaction failed: ")

// reply queues one line of a reply, in RFC 5321's words where go-smtp's differ, or
// the provider's.
func (c *conn) reply(line []byte) {
	c.inAuth = bytes.HasPrefix(line, []byte("334"))
	if c.answer != nil {
		for _, l := range c.answer {
			c.out = append(append(c.out, l...), "\r\n"...)
		}
		c.answer = nil
		return
	}
	if own := len("250 "); len(line) > own && bytes.HasPrefix(line[own:], []byte(verbatim)) {
		c.started = false
		c.out = append(append(c.out, line[:own]...), line[own+len(verbatim):]...)
		return
	}
	broken := bytes.HasPrefix(line, cutOff)
	if broken {
		line = []byte("451 4.4.2 The message was cut off; nothing was sent\r\n")
	}
	// go-smtp says back what it did not understand, and a bare CR in it would be a
	// line's end to some programs.
	for i := range line[:len(line)-1] {
		if line[i] < ' ' && (line[i] != '\r' || i != len(line)-2) || line[i] == 0x7f {
			line[i] = '?'
		}
	}
	c.started = c.begun != nil && (broken || string(line) == "250 2.0.0 Continue\r\n")
	if better, ok := rephrased[string(line)]; ok {
		c.out = append(c.out, better...)
		return
	}
	c.out = append(c.out, line...)
	if !c.secure && string(line) == "250-PIPELINING\r\n" {
		c.out = append(c.out, "250-STARTTLS\r\n"...)
	}
}

// rephrased are go-smtp's replies that would mislead: a passing code for a
// lasting fault, 502 "not implemented" for commands out of order, which RFC 5321
// section 4.2.4 answers with 503, 500 for parameters (555, section 4.1.1.11), or a
// last reply that is not 421.
var rephrased = map[string]string{
	"454 4.7.0 Invalid base64 data\r\n":              "501 5.5.2 This is not base64\r\n",
	"502 5.5.1 Please introduce yourself first.\r\n": "503 5.5.1 EHLO comes first\r\n",
	"502 5.5.1 Missing RCPT TO command.\r\n":         "503 5.5.1 No recipient has been accepted\r\n",
	"502 5.5.1 Missing MAIL FROM command.\r\n":       "503 5.5.1 MAIL comes first\r\n",
	"502 5.5.4 Missing parameter\r\n":                "501 5.5.4 AUTH needs a mechanism\r\n",
	"501 5.0.0 Negotiation cancelled\r\n":            "501 5.7.0 Authentication cancelled\r\n",
	"421 4.0.0 Internal server error\r\n":            "421 4.3.0 Waxseal met an error of its own; the log has it\r\n",
	"501 5.5.2 Bad command\r\n":                      "500 5.5.2 Command not recognized\r\n",
	"500 5.5.1 Too many errors. Quiting now\r\n":     "421 4.7.0 Too many commands that are none; closing\r\n",
	"500 5.5.4 Unknown MAIL FROM argument\r\n":       "555 5.5.4 A parameter of MAIL is not known here\r\n",
	"500 5.5.4 Unknown RCPT TO argument\r\n":         "555 5.5.4 RCPT takes one address; what is behind it is no parameter known here\r\n",
	"500 5.5.4 Malformed AUTH parameter value\r\n":   "501 5.5.4 Malformed AUTH parameter value\r\n",
	"500 5.5.4 Malformed AUTH parameter mailbox\r\n": "501 5.5.4 Malformed AUTH parameter mailbox\r\n",
	"502 5.5.1 HELP command not implemented\r\n":     "214 2.0.0 EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT\r\n",
}

func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	// Both directions: the first write of implicit TLS is a handshake.
	if err := c.tcp.SetDeadline(time.Now().Add(c.srv.idleTimeout)); err != nil {
		return err
	}
	// After the deadline is set, as in fill.
	if c.srv.stopping.Load() {
		if c.handshaking() {
			c.gone = true // nobody has been greeted who could be told
			return io.EOF
		}
		if !c.busy.Load() {
			c.tcp.SetWriteDeadline(time.Now().Add(lastWords))
		}
	}
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	if cap(c.out) > keptSize {
		c.out = nil // an idle connection keeps no large buffer
	}
	if err != nil {
		c.gone = true
		c.kill() // who does not read will not read a goodbye, or TLS's, either
	}
	return err
}

// handshaking reports whether the first write is still to bring TLS about.
func (c *conn) handshaking() bool {
	t, ok := c.Conn.(*tls.Conn)
	return ok && !t.ConnectionState().HandshakeComplete
}

// goodbye says the last line of a connection.
func (c *conn) goodbye(line string) {
	if !c.srv.stopping.Load() { // which has a line of its own, for all of them
		c.srv.log.Info("closing", "session", c.id, "client", c.tcp.RemoteAddr().String(), "reply", line)
	}
	c.out = append(append(c.out, line...), "\r\n"...)
	c.tcp.SetWriteDeadline(time.Now().Add(lastWords))
	c.Conn.Write(c.out)
	c.gone, c.out = true, nil
}

package smtpd

import (
	"bytes"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// Write takes go-smtp's replies. They go out together when the client is next waited for, so that a
// pipelining client gets one answer to one flight.
func (c *conn) Write(p []byte) (int, error) {
	if c.gone {
		c.started = c.started || c.bodyBegun != nil && bytes.HasPrefix(p, cutOff)
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

// cutOff is how go-smtp's reply to a body begins whose reading failed: our own errors have other
// words.
var cutOff = []byte("554 5.0.0 Error: transaction failed: ")

// reply queues one line of a reply: in RFC 5321's words where go-smtp's differ, or the provider's.
func (c *conn) reply(line []byte) {
	c.inAuth = bytes.HasPrefix(line, []byte("334"))
	c.urgent = c.urgent || !c.grouped
	if c.told { // in the middle of the body
		c.told = line[len("250")] == '-'
		return
	}
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
		line = []byte("451 4.4.2 The message was cut off; nothing was sent.\r\n")
	}
	// go-smtp repeats what it did not understand, and a bare CR in it would end the line for some
	// programs.
	for i := range line[:len(line)-1] {
		if line[i] < ' ' && (line[i] != '\r' || i != len(line)-2) || line[i] == 0x7f {
			line[i] = '?'
		}
	}
	c.started = c.bodyBegun != nil && (broken || string(line) == "250 2.0.0 Continue\r\n")
	if name, ok := bytes.CutPrefix(line, helo); ok {
		c.out = append(append(append(c.out, "250 "...), c.srv.hello()...), name...)
		return
	}
	if name, ok := bytes.CutPrefix(line, ehlo); ok {
		c.out = append(append(append(c.out, "250-"...), c.srv.hello()...), name...)
		return
	}
	if rest, ok := bytes.CutPrefix(line, greeting); ok {
		c.out = append(append(append(c.out, "220 "...), c.srv.domain()...), rest...)
		return
	}
	if better, ok := rephrased[string(line)]; ok {
		c.out = append(c.out, better...)
		return
	}
	c.out = append(c.out, line...)
	if string(line) == "250-PIPELINING\r\n" && c.offersTLS() {
		c.out = append(c.out, "250-STARTTLS\r\n"...)
	}
}

// helo is how go-smtp's reply to HELO begins, which must have no enhanced code (RFC 2034 section 4).
var helo = []byte("250 2.0.0 Hello ")

// ehlo is how go-smtp's reply to EHLO begins, and greeting its first line. The name in them may
// change while it serves.
var ehlo, greeting = []byte("250-Hello "), []byte("220 " + unnamed)

// rephrased are go-smtp's replies in better words. Most would mislead: a passing code for a lasting
// fault, or 502 "not implemented" for commands out of order, which RFC 5321 section 4.2.4 answers with
// 503.
var rephrased = map[string]string{
	"454 4.7.0 Invalid base64 data\r\n":                      "501 5.5.2 The response is not valid base64\r\n",
	"502 5.5.1 Please introduce yourself first.\r\n":         "503 5.5.1 EHLO comes first\r\n",
	"502 5.5.1 Missing RCPT TO command.\r\n":                 "503 5.5.1 No recipient has been accepted\r\n",
	"502 5.5.1 Missing MAIL FROM command.\r\n":               "503 5.5.1 MAIL comes first\r\n",
	"502 5.5.1 MAIL not allowed during message transfer\r\n": outOfOrder,
	"502 5.5.1 RCPT not allowed during message transfer\r\n": outOfOrder,
	"502 5.5.1 DATA not allowed during message transfer\r\n": outOfOrder,
	"502 5.5.4 Missing parameter\r\n":                        "501 5.5.4 AUTH needs a mechanism\r\n",
	"501 5.0.0 Negotiation cancelled\r\n":                    "501 5.7.0 Authentication cancelled\r\n",
	"421 4.0.0 Internal server error\r\n":                    "421 4.3.0 Waxseal had an internal error; see its log\r\n",
	"500 5.5.1 This is not a LMTP server\r\n":                "500 5.5.1 LHLO is for LMTP; this is SMTP, use EHLO\r\n",
	"250 2.0.0 I have successfully done nothing\r\n":         "250 2.0.0 OK\r\n",
	"502 5.5.1 HELP command not implemented\r\n":             "214 2.0.0 EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT\r\n",
}

// outOfOrder answers what may not stand between the chunks of a message (RFC 3030 section 2).
const outOfOrder = "503 5.5.1 A message is being sent with BDAT; end it with BDAT LAST, or take it back with RSET\r\n"

// flushUrgent sends the replies that must not wait for what comes next, if that may take a while.
func (c *conn) flushUrgent(waits bool) error {
	if !waits || !c.urgent {
		return nil
	}
	return c.flush()
}

func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.tcp.SetWriteDeadline(time.Now().Add(c.srv.hall.IdleTimeout)); err != nil {
		return err
	}
	// After the deadline is set, as in fill.
	if !c.busy.Load() && c.farewell() != "" {
		c.tcp.SetWriteDeadline(time.Now().Add(mailbox.LastWords))
	}
	_, err := c.Conn.Write(c.out)
	c.out, c.urgent = c.out[:0], false
	if cap(c.out) > keptSize {
		c.out = nil // an idle connection keeps no large buffer
	}
	if err != nil {
		c.gone = true
		c.client.Kill() // a client that does not read will not read a goodbye, or TLS's, either
	}
	return err
}

// goodbye sends the last line of a connection.
func (c *conn) goodbye(line string) {
	if c.farewell() == "" { // those have lines of their own, for all connections
		c.srv.hall.Log.Info("closing", "session", c.client.ID, "client", c.client.Addr.String(), "reply", line)
	}
	c.out = append(append(c.out, line...), "\r\n"...)
	c.tcp.SetWriteDeadline(time.Now().Add(mailbox.LastWords))
	if _, err := c.Conn.Write(c.out); err == nil {
		c.parting = line
	}
	c.gone, c.out = true, nil
}

// linger lets a client that may still be sending read the last line: closing over input that was not
// read would throw it away (RFC 1122 section 4.2.2.13).
func (c *conn) linger() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	c.tcp.SetReadDeadline(time.Now().Add(mailbox.LastWords))
	buf := bodyBuffers.Get().(*[]byte)
	defer bodyBuffers.Put(buf)
	for n := 0; n < lingerBytes && !c.srv.hall.Stopping(); {
		m, err := c.tcp.Read(*buf)
		if err != nil {
			return
		}
		n += m
	}
}

// interrupt gives up the read of a body by DATA, from another goroutine.
func (c *conn) interrupt() {
	c.interrupted.Store(true)
	c.tcp.SetReadDeadline(time.Unix(1, 0))
}

// refuse tells the connection that the body it reads has been refused. It may come from another
// goroutine, and wakes a read that waits for a silent client.
func (c *conn) refuse(r *smtp.SMTPError) {
	c.refusal.Store(r)
	c.tcp.SetReadDeadline(time.Unix(1, 0))
}

// tell sends a refusal in the middle of the body it is for. A client that goes on to the body's end
// finds it as the reply to that.
func (c *conn) tell() {
	r := c.refusal.Load()
	for _, line := range replyLines(upstream.Reply{Code: r.Code, Lines: strings.Split(replyWords(r), "\n")}) {
		c.out = append(append(c.out, line...), "\r\n"...)
	}
	if c.flush() == nil {
		c.told = true
	}
}

// settled ends a message. It reports whether the client has its reply, or will have it with the next
// flush; if not, c.parting is what it was told in its place.
func (c *conn) settled() (answered bool) {
	answered = c.told || !c.gone
	c.interrupted.Store(false)
	c.refusal.Store(nil)
	c.refusedAt, c.told = time.Time{}, false
	return answered
}

package smtpd

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waxseal/waxseal/proxy/envelope"
)

const (
	// maxCommand bounds a command line, in bytes, its end included. RFC 5321 section 4.5.3.1.4 asks
	// for 512 and more where an extension needs it; the longest that is honest, AUTH PLAIN, is far
	// shorter. It is also go-smtp's buffer, so a line is always read whole.
	maxCommand = 4 << 10
	// maxHello bounds the name in EHLO and HELO (RFC 5321 section 4.5.3.1.2).
	maxHello = envelope.MaxDomain
	// maxUnknown is how many commands in a row may be unrecognized.
	maxUnknown = 3
)

// handling is what must be known of a command before go-smtp sees it.
type handling struct {
	verb    string
	grouped bool // its reply may wait for those of the commands after it (RFC 2920 section 3.2)
	waits   bool // it may take a while
	bare    bool // it takes no parameters, and one with them is refused (RFC 5321 section 4.1.1)
}

var commands = map[string]handling{
	"MAIL": {verb: "MAIL", grouped: true, waits: true}, "RCPT": {verb: "RCPT", grouped: true, waits: true},
	"DATA": {verb: "DATA", waits: true, bare: true}, "BDAT": {verb: "BDAT", grouped: true, waits: true},
	"RSET": {verb: "RSET", grouped: true, bare: true}, "AUTH": {verb: "AUTH", waits: true},
	"EHLO": {verb: "EHLO"}, "HELO": {verb: "HELO"}, "LHLO": {verb: "LHLO"}, "STARTTLS": {verb: "STARTTLS", bare: true},
	"NOOP": {verb: "NOOP"}, "VRFY": {verb: "VRFY"}, "EXPN": {verb: "EXPN"}, "HELP": {verb: "HELP"}, "QUIT": {verb: "QUIT", bare: true},
	"SEND": {verb: "SEND"}, "SOML": {verb: "SOML"}, "SAML": {verb: "SAML"}, "TURN": {verb: "TURN"},
}

// readLine gives go-smtp the next command line that it has to answer; it answers the others itself.
func (c *conn) readLine(p []byte) (int, error) {
	for !c.gone {
		c.tempo.line = time.Now()
		c.halfCR = false
		n, err := c.line(p[:min(len(p), maxCommand)-1]) // put may need one byte more
		if err != nil {
			return 0, err // a command without its end is not one
		}
		line := trimEnd(p[:n])
		if c.inAuth {
			c.flushUrgent(true)
			return put(p, "", line), nil
		}
		if n, err = c.command(p, line); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

// line reads one command line into p, its end included.
func (c *conn) line(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := c.lineFrom(p[n:])
		if err != nil {
			return 0, err
		}
		if n += m; n > 0 && p[n-1] == '\n' {
			return n, nil
		}
		c.halfCR = c.halfCR || bytes.IndexByte(p[n-m:n], '\r') >= 0
	}
	c.goodbye("500 5.5.6 Line too long")
	c.linger()
	return 0, io.EOF
}

// lineFrom is one read that goes no further than a line's end: what came with it is left for later.
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

// trimEnd takes the line end, and blanks before it, off a line: RFC 5321 section 4.1.1 wants blanks
// tolerated. A CR too many counts as one.
func trimEnd(line []byte) []byte { return bytes.TrimRight(line, " \t\r\n") }

// command judges a command, which lies at the start of p. It puts what go-smtp has to answer there
// and says how long that is; 0 when the command has been answered. Scripts indent commands, and
// Postfix and sendmail take them so.
func (c *conn) command(p, line []byte) (n int, err error) {
	line = bytes.TrimLeft(line, " \t")
	h, arg := cutVerb(line)
	c.grouped = h.grouped
	if err := c.flushUrgent(h.waits); err != nil {
		return 0, err
	}
	if h.bare && len(arg) > 0 {
		c.say("501 5.5.4 %s takes no parameter", h.verb)
		return 0, nil
	}
	switch h.verb {
	case "":
		return 0, c.unrecognized(line)
	case "STARTTLS":
		return 0, c.startTLS()
	case "EHLO", "HELO":
		return c.hello(p, h.verb, arg), nil
	case "MAIL", "AUTH":
		switch {
		case !c.greeted:
			c.say("503 5.5.1 EHLO comes first")
			return 0, nil
		case h.verb == "AUTH" && len(bytes.Fields(arg)) > 2: // half of a response is not one
			c.say("501 5.5.4 AUTH takes a mechanism and at most one response, without blanks")
			return 0, nil
		}
	case "BDAT":
		if c.chunk = chunkSize(string(arg)); !c.busy.Load() {
			c.tempo.message() // it is refused, and read all the same
		}
	}
	switch h.verb {
	case "MAIL", "RCPT":
		if c.authed { // otherwise it is refused unread
			c.arg = string(arg)
		}
		arg = placeholder[h.verb]
	}
	return put(p, h.verb, arg), nil
}

// placeholder is what go-smtp reads in place of a path and parameters, which the session judges.
var placeholder = map[string][]byte{"MAIL": []byte("FROM:<>"), "RCPT": []byte("TO:<a@b>")}

// cutVerb splits a command from what follows it. The verb is "" where there is no such command.
func cutVerb(line []byte) (h handling, arg []byte) {
	word := line
	if i := bytes.IndexAny(line, " \t"); i >= 0 {
		word, arg = line[:i], bytes.TrimLeft(line[i:], " \t")
	}
	var upper [len("STARTTLS")]byte
	if len(word) > len(upper) {
		return handling{}, nil
	}
	for i, b := range word {
		if b >= 'a' && b <= 'z' {
			b -= 'a' - 'A'
		}
		upper[i] = b
	}
	return commands[string(upper[:len(word)])], arg
}

// put writes a command line to the start of p; verb is "" for a line that is not a command. arg may
// lie in p, no nearer to its start than where it goes.
func put(p []byte, verb string, arg []byte) int {
	n := len(verb)
	if n > 0 && len(arg) > 0 {
		n++
	}
	end := n + copy(p[n:], arg)
	if copy(p, verb) < n {
		p[n-1] = ' '
	}
	return end + copy(p[end:], "\r\n")
}

// hello passes EHLO or HELO on. A name is not wanted for anything, and devices that have none cannot
// be told one: they are called by their address. So are those whose name is not ASCII, as a reply is
// (RFC 5321 section 4.2).
func (c *conn) hello(p []byte, verb string, arg []byte) int {
	if i := bytes.IndexAny(arg, " \t"); i >= 0 {
		arg = arg[:i]
	}
	switch {
	case len(arg) > maxHello:
		c.say("501 5.5.4 The name after %s is too long", verb)
		return 0
	case bytes.ContainsFunc(arg, func(r rune) bool { return r < ' ' || r == 0x7f }):
		c.say("501 5.5.4 The name after %s holds a control character", verb)
		return 0
	case len(arg) == 0, bytes.ContainsFunc(arg, func(r rune) bool { return r >= utf8.RuneSelf }):
		host, _, _ := net.SplitHostPort(c.client.Addr.String())
		arg = []byte("[" + host + "]")
	}
	c.greeted = true
	return put(p, verb, arg)
}

// unrecognized answers what is not a command, and gives up on a client that sends too much of it.
func (c *conn) unrecognized(line []byte) error {
	if c.tellProtocol(line) {
		return io.EOF
	}
	c.say("500 5.5.2 Command not recognized")
	if c.unknown++; c.unknown > maxUnknown {
		c.goodbye("421 4.7.0 Too many unrecognized commands; closing")
		return io.EOF
	}
	return nil
}

// chunkSize is how many bytes follow a BDAT command as go-smtp reads it: none where it answers 501.
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

// say queues a reply of Waxseal's own.
func (c *conn) say(format string, args ...any) {
	c.out = append(fmt.Appendf(c.out, format, args...), "\r\n"...)
	c.urgent = true
}

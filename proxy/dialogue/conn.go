package dialogue

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// conn is one connection of a dialogue.
type conn struct {
	net.Conn
	r    *bufio.Reader
	sent string // the last that was sent, for errors
}

func (c *conn) send(text string, limit time.Duration) error {
	c.sent = text
	c.SetWriteDeadline(time.Now().Add(limit)) // where that fails, writing fails too
	if _, err := io.WriteString(c.Conn, text); err != nil {
		return fmt.Errorf("send %q: %w", shorten(text), err)
	}
	return nil
}

func (c *conn) startTLS(ctx context.Context, config *tls.Config, limit time.Duration) error {
	if n := c.r.Buffered(); n > 0 {
		early, _ := c.r.Peek(n)
		return fmt.Errorf("the server said %q in clear text after its 220", early)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t := tls.Client(c.Conn, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.Conn, c.r = t, bufio.NewReader(t)
	return nil
}

func (c *conn) halfClose() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("this connection cannot be closed in one direction")
	}
	return half.CloseWrite()
}

// hearLine expects one line that fits.
func (c *conn) hearLine(want string, fits func(string) bool, limit time.Duration) error {
	line, err := c.line(limit)
	if err == nil && fits(line) {
		return nil
	}
	return c.unexpected(want, line, err)
}

// hearReply expects that a line of the next reply fits, and reads no further than that line.
func (c *conn) hearReply(want string, fits func(string) bool, limit time.Duration) error {
	var reply []string
	for {
		line, err := c.line(limit)
		if err == nil && fits(line) {
			return nil
		}
		reply = append(reply, line)
		if err != nil || isLast(line) {
			return c.unexpected(want, strings.Join(reply, "\n"), err)
		}
	}
}

// hearClass expects a whole reply of the class that want begins with. An expected line that is not
// the last one of its reply is left to the last one.
func (c *conn) hearClass(want string, limit time.Duration) error {
	if !isLast(want) {
		return nil
	}
	for {
		line, err := c.line(limit)
		if err != nil {
			return c.unexpected(want, line, err)
		}
		if !isLast(line) {
			continue
		}
		if class := want[:min(1, len(want))]; class >= "1" && class <= "5" && !strings.HasPrefix(line, class) {
			return c.unexpected(class+"xx, as in "+want, line, nil)
		}
		return nil
	}
}

// isLast reports whether a line is the last one of its reply (RFC 5321 section 4.2.1).
func isLast(line string) bool { return len(line) < 4 || line[3] != '-' }

func (c *conn) hearEnd(limit time.Duration) error {
	line, err := c.line(limit)
	if line == "" && err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // io.EOF, or a reset if the server had not read everything
	}
	return c.unexpected("the end of the connection", line, err)
}

// line reads one line. Its end must be CRLF.
func (c *conn) line(limit time.Duration) (string, error) {
	line, err := c.r.ReadString('\n')
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return line, fmt.Errorf("nothing more within %v: %w", limit, err)
	case errors.Is(err, io.EOF):
		return line, errors.New("the end of the connection")
	case err == nil && !strings.HasSuffix(line, "\r\n"):
		return line, errors.New("no CR before its LF")
	}
	return strings.TrimSuffix(line, "\r\n"), err
}

// unexpected says what was expected after what, and what came instead: a line, and perhaps err.
func (c *conn) unexpected(want, line string, err error) error {
	heard := fmt.Sprintf("%q", shorten(line))
	switch {
	case err != nil && line == "":
		heard = err.Error()
	case err != nil:
		heard += ", then " + err.Error()
	}
	after := ""
	if c.sent != "" {
		after = fmt.Sprintf(", after sending %q", shorten(c.sent))
	}
	return fmt.Errorf("expected %q, heard %s%s", want, heard, after)
}

// shorten keeps an error readable.
func shorten(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:most], len(text))
}

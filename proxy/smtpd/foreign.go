package smtpd

import (
	"bytes"
	"fmt"

	"github.com/waxseal/waxseal/proxy/prelogin"
)

// Other protocols that reach an SMTP port by mistake, and how each can be told so. The connection
// ends at once: what follows would be taken for commands.

// tlsAlert is a fatal handshake_failure (RFC 8446 section 6).
const tlsAlert = "\x15\x03\x01\x00\x02\x02\x28"

// tellTLS judges the first bytes of a connection; true where they are TLS, or an SSL 2 hello, which
// has its length with the top bit set, then a 1.
func (c *conn) tellTLS(first []byte) bool {
	c.heard = true
	if c.secure || !prelogin.IsTLS(first) {
		return false
	}
	c.notSMTP("TLS on a port that begins without it", tlsAlert, "set its encryption to none, or let it use "+c.srv.OtherPort(true, "listen_tls"))
	return true
}

// tellProtocol judges a line that is not an SMTP command; true where another protocol has such lines.
func (c *conn) tellProtocol(line []byte) bool {
	switch {
	case bytes.HasPrefix(line, []byte("SSH-")):
		c.notSMTP("SSH on a port for SMTP", "500 5.5.2 This port speaks SMTP, not SSH\r\n", "")
	case prelogin.IsHTTP(line):
		c.notSMTP("HTTP on a port for SMTP", badRequest, "")
	default:
		return false
	}
	return true
}

const httpText = "This is a port of Waxseal for mail programs. It speaks SMTP, not HTTP.\n"

var badRequest = fmt.Sprintf("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(httpText), httpText)

// notSMTP tells a client in its own protocol that this is not its port, and ends the connection.
func (c *conn) notSMTP(what, reply, cure string) {
	attrs := []any{"session", c.client.ID, "client", c.client.Addr.String(), "port", c.tcp.LocalAddr().String()}
	if cure != "" {
		attrs = append(attrs, "cure", cure)
	}
	c.srv.hall.Log.Warn("a program spoke "+what+"; closing", attrs...)
	c.out = append(c.out, reply...)
	c.flush()
	c.gone = true
	c.linger()
}

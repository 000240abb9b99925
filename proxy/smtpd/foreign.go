package smtpd

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Other protocols that reach an SMTP port by mistake, and how each can be told so. The connection
// ends at once: what follows would be taken for commands.

// recordHandshake is the first byte of a TLS ClientHello (RFC 8446 section 5.1).
const recordHandshake = 0x16

// tlsAlert is a fatal handshake_failure (RFC 8446 section 6).
const tlsAlert = "\x15\x03\x01\x00\x02\x02\x28"

// tellTLS judges the first bytes of a connection; true where they are TLS, or an SSL 2 hello, which
// has its length with the top bit set, then a 1.
func (c *conn) tellTLS(first []byte) bool {
	c.heard = true
	ssl2 := len(first) > 2 && first[0] >= 0x80 && first[2] == 1
	if c.secure || first[0] != recordHandshake && !ssl2 {
		return false
	}
	c.notSMTP("TLS on a port that begins without it", tlsAlert, "set its encryption to none, or let it use "+c.srv.OtherPort(true, "listen_tls"))
	return true
}

// httpMethods are those that a first line can begin with (RFC 9110 section 9, RFC 9113 section 3.4).
var httpMethods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"}

// tellProtocol judges a line that is not an SMTP command; true where another protocol has such lines.
func (c *conn) tellProtocol(line []byte) bool {
	method, _, _ := strings.Cut(string(line), " ")
	switch {
	case strings.HasPrefix(method, "SSH-"):
		c.notSMTP("SSH on a port for SMTP", "500 5.5.2 This port speaks SMTP, not SSH\r\n", "")
	case slices.Contains(httpMethods, method) && bytes.Contains(line, []byte(" HTTP/")):
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
	attrs := []any{"session", c.client.ID, "client", c.tcp.RemoteAddr().String(), "port", c.tcp.LocalAddr().String()}
	if cure != "" {
		attrs = append(attrs, "cure", cure)
	}
	c.srv.hall.Log.Warn("a program spoke "+what+"; closing", attrs...)
	c.out = append(c.out, reply...)
	c.flush()
	c.gone = true
	c.linger()
}

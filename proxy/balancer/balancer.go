// Package balancer reads the header with which a load balancer in front of Waxseal says who its client is:
// the PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt).
//
//	if networks.Contain(tcp.RemoteAddr()) {
//		conn, err := balancer.Read(ctx, tcp)
//		…
//	}
//
// A header is only worth as much as who sends it, so it is read from the balancers' own addresses and from
// nobody else. Read takes exactly the header's bytes: what follows is still in the connection, which stays
// the bare TCP connection that it was.
package balancer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/pires/go-proxyproto"
)

// Timeout is how long a header may take. A lost packet is sent again after up to three seconds, and the
// protocol asks for more than that (section 2).
const Timeout = 5 * time.Second

// Why there is no header.
var (
	// ErrClosed is a connection that ended before its first byte: a balancer that looks whether the port
	// is open.
	ErrClosed = errors.New("closed without a PROXY protocol header")
	ErrSilent = errors.New("no PROXY protocol header in time")
	ErrNone   = errors.New("it does not begin with a PROXY protocol header")
)

// Conn is a connection from a balancer whose header was read. Its Conn is as it was accepted.
type Conn struct {
	net.Conn

	// Client is where the balancer's client is. It is the balancer itself where that asks on its own
	// behalf, as for a check, or does not say (LOCAL, UNKNOWN, UNSPEC, UNIX sockets).
	Client net.Addr
}

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.Client }

// Read reads the header of a connection that came from a balancer. It gives up after Timeout, and when ctx
// ends; then the connection must be closed. It leaves no deadline for reading.
func Read(ctx context.Context, c net.Conn) (*Conn, error) {
	c.SetReadDeadline(time.Now().Add(Timeout))
	stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })
	raw, err := take(c)
	if !stop() {
		return nil, ctx.Err() // a deadline may yet be set
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, ErrSilent
	case err != nil && len(raw) == 0:
		return nil, ErrClosed
	case err != nil:
		return nil, err
	}
	c.SetReadDeadline(time.Time{})
	client, err := clientIn(raw)
	if err != nil {
		return nil, err
	}
	if client == nil {
		client = c.RemoteAddr()
	}
	return &Conn{c, client}, nil
}

// clientIn is the client that a whole header names, nil if it names none.
func clientIn(raw []byte) (net.Addr, error) {
	if begins(raw, proxyproto.SIGV2) && bytes.Equal(raw[commandInV2:lengthInV2], []byte{proxied, unspecified}) {
		return nil, nil // a balancer that does not know it, as behind a UNIX socket; go-proxyproto would refuse this
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(raw), len(raw)))
	if err != nil {
		return nil, fmt.Errorf("PROXY protocol header: %w", err)
	}
	if h.Command.IsLocal() {
		return nil, nil
	}
	switch client := h.SourceAddr.(type) {
	case *net.TCPAddr:
		return client, nil
	case *net.UDPAddr:
		return nil, errors.New("PROXY protocol header: it is about UDP")
	}
	return nil, nil
}

// take reads one header and nothing else. After an error it returns what it has read.
func take(r io.Reader) (raw []byte, err error) {
	raw = make([]byte, 0, 128)
	for {
		n, err := missing(raw)
		if n == 0 || err != nil {
			return raw, err
		}
		if cap(raw)-len(raw) < n {
			raw = append(make([]byte, 0, len(raw)+n), raw...)
		}
		got, err := r.Read(raw[len(raw) : len(raw)+n])
		raw = raw[:len(raw)+got]
		if err != nil && got == 0 {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return raw, err
		}
	}
}

const (
	maxV1   = 107 // bytes of a line, its end included (section 2.1)
	minV1   = len("PROXY UNKNOWN\r\n")
	fixedV2 = 16      // signature, command, family and length (section 2.2)
	maxV2   = 4 << 10 // after these: addresses, and extensions up to a certificate

	commandInV2, lengthInV2 = 12, 14     // where they are
	proxied, unspecified    = 0x21, 0x00 // a command, and a family
)

// missing is how many bytes are certainly still to come of a header that begins with raw; 0 if it is whole.
// Bytes that cannot be a header's are an error at once, so that nothing waits for more of them.
func missing(raw []byte) (int, error) {
	switch {
	case begins(raw, proxyproto.SIGV1):
		return missingV1(raw)
	case !begins(raw, proxyproto.SIGV2):
		return 0, ErrNone
	case len(raw) < fixedV2:
		return fixedV2 - len(raw), nil
	}
	length := int(binary.BigEndian.Uint16(raw[lengthInV2:]))
	if length > maxV2 {
		return 0, fmt.Errorf("PROXY protocol header: %d bytes are too many", length)
	}
	return fixedV2 + length - len(raw), nil
}

// missingV1 is missing for a line, whose length nobody says.
func missingV1(raw []byte) (int, error) {
	at := bytes.IndexByte(raw, '\n')
	switch {
	case at >= 0 && (at != len(raw)-1 || len(raw) < minV1 || !bytes.HasSuffix(raw, []byte("\r\n"))):
		return 0, ErrNone
	case at >= 0:
		return 0, nil
	case len(raw) >= maxV1:
		return 0, fmt.Errorf("PROXY protocol header: its line is longer than %d bytes", maxV1)
	case len(raw) < minV1:
		return minV1 - len(raw), nil
	case raw[len(raw)-1] == '\r':
		return 1, nil
	}
	return min(len("\r\n"), maxV1-len(raw)), nil
}

// begins reports whether raw begins as signature does, as far as there is any of it.
func begins(raw, signature []byte) bool {
	n := min(len(raw), len(signature))
	return bytes.Equal(raw[:n], signature[:n])
}

package dial

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"

	"github.com/waxseal/waxseal/proxy/tcp"
)

const (
	recordHeader = 5       // bytes before a record's content; its length is in the last two (RFC 8446 section 5.1)
	shortRecord  = 1 << 10 // longer ones are read through a borrowed buffer

	// aheadSize is how much is read at once: four full records, with headers and tags.
	aheadSize = 4 * (Record + 256 + recordHeader)
)

var aheadBuffers = sync.Pool{New: func() any { return new([aheadSize]byte) }}

// arriving is TLS over a connection from which messages come. It reads several records with one system call,
// and Read gives as many as have arrived, so that who passes them on needs fewer calls too. While it waits it
// holds no buffer of its own, and package tls one record at most: it keeps for good what it has once needed.
//
// One goroutine may read at a time.
type arriving struct {
	*tls.Conn
	under *records
}

func arrive(raw net.Conn, cfg *tls.Config) *arriving {
	under := &records{Conn: tcp.Direct(raw)}
	return &arriving{tls.Client(under, cfg), under}
}

// Read reads at least once, and more records only if they are there and fit.
func (a *arriving) Read(p []byte) (n int, err error) {
	n, err = a.Conn.Read(p)
	for n > 0 && err == nil && len(p)-n >= Record && a.under.complete() {
		var more int
		a.under.dry = true // what looks like a record of data may be one without any
		more, err = a.Conn.Read(p[n:])
		a.under.dry = false
		if n += more; errors.Is(err, os.ErrDeadlineExceeded) {
			return n, nil
		}
	}
	return n, err
}

// records is the connection under TLS. A read gives no byte of the next record.
type records struct {
	net.Conn
	left   int                // bytes of the present record that are still to be given; 0: a header comes
	header [recordHeader]byte // as far as it has been given
	heads  int

	buf  *[aheadSize]byte // buf[r:w] has arrived; nil if that is nothing
	r, w int
	dry  bool // no read may wait
}

func (c *records) Read(p []byte) (int, error) {
	if c.left > 0 {
		n, err := c.take(p[:min(len(p), c.left)])
		c.left -= n
		return n, err
	}
	n, err := c.take(p[:min(len(p), recordHeader-c.heads)])
	if c.heads += copy(c.header[c.heads:], p[:n]); c.heads == recordHeader {
		c.heads, c.left = 0, contentSize(c.header[:])
	}
	return n, err
}

func contentSize(header []byte) int { return int(binary.BigEndian.Uint16(header[recordHeader-2:])) }

// take fills p from the buffer or, if that is empty, from the connection. The rest of a long record is read
// together with what comes behind it.
func (c *records) take(p []byte) (int, error) {
	switch {
	case c.buf != nil:
	case c.dry:
		return 0, os.ErrDeadlineExceeded
	case c.left <= shortRecord:
		return c.Conn.Read(p)
	default:
		c.buf = aheadBuffers.Get().(*[aheadSize]byte)
		n, err := c.Conn.Read(c.buf[:])
		if c.r, c.w = 0, n; n == 0 {
			c.giveBack()
			return 0, err
		}
	}
	n := copy(p, c.buf[c.r:c.w])
	if c.r += n; c.r == c.w {
		c.giveBack()
	}
	return n, nil
}

func (c *records) giveBack() {
	aheadBuffers.Put(c.buf)
	c.buf = nil
}

// complete reports whether the next record has arrived as a whole.
func (c *records) complete() bool {
	if c.buf == nil || c.left > 0 || c.heads > 0 {
		return false
	}
	ahead := c.buf[c.r:c.w]
	return len(ahead) >= recordHeader && len(ahead) >= recordHeader+contentSize(ahead[:recordHeader])
}

// NetConn is the connection below, for options of its socket.
func (c *records) NetConn() net.Conn { return c.Conn }

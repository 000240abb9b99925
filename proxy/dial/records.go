package dial

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
)

// Record is the most that a TLS record holds, in bytes (RFC 8446 section 5.1).
const Record = 16 << 10

// secured is TLS over a connection, to which the records of a long write go two at a time: that takes
// half the system calls, on the other end too, and wakes somebody half as often. More at a time, and
// leaving it to the system (MSG_MORE, TCP_CORK), were slower with some congestion controls and packet
// sizes: docs/performance.md.
type secured struct {
	*tls.Conn
	under *pairing
}

func secure(raw net.Conn, cfg *tls.Config) *secured {
	under := &pairing{Conn: raw}
	return &secured{tls.Client(under, cfg), under}
}

// heldRecords are buffers for two records. Any version's records are little longer than what they hold.
var heldRecords = sync.Pool{New: func() any { b := make([]byte, 0, 2*Record+1<<10); return &b }}

func (s *secured) Write(p []byte) (int, error) {
	if len(p) <= Record {
		return s.Conn.Write(p)
	}
	s.under.left.Store(int64((len(p) + Record - 1) / Record))
	n, err := s.Conn.Write(p)
	s.under.left.Store(0) // what is still held is of a connection that broke
	return n, err
}

// pairing is the connection under TLS. Package tls calls Write with its lock held, mostly from the
// goroutine that writes; while another reads, it may also answer a KeyUpdate.
type pairing struct {
	net.Conn
	left atomic.Int64 // records to come of a long write
	buf  *[]byte      // with the first of two; nil between long writes
}

func (c *pairing) Write(p []byte) (int, error) {
	left := max(0, c.left.Load()-1)
	c.left.Store(left)
	switch {
	case c.buf == nil && left == 0:
		return c.Conn.Write(p)
	case c.buf == nil:
		c.buf = heldRecords.Get().(*[]byte)
	}
	if len(*c.buf) == 0 && left > 0 {
		*c.buf = append(*c.buf, p...)
		return len(p), nil
	}
	both := append(*c.buf, p...)
	n, err := c.Conn.Write(both)
	n = max(0, n-len(both)+len(p))
	if *c.buf = both[:0]; left == 0 {
		heldRecords.Put(c.buf)
		c.buf = nil
	}
	return n, err
}

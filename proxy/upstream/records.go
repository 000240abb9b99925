package upstream

import (
	"crypto/tls"
	"net"
	"sync"
)

// record is the most that a TLS record holds, in bytes (RFC 8446 section 5.1).
const record = 16 << 10

// secured is TLS over a connection, to which the records of a long write go two
// at a time: half the system calls, on the other end too, and half as often is
// somebody woken. More at a time, and leaving it to the system (MSG_MORE,
// TCP_CORK), were slower with some congestion controls and packet sizes:
// docs/performance.md.
type secured struct {
	*tls.Conn
	under *pairing
}

func secure(raw net.Conn, cfg *tls.Config) *secured {
	under := &pairing{Conn: raw}
	return &secured{tls.Client(under, cfg), under}
}

// Any version's records are little longer than what they hold.
var heldRecords = sync.Pool{New: func() any { b := make([]byte, 0, 2*record+1<<10); return &b }}

func (s *secured) Write(p []byte) (int, error) {
	if len(p) <= record {
		return s.Conn.Write(p)
	}
	buf := heldRecords.Get().(*[]byte)
	defer heldRecords.Put(buf)
	s.under.left, s.under.held = (len(p)+record-1)/record, *buf
	n, err := s.Conn.Write(p)
	s.under.left, s.under.held = 0, nil // what is still held is of a connection that broke
	return n, err
}

// pairing is the connection under TLS. It belongs to one goroutine.
type pairing struct {
	net.Conn
	left int    // records to come of a long write; 0 when none is under way
	held []byte // the first of two
}

func (c *pairing) Write(p []byte) (int, error) {
	c.left = max(0, c.left-1)
	first := len(c.held) == 0
	switch {
	case first && c.left > 0:
		c.held = append(c.held, p...)
		return len(p), nil
	case first:
		return c.Conn.Write(p)
	}
	both := append(c.held, p...)
	c.held = both[:0]
	n, err := c.Conn.Write(both)
	return max(0, n-len(both)+len(p)), err
}

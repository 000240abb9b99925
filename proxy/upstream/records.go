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

func (s *secured) Write(p []byte) (n int, err error) {
	for first := true; n < len(p) && err == nil; first = !first {
		end := min(n+record, len(p))
		s.under.hold = first && end < len(p)
		var m int
		m, err = s.Conn.Write(p[n:end])
		n += m
	}
	return n, err
}

// pairing is the connection under TLS. It belongs to one goroutine.
type pairing struct {
	net.Conn
	hold bool    // what is written waits for the next write
	held *[]byte // what waits; nil when nothing does
}

// Any version's records are little longer than what they hold.
var heldRecords = sync.Pool{New: func() any { b := make([]byte, 0, 2*record+1<<10); return &b }}

func (c *pairing) Write(p []byte) (int, error) {
	switch {
	case c.hold:
		if c.held == nil {
			c.held = heldRecords.Get().(*[]byte)
		}
		*c.held = append(*c.held, p...)
		return len(p), nil
	case c.held == nil:
		return c.Conn.Write(p)
	}
	both := append(*c.held, p...)
	n, err := c.Conn.Write(both)
	*c.held = both[:0]
	heldRecords.Put(c.held)
	c.held = nil
	return max(0, n-len(both)+len(p)), err
}

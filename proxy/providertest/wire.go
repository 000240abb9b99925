package providertest

import (
	"bytes"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	smallBuffer = 12 << 10 // for each connection: holds an ordinary message with its commands, and 5,000 cost little
	largeBuffer = 64 << 10 // borrowed for bodies and long SASL lines
	writeLimit  = time.Minute
)

var largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}

var (
	errEnd      = errors.New("the connection has to be closed")
	errLongLine = errors.New("line too long")
	errBareLF   = errors.New("line ends in LF alone")

	errInterrupted = errors.New("the provider ends the session")
)

// wire reads and writes one connection. Replies are collected in out and sent when the next read
// would have to wait, as a server with PIPELINING does (RFC 2920 section 3.2). Each such write is a
// flight.
type wire struct {
	conn    net.Conn // TCP, or TLS over it
	in      []byte   // unread input is in[r:w]
	r, w    int
	small   []byte  // what in usually is
	large   *[]byte // what in is while a large buffer is borrowed
	reading bool    // a body is being read, which needs a large buffer
	out     []byte
	pushed  bool // another goroutine has out for now, and sends it
	idle    time.Duration
	flights *atomic.Int64

	mu          sync.Mutex // guards changes of conn, and:
	interrupted bool       // no read may begin
}

func newWire(c net.Conn, idle time.Duration, flights *atomic.Int64) *wire {
	small := make([]byte, smallBuffer)
	return &wire{conn: c, in: small, small: small, idle: idle, flights: flights}
}

// buffered returns what has been received and not yet looked at.
func (w *wire) buffered() []byte { return w.in[w.r:w.w] }

// discard throws away the buffered input.
func (w *wire) discard() { w.r, w.w = 0, 0 }

// fill sends the collected replies and waits for more input.
func (w *wire) fill() error {
	if !w.pushed {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.room()
	if err := w.await(); err != nil {
		return err
	}
	n, err := w.conn.Read(w.in[w.w:])
	w.w += n
	if n > 0 {
		return nil
	}
	if again := w.await(); timedOut(err) && again != nil {
		return again
	}
	return err
}

// replace puts another layer over the connection.
func (w *wire) replace(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = c
}

// await sets the deadline of a read.
func (w *wire) await() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.interrupted {
		return errInterrupted
	}
	return w.conn.SetReadDeadline(time.Now().Add(w.idle))
}

// octets reads n octets.
func (w *wire) octets(n int) ([]byte, error) {
	b := make([]byte, 0, min(n, 1<<20))
	for len(b) < n {
		if w.r == w.w {
			if err := w.fill(); err != nil {
				return nil, err
			}
		}
		got := w.buffered()
		got = got[:min(len(got), n-len(b))]
		b = append(b, got...)
		w.r += len(got)
	}
	return b, nil
}

// text adds a line to what is sent next.
func (w *wire) text(line string) { w.out = append(append(w.out, line...), '\r', '\n') }

// room makes space after w. It uses a large buffer while a body is read or when the small one is
// full, and goes back to the small one as soon as the large one is empty.
func (w *wire) room() {
	if w.r > 0 {
		copy(w.in, w.in[w.r:w.w])
		w.r, w.w = 0, w.w-w.r
	}
	switch {
	case w.large == nil && (w.reading || w.w == len(w.in)):
		w.large = largeBuffers.Get().(*[]byte)
		copy(*w.large, w.in[:w.w])
		w.in = *w.large
	case w.large != nil && !w.reading && w.w == 0:
		w.release()
	}
}

// release returns a borrowed buffer, together with what is in it.
func (w *wire) release() {
	if w.large != nil {
		largeBuffers.Put(w.large)
		w.large, w.in, w.r, w.w = nil, w.small, 0, 0
	}
}

// line reads a line of at most limit octets, including CRLF, and returns it without CRLF. The
// result is valid until the next read. After errLongLine and errBareLF the line has been skipped.
func (w *wire) line(limit int, lax bool) ([]byte, error) {
	seen, long := 0, false
	for {
		b := w.buffered()
		i := bytes.IndexByte(b[seen:], '\n')
		if i < 0 {
			if seen = len(b); seen >= limit { // keep the last octet, which may be the CR
				w.r, seen, long = w.w-1, 1, true
			}
			if err := w.fill(); err != nil {
				return nil, err
			}
			continue
		}
		line := b[:seen+i]
		w.r += seen + i + 1
		switch {
		case long || len(line)+1 > limit:
			return nil, errLongLine
		case bytes.HasSuffix(line, []byte("\r")):
			return line[:len(line)-1], nil
		case lax:
			return line, nil
		}
		return nil, errBareLF
	}
}

// flush sends the collected replies.
func (w *wire) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return err
	}
	w.flights.Add(1) // before anybody can have read the replies
	_, err := w.conn.Write(w.out)
	if w.out = w.out[:0]; cap(w.out) > smallBuffer {
		w.out = nil
	}
	return err
}

// appendReply appends a reply in the form of RFC 5321 section 4.2.1, with one line for each line of
// text.
func appendReply(out []byte, code int, text string) []byte {
	for {
		line, rest, more := strings.Cut(text, "\n")
		out = strconv.AppendInt(out, int64(code), 10)
		if more {
			out = append(out, '-')
		} else {
			out = append(out, ' ')
		}
		out = append(out, line...)
		out = append(out, '\r', '\n')
		if !more {
			return out
		}
		text = rest
	}
}

// timedOut reports whether a connection ended because the client was silent.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

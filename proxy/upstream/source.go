package upstream

import (
	"fmt"
	"io"
	"time"
)

// flushAfter is when a chunk that a slow client fills is sent as it is, so that the provider does not
// take us for dead.
const flushAfter = 30 * time.Second

// source is a body being read.
type source struct {
	r     io.Reader
	ended bool // io.EOF, and nothing else, was read
	slow  bool // the last fill waited for the client
}

// fill reads until p is full, the body ends, or a slow client has kept p back for long enough.
func (s *source) fill(p []byte) (n int, err error) {
	began := time.Now()
	defer func() { s.slow = time.Since(began) > time.Second }()
	var since time.Time // when p got its first byte
	for idle := 0; n < len(p); {
		m, err := s.r.Read(p[n:])
		n += m
		switch {
		case err == io.EOF: // alone: an error that wraps it is a body cut off
			s.ended = true
			return n, nil
		case err != nil:
			return n, fmt.Errorf("reading the message: %w", err)
		case m == 0:
			if idle++; idle >= 100 {
				return n, fmt.Errorf("reading the message: %w", io.ErrNoProgress)
			}
		case since.IsZero():
			since, idle = time.Now(), 0
		case time.Since(since) >= flushAfter:
			return n, nil
		default:
			idle = 0
		}
	}
	return n, nil
}

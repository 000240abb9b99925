package splice

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	small = 512      // what a direction holds while it waits
	large = 64 << 10 // what it holds while bytes flow

	// lull is how long no byte comes before the large buffer is given back. It is renewed when half of it is over.
	lull = 200 * time.Millisecond
)

var buffers = sync.Pool{New: func() any { return new([large]byte) }}

// source is the reading side of a direction.
type source struct {
	conn net.Conn

	mu    sync.Mutex    // held while the deadline is set; guards limit
	limit time.Duration // how long it may be silent; 0: for ever
}

// within bounds how long the source may be silent from now on.
func (s *source) within(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = d
	s.conn.SetReadDeadline(time.Now().Add(d))
}

// wait sets the deadline of a read that waits for as long as the source may be silent.
func (s *source) wait() (bounded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit == 0 {
		s.conn.SetReadDeadline(time.Time{})
		return false
	}
	s.conn.SetReadDeadline(time.Now().Add(s.limit))
	return true
}

// pump gives everything that comes to pass, until an error of either. It is io.EOF at the end.
func (s *source) pump(pass func([]byte) error) error {
	var held [small]byte
	for {
		bounded := s.wait()
		n, err := s.conn.Read(held[:])
		if n > 0 {
			if err := pass(held[:n]); err != nil {
				return err
			}
		}
		if n == small && err == nil {
			err = s.burst(pass)
		}
		if err != nil && (bounded || !errors.Is(err, os.ErrDeadlineExceeded)) { // else within has set it meanwhile
			return err
		}
	}
}

// burst is pump with a large buffer, until nothing has come for a while. A read that reached its deadline can
// be repeated, under TLS too.
func (s *source) burst(pass func([]byte) error) error {
	buf := buffers.Get().(*[large]byte)
	defer buffers.Put(buf)
	var until time.Time
	for {
		if now := time.Now(); until.Sub(now) < lull/2 {
			until = now.Add(lull)
			s.conn.SetReadDeadline(until)
		}
		n, err := s.conn.Read(buf[:])
		if n > 0 {
			if err := pass(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// discard reads and forgets, for at most d.
func (s *source) discard(d time.Duration) {
	s.within(d)
	var held [small]byte
	for {
		if _, err := s.conn.Read(held[:]); err != nil {
			return
		}
	}
}

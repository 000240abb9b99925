package proxy

import (
	"container/list"
	"sync"
	"time"

	"github.com/waxseal/waxseal/proxy/machine"
)

const (
	// maxRejects bounds the connections over the limit that are being told why, and maxLeaving those
	// that have been told to make room.
	maxRejects = 32
	maxLeaving = 32
	// reservedFiles are descriptors for everything but mail programs and providers: rejected and
	// leaving connections, listeners, the control socket, the keystore, the log.
	reservedFiles = maxRejects + maxLeaving + 64
)

// capacity is how many connections of mail programs there may be: max_connections, or fewer where
// the system lets this process open fewer files.
func (s *Server) capacity() int64 {
	cfg := s.config()
	if cfg.MaxConnections+reservedFiles < machine.OpenFiles/4 {
		return int64(cfg.MaxConnections) // the usual case, without a look at each account
	}
	upstream := 0
	for _, b := range *s.boxes.Load() {
		upstream += b.provider.MaxConnections
	}
	return int64(min(cfg.MaxConnections, room(machine.OpenFiles, upstream)))
}

// room is how many of the files that may be open are left to mail programs' connections when there
// may be that many connections to providers.
func room(files, upstream int) int {
	return max(files-min(files/2, reservedFiles+min(upstream, files/4)), 1)
}

// strangers are the connections that have not logged in, the oldest first. When the server is full
// the oldest makes room, so that idle connections of one user keep nobody else out.
type strangers struct {
	mu      sync.Mutex // guards what follows, and each conn's stranger
	waiting list.List  // of *conn
	leaving int        // connections that were told to go and are still there
}

func (s *strangers) add(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.stranger = s.waiting.PushBack(c)
}

// remove forgets a connection that has logged in, or ended.
func (s *strangers) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.stranger != nil {
		s.waiting.Remove(c.stranger)
		c.stranger = nil
	}
}

// gone forgets a connection that has ended.
func (s *strangers) gone(c *conn) {
	s.remove(c)
	if c.evicted.Load() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leaving--
	}
}

// makeRoom ends the connection that has been waiting for longest; false where there is none, or where
// too many are leaving already.
func (s *strangers) makeRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.waiting.Front()
	if oldest == nil || s.leaving >= maxLeaving {
		return false
	}
	s.leaving++
	c := s.waiting.Remove(oldest).(*conn)
	c.stranger = nil
	c.evict()
	return true
}

// evict ends the connection from another goroutine: its own says why, and if that takes too long it
// is cut off.
func (c *conn) evict() {
	c.evicted.Store(true)
	c.nudge()
	time.AfterFunc(lastWords, c.kill)
}

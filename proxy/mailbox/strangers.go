package mailbox

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

const localhost = "localhost"

// clientHost is one name for all addresses that a host can take at will: the whole of 127.0.0.0/8 and ::1
// are this machine, and an IPv6 host has a /64 (RFC 4291 section 2.5.4).
func clientHost(client net.Addr) string {
	addr, err := netip.ParseAddrPort(client.String())
	if err != nil {
		return client.String()
	}
	ip := addr.Addr().Unmap()
	switch {
	case ip.IsLoopback():
		return localhost
	case ip.Is6():
		prefix, _ := ip.WithZone("").Prefix(64)
		return prefix.String()
	}
	return ip.String()
}

// strangers are the connections that have not logged in. When the server is full, one of them makes
// room: the oldest of the caller that has most of them, so that idle connections of one caller keep
// nobody else out. Waxseal's own user has a reserve that others cannot take.
type strangers struct {
	mu       sync.Mutex            // guards what follows, and each conn's queue and stranger
	waiting  list.List             // of *Client whose caller nobody has asked for; the oldest first
	byCaller map[Caller]*list.List // of the others; no list is empty
	leaving  int                   // connections that were told to go and are still there
}

// ownReserve is the part of all connections, as 1/n, that Waxseal's own user may have without a login
// while others have fewer.
const ownReserve = 4

func (s *strangers) add(c *Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(c, &s.waiting)
}

func (s *strangers) put(c *Client, queue *list.List) {
	c.queue, c.stranger = queue, queue.PushBack(c)
}

// remove forgets a connection that has logged in, or ended.
func (s *strangers) remove(c *Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(c)
}

func (s *strangers) take(c *Client) {
	if c.stranger == nil {
		return
	}
	c.queue.Remove(c.stranger)
	if c.queue != &s.waiting && c.queue.Len() == 0 {
		delete(s.byCaller, c.Caller())
	}
	c.queue, c.stranger = nil, nil
}

// gone forgets a connection that has ended.
func (s *strangers) gone(c *Client) {
	s.remove(c)
	if c.Evicted() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leaving--
	}
}

// makeRoom ends a connection, so that another one can be served where there are limit of them already.
// It is false where there is none to end. If many are leaving, the caller that has most is refused until
// these have gone, and for others one is cut off at once.
func (s *strangers) makeRoom(next net.Conn, limit int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ask()
	who, crowd := s.crowd(limit)
	for who.isOwner() && s.waiting.Len() > 0 {
		s.ask()
		who, crowd = s.crowd(limit)
	}
	if crowd == nil {
		return false
	}
	oldest := crowd.Front().Value.(*Client)
	many := s.leaving >= maxLeaving
	if many && oldest.Caller() == callerOf(next) {
		return false
	}
	s.take(oldest)
	s.leaving++
	oldest.evict()
	if many {
		oldest.Kill()
	}
	return true
}

// askedAtOnce is how many connections' callers are asked for at once, at some 10 µs each: others wait for
// that. Whoever fills the server has connections among the oldest, as a rule, and the next call asks on.
const askedAtOnce = 256

// ask asks for the callers of the oldest connections that nobody has asked for.
func (s *strangers) ask() {
	if s.byCaller == nil {
		s.byCaller = make(map[Caller]*list.List)
	}
	for range min(s.waiting.Len(), askedAtOnce) {
		c := s.waiting.Remove(s.waiting.Front()).(*Client)
		queue := s.byCaller[c.Caller()]
		if queue == nil {
			queue = list.New()
			s.byCaller[c.Caller()] = queue
		}
		s.put(c, queue)
	}
}

// crowd is the caller that has most connections, and its queue, or nil if there is none.
func (s *strangers) crowd(limit int64) (who Caller, crowd *list.List) {
	var most int64
	for next, queue := range s.byCaller {
		n := int64(queue.Len())
		if next.isOwner() {
			n -= limit / ownReserve
		}
		if crowd == nil || n > most || n == most && older(queue, crowd) {
			who, crowd, most = next, queue, n
		}
	}
	return who, crowd
}

// older reports whether the first connection of a came before that of b.
func older(a, b *list.List) bool {
	return a.Front().Value.(*Client).Opened.Before(b.Front().Value.(*Client).Opened)
}

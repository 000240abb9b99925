package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/machine"
)

// listener hands go-smtp connections that it can serve. It survives every error but its own end, and
// tells clients over the limit to come back later.
type listener struct {
	net.Listener
	srv         *Server
	asked       api.Listener // as configured
	implicitTLS atomic.Bool
	rejecting   atomic.Int64

	mu      sync.Mutex // guards what follows
	closed  bool       // no more rejects
	rejects sync.WaitGroup
}

func (l *listener) Accept() (net.Conn, error) {
	delay := 5 * time.Millisecond
	for {
		tcp, err := l.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || l.srv.stopping.Load() {
				return nil, err
			}
			l.srv.log.Error("accept failed; trying again", "address", l.Addr().String(), "err", err)
			if !pause(l.srv.hard, delay) {
				return nil, err
			}
			delay = min(2*delay, time.Second)
			continue
		}
		delay = 5 * time.Millisecond
		if c := l.srv.admit(tcp, l.implicitTLS.Load()); c != nil {
			return c, nil
		}
		l.reject(tcp)
	}
}

// serve hands connections to go-smtp until the listener is closed.
func (l *listener) serve() {
	err := l.srv.smtp.Serve(l)
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if err != nil && !closed && !l.srv.stopping.Load() {
		l.srv.log.Error("listener ended", "address", l.Addr().String(), "err", err)
	}
}

func (l *listener) status() api.Listener {
	return api.Listener{Protocol: l.asked.Protocol, Address: l.Addr().String(), TLS: l.implicitTLS.Load()}
}

// Close ends the listener and waits until the clients over the limit have been told to come back.
func (l *listener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	err := l.Listener.Close()
	l.rejects.Wait()
	return err
}

// admit counts a connection in; nil when there are too many and none of those without a login makes room.
func (s *Server) admit(tcp net.Conn, implicitTLS bool) *conn {
	if limit := s.capacity(); s.stats.connections.Add(1) > limit {
		s.stats.refused.Add(1)
		if !s.stopping.Load() && s.full.first() {
			s.log.Warn("too many connections: closing the oldest without a login, or refusing new ones",
				"client", tcp.RemoteAddr().String(), "max_connections", limit, "open_files", machine.OpenFiles)
		}
		if !s.strangers.makeRoom(tcp, limit) {
			s.stats.connections.Add(-1)
			return nil
		}
	}
	c := newConn(tcp, s, s.newID(), implicitTLS)
	s.mu.Lock()
	if s.stopping.Load() {
		s.mu.Unlock()
		s.stats.connections.Add(-1)
		return nil
	}
	s.conns[c] = struct{}{}
	s.live.Add(1)
	s.mu.Unlock()
	s.strangers.add(c)
	s.changed.wake()
	return c
}

// reject says 421 and closes, without holding up clients that may come in.
func (l *listener) reject(tcp net.Conn) {
	words := shuttingDown
	if !l.srv.stopping.Load() {
		words = fmt.Sprintf("421 4.3.2 Waxseal has reached its limit of %d connections; try again later", l.srv.capacity())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.rejecting.Add(1) > maxRejects {
		if !l.closed {
			l.rejecting.Add(-1)
		}
		tcp.Close()
		return
	}
	l.rejects.Go(func() {
		defer l.rejecting.Add(-1)
		defer tcp.Close()
		tcp.SetDeadline(time.Now().Add(lastWords))
		if l.implicitTLS.Load() {
			tcp = tls.Server(tcp, l.srv.tls)
		}
		io.WriteString(tcp, words+"\r\n")
	})
}

// perMinute counts what can happen thousands of times, so that the log does not say it as often.
type perMinute struct {
	mu    sync.Mutex // guards what follows
	began time.Time  // the minute
	n     int
}

// count counts one, and returns how many there are in this minute.
func (p *perMinute) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.began) >= time.Minute {
		p.began, p.n = time.Now(), 0
	}
	p.n++
	return p.n
}

// first counts one, and reports whether it is the first of this minute.
func (p *perMinute) first() bool { return p.count() == 1 }

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// isLoopback reports whether a local address can only be reached from this machine.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

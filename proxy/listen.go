package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// maxRejects bounds the goroutines that tell clients over the limit why.
const maxRejects = 64

// listen opens every address of the configuration, or none.
func (s *Server) listen() error {
	cfg := s.config()
	if _, err := s.certificate(nil); err != nil {
		return err
	}
	for _, group := range []struct {
		addrs    []string
		implicit bool
		security string
	}{{cfg.Listen, false, "starttls"}, {cfg.ListenTLS, true, "tls"}} {
		for _, addr := range group.addrs {
			l, err := net.Listen("tcp", addr)
			if is(err, notHere) {
				s.log.Warn("this machine does not have that address; going on without it", "address", addr)
				continue
			}
			if err != nil {
				return portError(addr, err)
			}
			s.mu.Lock()
			s.listeners = append(s.listeners, &listener{Listener: l, srv: s, implicitTLS: group.implicit})
			s.addresses = append(s.addresses, Listener{Address: l.Addr().String(), Security: group.security})
			s.mu.Unlock()
		}
	}
	if len(s.listeners) == 0 {
		return errors.New("no address to listen on: set `listen` or `listen_tls` in the configuration")
	}
	s.serveMetrics(cfg.Metrics)
	return nil
}

// Why an address cannot be listened on. Windows has numbers of its own
// (WSAEADDRINUSE and so on), which package syscall does not map to these.
var (
	inUse     = []error{syscall.EADDRINUSE, syscall.Errno(10048)}
	forbidden = []error{syscall.EACCES, syscall.Errno(10013)}
	notHere   = []error{syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.Errno(10049), syscall.Errno(10047)}
)

func is(err error, any []error) bool {
	return slices.ContainsFunc(any, func(target error) bool { return errors.Is(err, target) })
}

// portError says why an address cannot be listened on and how to go on.
func portError(addr string, err error) error {
	_, port, _ := net.SplitHostPort(addr)
	switch {
	case is(err, inUse):
		by := "another program"
		if who := portOwner(port); who != "" {
			by = who
		}
		return fmt.Errorf("port %s is taken by %s: end it, or set another port for %q in the configuration (listen, listen_tls): %w", port, by, addr, err)
	case is(err, forbidden):
		return fmt.Errorf("port %s may not be opened by this user: set one above 1023 for %q in the configuration (listen, listen_tls): %w", port, addr, err)
	}
	return fmt.Errorf("cannot listen on %q: %w", addr, err)
}

// serveMetrics opens the metrics address. That it is taken stops no mail.
func (s *Server) serveMetrics(addr string) {
	if addr == "" {
		return
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		s.log.Warn("no metrics", "err", portError(addr, err), "cure", "set `metrics` to a free port, or to \"\" for none")
		return
	}
	web := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	s.mu.Lock()
	s.web, s.metricsAt = web, l.Addr().String()
	s.mu.Unlock()
	s.wg.Go(func() {
		if err := web.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("metrics ended", "err", err)
		}
	})
}

// listener hands go-smtp connections it can serve. It survives every error but
// its own end, and tells clients over the limit to come back.
type listener struct {
	net.Listener
	srv         *Server
	implicitTLS bool
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
		if c := l.srv.admit(tcp, l.implicitTLS); c != nil {
			return c, nil
		}
		l.reject(tcp)
	}
}

// Close ends the listener and waits for those being told to come back.
func (l *listener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	err := l.Listener.Close()
	l.rejects.Wait()
	return err
}

// admit counts a connection in; nil when there are too many.
func (s *Server) admit(tcp net.Conn, implicitTLS bool) *conn {
	if s.stats.connections.Add(1) > int64(s.config().MaxConnections) {
		s.stats.connections.Add(-1)
		s.stats.refused.Add(1)
		return nil
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
	s.changed.wake()
	return c
}

// reject says 421 and closes, without holding up those who may come in.
func (l *listener) reject(tcp net.Conn) {
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
		tcp.SetDeadline(time.Now().Add(2 * time.Second))
		if l.implicitTLS {
			tcp = tls.Server(tcp, l.srv.tls)
		}
		fmt.Fprintf(tcp, "421 4.3.2 Waxseal has %d connections open, its limit (max_connections); try again later\r\n", l.srv.config().MaxConnections)
	})
}

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

package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// errStopping is the answer to a change that comes while the server ends.
var errStopping = errors.New("this Waxseal is ending")

// openings are what a configuration listens on, ready to replace what is listened
// on now. New addresses are open already and nobody is served there; those that
// stay are left alone, so that no connection notices.
type openings struct {
	s         *Server
	asked     []api.Listener
	listeners []*listener // for each of asked, new ones among them; nil where it cannot be listened on
	added     []*listener
	gone      []*listener
	kept      []*listener    // would be gone, but for their ports
	metrics   *metricsServer // nil: none
	notes     []string
}

// metricsServer serves Handler on an address.
type metricsServer struct {
	asked string // as configured
	inner net.Listener
	http  *http.Server
}

// open opens what cfg listens on and the server does not, or nothing. The metrics
// stop no mail: at the start, and later where they could not be opened then, it is
// told in the log that they cannot. The caller holds s.edit.
func (s *Server) open(cfg config.Config) (*openings, error) {
	o := &openings{s: s, metrics: s.web}
	if o.metrics != nil && o.metrics.asked != cfg.Metrics {
		o.metrics = nil
	}
	o.match(cfg)
	for i, l := range o.listeners {
		if l != nil {
			continue
		}
		inner, err := o.listen(o.asked[i].Address)
		if err != nil {
			o.undo()
			return nil, err
		}
		if inner != nil {
			o.listeners[i] = &listener{Listener: inner, srv: s, asked: o.asked[i]}
			o.added = append(o.added, o.listeners[i])
		}
	}
	if o.metrics == nil && cfg.Metrics != "" {
		inner, err := o.listen(cfg.Metrics)
		switch {
		case err == nil && inner != nil:
			o.metrics = s.newMetricsServer(cfg.Metrics, inner)
		case err != nil && s.isOpen && cfg.Metrics != s.config().Metrics:
			o.undo()
			return nil, err
		case err != nil:
			s.log.Warn("no metrics", "err", err, "cure", "set `metrics` to a free port, or to \"\" for none")
		}
	}
	if len(o.kept) == 0 && !slices.ContainsFunc(o.listeners, func(l *listener) bool { return l != nil }) {
		o.undo()
		return nil, errors.New("no address to listen on: set `listen` or `listen_tls` in the configuration")
	}
	return o, nil
}

// match finds what is open already. An address that moved between listen and
// listen_tls stays open and gets its other security when the openings are used.
func (o *openings) match(cfg config.Config) {
	o.asked = cfg.Listeners()
	o.listeners = make([]*listener, len(o.asked))
	o.gone = slices.Clone(o.s.listeners)
	take := func(i int, fits func(l *listener) bool) {
		at := slices.IndexFunc(o.gone, func(l *listener) bool { return l.asked.Address == o.asked[i].Address && fits(l) })
		if o.listeners[i] == nil && at >= 0 {
			o.listeners[i] = o.gone[at]
			o.gone = slices.Delete(o.gone, at, at+1)
		}
	}
	for i := range o.asked {
		take(i, func(l *listener) bool { return l.implicitTLS.Load() == o.asked[i].TLS })
	}
	for i := range o.asked {
		take(i, func(*listener) bool { return true })
	}
}

// listen opens an address. It gives nil where this machine does not have it, and
// where the server itself has the port until its next start.
func (o *openings) listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case is(err, notHere):
		o.s.log.Warn("this machine does not have that address; going on without it", "address", addr)
		if !slices.Contains(o.s.config().Addresses(), addr) { // asked for just now
			o.notes = append(o.notes, "this machine does not have the address of "+addr+", so nobody is served there")
		}
		return nil, nil
	case is(err, inUse) && o.keep(portOf(addr)):
		o.notes = append(o.notes, fmt.Sprintf("%s takes effect at the next start: until then Waxseal itself uses its port on another address", addr))
		return nil, nil
	}
	return nil, portError(addr, err)
}

// keep looks whether the server's own use of a port, which would end now, is in
// the way of a new one. Closing first could leave it with neither, so the old use
// stays.
func (o *openings) keep(port string) bool {
	same := func(l *listener) bool { return portOf(l.Addr().String()) == port }
	for _, l := range o.gone {
		if same(l) {
			o.kept = append(o.kept, l)
		}
	}
	o.gone = slices.DeleteFunc(o.gone, same)
	if web := o.s.web; web != nil && o.metrics == nil && portOf(web.inner.Addr().String()) == port {
		o.metrics = web
		o.notes = append(o.notes, "metrics takes effect at the next start")
	}
	return slices.ContainsFunc(o.kept, same) || o.metrics == o.s.web && o.metrics != nil && portOf(o.metrics.inner.Addr().String()) == port
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// undo closes what was opened.
func (o *openings) undo() {
	for _, l := range o.added {
		l.Close()
	}
	if o.metrics != nil && o.metrics != o.s.web {
		o.metrics.inner.Close()
	}
}

// use serves on what was opened and closes what is not asked for any more;
// connections that came in there go on. Behind a stop it is errStopping, and
// nothing was done.
func (o *openings) use() error {
	s := o.s
	s.mu.Lock()
	if s.stopping.Load() {
		s.mu.Unlock()
		o.undo()
		return errStopping
	}
	s.isOpen = true
	var now []*listener
	for i, l := range o.listeners {
		if l != nil {
			l.implicitTLS.Store(o.asked[i].TLS)
			now = append(now, l)
		}
	}
	s.listeners = append(now, o.kept...)
	for _, l := range o.added {
		s.wg.Go(func() { l.serve() })
	}
	before := s.web
	s.web = o.metrics
	if o.metrics != before {
		if o.metrics != nil {
			s.wg.Go(o.metrics.serve(s))
		}
		if before != nil {
			s.wg.Go(before.end(s.hard))
		}
	}
	s.mu.Unlock()
	for _, l := range o.gone {
		l.Close()
	}
	return nil
}

func (s *Server) newMetricsServer(asked string, inner net.Listener) *metricsServer {
	return &metricsServer{asked, inner, &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}}
}

func (m *metricsServer) serve(s *Server) func() {
	return func() {
		if err := m.http.Serve(m.inner); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("metrics ended", "err", err)
		}
	}
}

// end lets answers under way go out first.
func (m *metricsServer) end(hard context.Context) func() {
	return func() {
		ctx, cancel := context.WithTimeout(hard, 5*time.Second)
		defer cancel()
		m.http.Shutdown(ctx)
		m.http.Close()
	}
}

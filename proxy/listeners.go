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
	"github.com/waxseal/waxseal/proxy/machine"
)

// errStopping is the answer to a change that comes while the server stops.
var errStopping error = &api.Problem{What: api.Say("Waxseal is stopping."), Cure: api.Say("Start it again, then repeat the change.")}

// listenPlan is what a configuration listens on, ready to replace what the server listens
// on now. New addresses are already open, but nobody is served there yet; addresses that
// stay are left alone, so that no connection notices the change.
type listenPlan struct {
	s         *Server
	asked     []api.Listener
	listeners []*listener // one for each of asked, old or new; nil if its address cannot be listened on
	added     []*listener
	gone      []*listener
	kept      []*listener    // should be gone, but their ports are needed until the next start
	metrics   *metricsServer // nil: no metrics
	notes     []string
}

// metricsServer serves Handler on an address.
type metricsServer struct {
	asked string // as configured
	inner net.Listener
	http  *http.Server
}

// planListening opens the addresses of cfg on which the server does not listen yet, or none
// of them. Metrics that cannot be opened do not stop mail: at the start, and later if their
// address has not changed, that is only logged. The caller holds s.edit.
func (s *Server) planListening(cfg config.Config) (*listenPlan, error) {
	p := &listenPlan{s: s, metrics: s.web}
	if p.metrics != nil && p.metrics.asked != cfg.Metrics {
		p.metrics = nil
	}
	p.matchOpen(cfg)
	for i, l := range p.listeners {
		if l != nil {
			continue
		}
		inner, err := p.listen(p.asked[i].Address)
		if err != nil {
			p.undo()
			return nil, err
		}
		if inner != nil {
			p.listeners[i] = &listener{Listener: inner, srv: s, asked: p.asked[i]}
			p.added = append(p.added, p.listeners[i])
		}
	}
	if p.metrics == nil && cfg.Metrics != "" {
		inner, err := p.listen(cfg.Metrics)
		switch {
		case err == nil && inner != nil:
			p.metrics = s.newMetricsServer(cfg.Metrics, inner)
		case err != nil && s.isOpen && cfg.Metrics != s.config().Metrics:
			p.undo()
			return nil, err
		case err != nil:
			s.log.Warn("no metrics", "err", err, "cure", "set `metrics` to a free port, or to \"\" to turn them off")
		}
	}
	if len(p.kept) == 0 && !slices.ContainsFunc(p.listeners, func(l *listener) bool { return l != nil }) {
		p.undo()
		return nil, &api.Problem{Lasting: true, What: api.Say("There is no address for mail programs to connect to."),
			Cure: api.Say("Set listen or listen_tls in the settings or the configuration file."), Do: api.OpenSetting}
	}
	return p, nil
}

// matchOpen finds the addresses that are already open. An address that moved between listen
// and listen_tls stays open, and its security changes when the plan is applied.
func (p *listenPlan) matchOpen(cfg config.Config) {
	p.asked = cfg.Listeners()
	p.listeners = make([]*listener, len(p.asked))
	p.gone = slices.Clone(p.s.listeners)
	take := func(i int, fits func(l *listener) bool) {
		at := slices.IndexFunc(p.gone, func(l *listener) bool {
			return l.asked.Address == p.asked[i].Address && l.asked.Protocol == p.asked[i].Protocol && fits(l)
		})
		if p.listeners[i] == nil && at >= 0 {
			p.listeners[i] = p.gone[at]
			p.gone = slices.Delete(p.gone, at, at+1)
		}
	}
	for i := range p.asked {
		take(i, func(l *listener) bool { return l.implicitTLS.Load() == p.asked[i].TLS })
	}
	for i := range p.asked {
		take(i, func(*listener) bool { return true })
	}
}

// listen opens an address. It returns nil if this machine does not have the address, or if
// the server itself uses the port until its next start.
func (p *listenPlan) listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case machine.IsAny(err, machine.NotHere):
		p.s.log.Warn("this machine does not have the address; continuing without it", "address", addr)
		if !slices.Contains(p.s.config().Addresses(), addr) { // the user asked for it just now
			p.notes = append(p.notes, "this computer does not have the address of "+addr+", so mail programs can't connect there")
		}
		return nil, nil
	case machine.IsAny(err, machine.InUse) && p.keepPort(portOf(addr)):
		p.notes = append(p.notes, fmt.Sprintf("%s takes effect at the next start: until then Waxseal itself uses its port on another address", addr))
		return nil, nil
	}
	return nil, machine.PortError(addr, err)
}

// keepPort reports whether the server itself uses a port that a new address needs, and keeps
// it in use if it was to be closed. Closing it first could leave the server with neither.
func (p *listenPlan) keepPort(port string) bool {
	same := func(l *listener) bool { return portOf(l.Addr().String()) == port }
	for _, l := range p.gone {
		if same(l) {
			p.kept = append(p.kept, l)
		}
	}
	p.gone = slices.DeleteFunc(p.gone, same)
	if web := p.s.web; web != nil && p.metrics == nil && portOf(web.inner.Addr().String()) == port {
		p.metrics = web
		p.notes = append(p.notes, "metrics takes effect at the next start")
	}
	return slices.ContainsFunc(p.kept, same) || p.metrics == p.s.web && p.metrics != nil && portOf(p.metrics.inner.Addr().String()) == port
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// undo closes the addresses that were opened.
func (p *listenPlan) undo() {
	for _, l := range p.added {
		l.Close()
	}
	if p.metrics != nil && p.metrics != p.s.web {
		p.metrics.inner.Close()
	}
}

// apply serves on the addresses that were opened and closes those that are no longer asked
// for; connections that came in there continue. After a stop it does nothing and returns
// errStopping.
func (p *listenPlan) apply() error {
	s := p.s
	s.mu.Lock()
	if s.hall.Stopping() {
		s.mu.Unlock()
		p.undo()
		return errStopping
	}
	s.isOpen = true
	var now []*listener
	for i, l := range p.listeners {
		if l != nil {
			l.implicitTLS.Store(p.asked[i].TLS)
			now = append(now, l)
		}
	}
	s.listeners = append(now, p.kept...)
	for _, l := range p.added {
		s.wg.Go(func() { l.serve() })
	}
	before := s.web
	s.web = p.metrics
	if p.metrics != before {
		if p.metrics != nil {
			s.wg.Go(p.metrics.serve(s))
		}
		if before != nil {
			s.wg.Go(before.end(s.hall.Hard()))
		}
	}
	s.mu.Unlock()
	for _, l := range p.gone {
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
			s.log.Error("the metrics server ended", "err", err)
		}
	}
}

// end closes the server after the answers in progress.
func (m *metricsServer) end(hard context.Context) func() {
	return func() {
		ctx, cancel := context.WithTimeout(hard, 5*time.Second)
		defer cancel()
		m.http.Shutdown(ctx)
		m.http.Close()
	}
}

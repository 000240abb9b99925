package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/balancer"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// headers are what a listener's connections from balancers begin with, while they are read.
type headers struct {
	ctx     context.Context
	stop    context.CancelFunc
	reading sync.WaitGroup
}

// begin lets headers be read until ctx ends, or end is called.
func (h *headers) begin(ctx context.Context) (end func()) {
	h.ctx, h.stop = context.WithCancel(ctx)
	return h.end
}

// end gives up the headers that have not come. Nothing is read any more when it returns.
func (h *headers) end() {
	h.stop()
	h.reading.Wait()
}

// fromBalancer reports whether a connection has to begin with a balancer's header.
func (s *Server) fromBalancer(tcp net.Conn) bool {
	cfg := s.config()
	return len(cfg.ProxyProtocol.From) > 0 && cfg.Balancers().Contain(tcp.RemoteAddr())
}

// noHeader is what whoever sends no header is told: a balancer's administrator with a terminal, or a
// program on an address that only a balancer should use.
const noHeader = "A PROXY protocol header is required from this address"

// introduce reads the header of a balancer's connection, without holding up others, and has its client
// served. serve must not wait for the client's end.
func (l *listener) introduce(tcp net.Conn, serve func(*mailbox.Client)) {
	s := l.srv
	if s.introducing.Add(1) > int64(mailbox.MaxHeaders()) {
		s.introducing.Add(-1)
		tcp.Close()
		if s.headerless.First() {
			s.log.Warn("too many connections from balancers wait for their PROXY protocol header; refusing more", "balancer", tcp.RemoteAddr().String(), "limit", mailbox.MaxHeaders())
		}
		return
	}
	l.headers.reading.Go(func() {
		defer func() {
			if r := recover(); r != nil {
				tcp.Close()
				s.log.Error("panic before a session; the connection ends, the others continue", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			}
		}()
		conn := l.header(tcp)
		s.introducing.Add(-1)
		if conn == nil {
			return
		}
		if c := l.admit(conn); c != nil {
			serve(c)
		}
	})
}

// header reads a header, or ends the connection. A balancer that only looks whether the port is open is
// not worth a word.
func (l *listener) header(tcp net.Conn) *balancer.Conn {
	conn, err := balancer.Read(l.headers.ctx, tcp)
	switch {
	case err == nil:
		return conn
	case errors.Is(err, balancer.ErrClosed), l.headers.ctx.Err() != nil:
		tcp.Close()
		return nil
	}
	if l.srv.headerless.First() {
		l.srv.log.Warn("a connection from an address in `[proxy_protocol] from` has no usable header, and is refused", "balancer", tcp.RemoteAddr().String(),
			"port", l.Addr().String(), "err", err, "cure", "let the balancer send the header (in HAProxy: send-proxy-v2), or take the address out of `from`")
	}
	if l.implicitTLS.Load() { // what began as TLS cannot be answered any more
		tcp.Close()
		return nil
	}
	l.reject(tcp, noHeader)
	return nil
}

// checkBalancers says whose word about clients is believed.
func (s *Server) checkBalancers(context.Context) (finding, error) {
	from := s.config().Balancers()
	if everybody := from.Everybody(); everybody != "" {
		return finding{}, &api.Problem{Lasting: true,
			What: api.Say("With {{.Network}} in the list of load balancers, everyone can claim to be any client.", "Network", everybody),
			Cure: api.Say("List only the addresses of your load balancers.")}
	}
	if own := from.Own(); own != "" {
		return finding{}, &api.Problem{Lasting: true,
			What: api.Say("{{.Network}} in the list of load balancers includes programs on this computer. They send no PROXY protocol header and are refused.", "Network", own),
			Cure: api.Say("Have the load balancer connect from an address of its own, such as 127.0.0.2, and list that one.")}
	}
	return found("PROXY protocol headers are accepted from {{.Networks}}.", "Networks", from.String()), nil
}

// warnAboutBalancers logs what checkBalancers finds wrong.
func (s *Server) warnAboutBalancers() {
	if len(s.config().ProxyProtocol.From) == 0 {
		return
	}
	if _, err := s.checkBalancers(context.Background()); err != nil {
		problem := mailbox.ExplainAlone(err)
		s.log.Warn("[proxy_protocol] is too wide", "why", problem.Summary(), "cure", problem.Cure.String())
	}
}

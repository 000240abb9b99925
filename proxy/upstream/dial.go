package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/waxseal/waxseal/proxy/tcp"
)

// connect makes a logged-in connection. A token that the provider calls bad is
// rejected and replaced once; the second try has a connection of its own, since
// servers differ in what they allow behind a failed AUTH.
func (p *Pool) connect(ctx context.Context) (*conn, error) {
	p.cfg.Stats.Dialling.Add(1)
	defer p.cfg.Stats.Dialling.Add(-1)
	var refused string
	for {
		// The token comes first: without one no connection is of use.
		token, err := p.cfg.Tokens.Token(ctx)
		if err != nil {
			return nil, p.note(ctx, fmt.Errorf("token for %s: %w", p.cfg.Login, err))
		}
		c, err := p.reach(ctx)
		if err != nil {
			return nil, p.note(ctx, err)
		}
		err = p.login(ctx, c, token.Value)
		if err == nil && c.broken { // cut in the last moment
			err = c.fail(ctx, "AUTH", errDialTimeout)
		}
		if err == nil {
			return c, nil
		}
		c.close()
		var auth *AuthError
		if refused != "" || !errors.As(err, &auth) || !p.stale(auth, token.Value) {
			return nil, p.note(ctx, err)
		}
		refused = token.Value
		p.cfg.Log.InfoContext(ctx, "the provider refused the token, refreshing it", "login", p.cfg.Login, "reply", auth.Reply.String())
		p.cfg.Tokens.Reject(refused)
	}
}

// reach makes a connection up to the reply to EHLO. That much tells of the host's
// health, and so stands behind its breaker; the login tells of the account's.
// What only a person can change is no matter of health: it must not turn into
// "try again later".
func (p *Pool) reach(ctx context.Context) (c *conn, err error) {
	p.cfg.Stats.Dials.Add(1)
	try := func() error {
		ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.DialTimeout, errDialTimeout)
		defer cancel()
		if c, err = p.greet(ctx); errors.Is(err, ErrNoTLS) || errors.Is(err, ErrNotLoopback) {
			return nil
		}
		return err
	}
	if p.cfg.Breaker == nil {
		try()
	} else if failed := p.cfg.Breaker.Do(try); failed != nil {
		err = failed
	}
	return c, err
}

// errDialTimeout is a deadline of ours, not of the caller.
var errDialTimeout = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)

func (p *Pool) greet(ctx context.Context) (*conn, error) {
	raw, err := p.dial(ctx, p.cfg.Addr)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, &ConnError{Op: "connecting", Addr: p.cfg.Addr, Err: err}
	}
	c := newConn(tcp.Direct(raw), p.cfg.Addr, p.cfg.ReplyTimeout)
	stop := c.guard(ctx)
	err = p.introduce(ctx, c)
	stop()
	if err == nil && c.broken { // ctx ended in the last moment
		err = c.fail(ctx, "EHLO", ctx.Err())
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// introduce takes a new connection through TLS, greeting and EHLO.
func (p *Pool) introduce(ctx context.Context, c *conn) error {
	if p.cfg.TLS == Implicit {
		if err := p.handshake(ctx, c); err != nil {
			return err
		}
	}
	r, err := c.read(ctx, c.timeout)
	if err == nil && r.Code != 220 {
		err = &ReplyError{r}
	}
	if err != nil {
		return c.fail(ctx, "greeting", err)
	}
	if err := p.hello(ctx, c); err != nil || p.cfg.TLS != StartTLS {
		return err
	}
	if !c.x.startTLS {
		return fmt.Errorf("%s: %w", c.addr, ErrNoTLS)
	}
	r, err = c.command(ctx, "STARTTLS", "STARTTLS")
	if err != nil {
		return err
	}
	if r.Code != 220 {
		return c.fail(ctx, "STARTTLS", &ReplyError{r})
	}
	// Text that somebody slipped in behind the reply would be taken for the
	// server's first words under TLS (RFC 3207 section 5, CVE-2011-0411).
	if c.r.Buffered() > 0 {
		return c.fail(ctx, "STARTTLS", errInjected)
	}
	if err := p.handshake(ctx, c); err != nil {
		return err
	}
	return p.hello(ctx, c) // what was offered in the clear does not count
}

func (p *Pool) hello(ctx context.Context, c *conn) error {
	r, err := c.command(ctx, "EHLO", "EHLO "+p.cfg.Hello)
	if err != nil {
		return err
	}
	if !r.ok() {
		return c.fail(ctx, "EHLO", &ReplyError{r})
	}
	c.x = parseExtensions(r)
	return nil
}

func (p *Pool) handshake(ctx context.Context, c *conn) error {
	t := secure(c.raw, p.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		return c.fail(ctx, "TLS handshake", err)
	}
	c.use(t)
	return nil
}

// newTLSConfig is shared by a pool's connections, so that they resume each
// other's sessions.
func newTLSConfig(cfg Config) *tls.Config {
	host, _, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		host = cfg.Addr // dialling will say what is wrong with it
	}
	return &tls.Config{
		ServerName:         host,
		RootCAs:            cfg.RootCAs,
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
		// Go starts a connection with records of one packet each, for web pages
		// that are drawn as they come. A message is of no use before its end.
		DynamicRecordSizingDisabled: true,
	}
}

// dialer is how a pool reaches its server. In mode "none" it refuses any address
// off this machine before the first packet leaves, and knows no proxy.
func dialer(cfg Config) func(ctx context.Context, addr string) (net.Conn, error) {
	d, proxy := &net.Dialer{}, cfg.Proxy
	if cfg.TLS == NoTLS {
		proxy = nil
		d.ControlContext = func(_ context.Context, _, addr string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(addr)
			if err != nil || !ap.Addr().Unmap().IsLoopback() {
				return fmt.Errorf("%s: %w", addr, ErrNotLoopback)
			}
			return nil
		}
	}
	return func(ctx context.Context, addr string) (net.Conn, error) { return Dial(ctx, d, proxy, addr) }
}

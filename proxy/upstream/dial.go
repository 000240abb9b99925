package upstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/tcp"
)

// connect makes a logged-in connection. A token that the provider calls bad is rejected and replaced
// once; the second try has a connection of its own, since servers differ in what they allow after a
// failed AUTH.
func (p *Pool) connect(ctx context.Context) (*conn, error) {
	p.cfg.Stats.Dialling.Add(1)
	defer p.cfg.Stats.Dialling.Add(-1)
	var refused string
	for {
		// The token comes first: without one a connection is of no use.
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
			err = c.fail(ctx, "AUTH", errBrokeOff)
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

// reach makes a connection up to the reply to EHLO. That much tells about the host's health, so it is
// behind the host's breaker; the login only tells about the account. What only a person can change
// does not count: it must not turn into "try again later". Neither does a caller who left.
func (p *Pool) reach(ctx context.Context) (c *conn, err error) {
	p.cfg.Stats.Dials.Add(1)
	try := func() error {
		c, err = p.greet(ctx)
		switch {
		case err == nil, errors.Is(err, dial.ErrNoTLS), errors.Is(err, dial.ErrNotLoopback), errors.Is(err, ErrHello):
			return nil
		case ctx.Err() != nil:
			return context.Canceled
		}
		return err
	}
	if p.cfg.Breaker == nil {
		try()
	} else if open, ok := errors.AsType[*breaker.OpenError](p.cfg.Breaker.Do(try)); ok {
		err = open
	}
	return c, err
}

// greet connects, and goes as far as the reply to EHLO.
func (p *Pool) greet(ctx context.Context) (*conn, error) {
	raw, err := p.server.TCP(ctx)
	if err != nil {
		return nil, &ConnError{Op: dial.Connecting, Addr: p.cfg.Addr, Err: err}
	}
	c := newConn(tcp.Direct(raw), p.cfg.Addr, p.cfg.ReplyTimeout)
	stop := c.guard(ctx)
	err = p.introduce(ctx, c)
	stop()
	if err == nil && c.broken { // ctx ended in the last moment
		err = c.fail(ctx, "EHLO", errBrokeOff)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// introduce takes a new connection through TLS, greeting and EHLO.
func (p *Pool) introduce(ctx context.Context, c *conn) error {
	if p.cfg.TLS == dial.Implicit {
		if err := p.handshake(ctx, c); err != nil {
			return err
		}
	}
	r, err := c.read(ctx, c.timeout)
	if err == nil {
		r, err = c.rest(r)
	}
	if err == nil && r.Code != 220 {
		err = &ReplyError{r}
	}
	if err != nil {
		return c.fail(ctx, "greeting", err)
	}
	if err := p.hello(ctx, c); err != nil || p.cfg.TLS != dial.StartTLS {
		return err
	}
	if !c.x.startTLS {
		return fmt.Errorf("%s: %w", c.addr, dial.ErrNoTLS)
	}
	r, err = c.command(ctx, "STARTTLS", "STARTTLS", c.timeout)
	if err != nil {
		return err
	}
	if r.Code != 220 {
		return c.fail(ctx, "STARTTLS", &ReplyError{r})
	}
	// Text that somebody slipped in after the reply would be taken for the server's first words under
	// TLS (RFC 3207 section 5, CVE-2011-0411).
	if c.r.Buffered() > 0 {
		return c.fail(ctx, "STARTTLS", dial.ErrInjected)
	}
	if err := p.handshake(ctx, c); err != nil {
		return err
	}
	return p.hello(ctx, c) // what was offered in clear text does not count
}

// hello says EHLO and learns what the server offers.
func (p *Pool) hello(ctx context.Context, c *conn) error {
	name := p.cfg.Hello
	if name == "" {
		name = helloName(hostName(), c.raw.LocalAddr())
	} else if err := CheckHello(name); err != nil {
		return err
	}
	r, err := c.ask(ctx, "EHLO", "EHLO "+name)
	if err != nil {
		return err
	}
	if r.Code == 220 { // a second greeting; some servers greet again after STARTTLS
		if r, err = c.read(ctx, c.timeout); err != nil {
			return c.fail(ctx, "EHLO", err)
		}
	}
	if !r.ok() {
		return c.fail(ctx, "EHLO", &ReplyError{r})
	}
	c.x = parseExtensions(r)
	return nil
}

func (p *Pool) handshake(ctx context.Context, c *conn) error {
	t, err := p.server.Handshake(ctx, c.raw)
	if err != nil {
		c.broken = true
		return &ConnError{Op: dial.Handshake, Addr: c.addr, Err: err}
	}
	c.use(t)
	return nil
}

package upstream

import (
	"context"
	"fmt"
)

// Check says whether the provider lets the account in with its current token: nil, or why not. The first
// call for a token logs in and leaves the connection warm; later ones cost nothing. Callers at the same
// time share one login, which continues when the caller that started it leaves.
func (p *Pool) Check(ctx context.Context) error {
	token, err := p.cfg.Tokens.Token(ctx)
	if err != nil {
		return p.note(ctx, fmt.Errorf("token for %s: %w", p.cfg.Login, err))
	}
	if p.isAccepted(token.Value) {
		return nil
	}
	done := p.checks.DoChan("", func() (any, error) {
		if !p.begin() {
			return nil, ErrClosed
		}
		defer p.work.Done()
		return nil, p.prove(token.Value)
	})
	select {
	case r := <-done:
		return r.Err
	case <-ctx.Done():
		return fmt.Errorf("checking the login of %s: %w", p.cfg.Login, context.Cause(ctx))
	}
}

// begin counts a goroutine that Close must wait for, and reports whether the pool is open.
func (p *Pool) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.work.Add(1)
	}
	return !p.closed
}

// prove logs in with the current token, in a turn of its own.
func (p *Pool) prove(token string) error {
	c, err := p.lease(p.ctx, p.cfg.WaitTimeout)
	if err != nil {
		return err
	}
	if c.token != token { // a warm connection from before the token changed
		p.discard(c)
		if c, err = p.renew(p.ctx); err != nil {
			p.release(nil)
			return err
		}
	}
	p.release(c)
	return nil
}

func (p *Pool) isAccepted(token string) bool {
	t := p.accepted.Load()
	return t != nil && *t == token
}

package upstream

import (
	"context"
	"slices"
	"time"
)

// arm starts the timer that closes idle connections, unless it is running. The caller holds p.mu, and
// there is a warm connection.
func (p *Pool) arm() {
	if p.armed {
		return
	}
	p.armed = true
	// The first in the list has been idle the longest.
	p.timer = time.AfterFunc(time.Until(p.warm[0].used.Add(p.cfg.IdleTimeout)), p.sweep)
}

// sweep closes the connections that have been idle for long enough.
func (p *Pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	n := 0
	for n < len(p.warm) && time.Since(p.warm[n].used) >= p.cfg.IdleTimeout {
		n++
	}
	p.dismiss(n)
	if len(p.warm) > 0 {
		p.arm()
	}
}

// outlived reports whether a warm connection should have been closed by now. Timers stand still while
// the machine sleeps, but the wall clock shows how much time has passed; by then the server has hung up
// and nobody heard it.
func (p *Pool) outlived(c *conn) bool {
	return p.cfg.Now().Round(0).Sub(c.used.Round(0)) > p.cfg.IdleTimeout
}

// dismiss closes the n longest idle connections. The caller holds p.mu.
func (p *Pool) dismiss(n int) {
	for _, c := range p.warm[:n] {
		p.cfg.Stats.Warm.Add(-1)
		p.work.Go(c.quit)
	}
	p.warm = slices.Delete(p.warm, 0, n)
	p.open -= n
}

// Drop closes the warm connections, and the busy ones when their message is done: after a suspend, a
// change of network, or when the account's consent is gone.
func (p *Pool) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.gen++
	p.dismiss(len(p.warm))
}

// Close ends the pool: whoever waits for a turn gets [ErrClosed], warm connections are told QUIT, busy
// ones are closed when their transaction is. It waits for the goroutines of the pool, which take no
// longer than two seconds, until ctx ends.
func (p *Pool) Close(ctx context.Context) {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		p.cancel()
		if p.timer != nil {
			p.timer.Stop()
		}
		p.dismiss(len(p.warm))
		for _, w := range p.waiting {
			close(w)
		}
		p.waiting = nil
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { p.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

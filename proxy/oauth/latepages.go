package oauth

import (
	"context"
	"sync"
	"time"
)

// LatePages keeps the last page of each sign-in for a few minutes after its end. A browser that is
// reloaded, or comes back from a sign-in that was cancelled or took too long, then shows what became
// of it, and not that there is no such server.
type LatePages struct {
	life context.Context
	end  context.CancelFunc
	kept sync.WaitGroup

	mu   sync.Mutex
	list []context.CancelFunc // closes a page; the oldest first
}

const (
	lateTime = 5 * time.Minute // how long a page is kept
	maxLate  = 8               // how many are, each on a port of its own
)

// NewLatePages makes an empty one. It must be closed after the last sign-in.
func NewLatePages() *LatePages {
	p := &LatePages{}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// keep leaves a redirection open after the end of its sign-in. A nil p closes it at once.
func (p *LatePages) keep(r *redirection) {
	if p == nil {
		r.close(showTime)
		return
	}
	r.tell(ended)
	since := time.Now()
	ctx, cancel := context.WithTimeout(p.life, lateTime)
	p.mu.Lock()
	p.list = append(p.list, cancel)
	if len(p.list) > maxLate {
		p.list[0]()
		p.list = p.list[1:]
	}
	p.mu.Unlock()
	p.kept.Go(func() {
		defer cancel()
		<-ctx.Done()
		r.close(showTime - time.Since(since))
	})
}

// Close closes all pages. A browser that has just brought an answer has three seconds to come for the
// last page.
func (p *LatePages) Close() {
	p.end()
	p.kept.Wait()
}

package mailbox

import (
	"sync"
	"time"
)

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

package mailbox

import (
	"sync"
	"time"
)

// PerMinute counts what can happen thousands of times, so that the log does not say it as often. All methods
// may be called by many goroutines.
type PerMinute struct {
	mu    sync.Mutex // guards what follows
	began time.Time  // the minute
	n     int
}

// count counts one, and returns how many there are in this minute.
func (p *PerMinute) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.began) >= time.Minute {
		p.began, p.n = time.Now(), 0
	}
	p.n++
	return p.n
}

// First counts one, and reports whether it is the first of this minute.
func (p *PerMinute) First() bool { return p.count() == 1 }

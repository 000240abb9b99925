package providertest

import (
	"sync"
	"time"
)

// quota counts what each account has sent, in windows that roll, as Exchange does.
type quota struct {
	mu      sync.Mutex
	sent    map[string][]sentAt // by folded address, oldest first
	refused int64
}

type sentAt struct {
	time  time.Time
	rcpts int
}

// Limits that a message goes over.
type overLimit int

const (
	withinLimits overLimit = iota
	overMinute
	overDay
)

const day = 24 * time.Hour

// take counts a message, or says which limit it goes over.
func (q *quota) take(account string, rcpts int, o *Options) overLimit {
	if o.MaxPerMinute == 0 && o.MaxRecipientsPerDay == 0 {
		return withinLimits
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now, key := time.Now(), fold(account)
	minute, today := 0, 0
	for _, s := range q.sent[key] {
		if now.Sub(s.time) < o.Minute {
			minute++
		}
		if now.Sub(s.time) < day {
			today += s.rcpts
		}
	}
	switch {
	case o.MaxPerMinute > 0 && minute >= o.MaxPerMinute:
		q.refused++
		return overMinute
	case o.MaxRecipientsPerDay > 0 && today+rcpts > o.MaxRecipientsPerDay:
		q.refused++
		return overDay
	}
	if q.sent == nil {
		q.sent = map[string][]sentAt{}
	}
	q.sent[key] = append(q.sent[key], sentAt{now, rcpts})
	return withinLimits
}

// OverLimit is how many messages were refused because of MaxPerMinute or MaxRecipientsPerDay.
func (p *Provider) OverLimit() int64 {
	p.quota.mu.Lock()
	defer p.quota.mu.Unlock()
	return p.quota.refused
}

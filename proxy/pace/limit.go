package pace

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Kind is one of the limits that a provider may have.
type Kind string

const (
	PerMinute        Kind = "messages_per_minute"
	MessagesPerDay   Kind = "messages_per_day"
	RecipientsPerDay Kind = "recipients_per_day"
)

// Kinds are all of them.
var Kinds = []Kind{PerMinute, MessagesPerDay, RecipientsPerDay}

// Error is a limit that keeps a message from going now.
type Error struct {
	Kind  Kind
	Limit int
	Wait  time.Duration // of PerMinute: after so long, it is probably this message's turn
	Until time.Time     // of a day's limit: when the account may send again
}

func (e *Error) Error() string {
	if e.Kind == PerMinute {
		return fmt.Sprintf("%d %s; again in %d s", e.Limit, e.Kind, e.Seconds())
	}
	return fmt.Sprintf("%d %s; again at %s", e.Limit, e.Kind, e.Until.UTC().Format(time.RFC3339))
}

// Seconds is Wait in whole seconds, rounded up, at least 1: "again in 0 seconds" would be nonsense.
func (e *Error) Seconds() int { return max(1, int(math.Ceil(e.Wait.Seconds()))) }

// late is the error of a message whose turn comes too late.
func (p *Pacer) late(wait time.Duration) *Error {
	p.refused[PerMinute]++
	return &Error{Kind: PerMinute, Limit: p.limits.PerMinute, Wait: wait}
}

// dayFull is the error of so many more messages and recipients; nil if the day's limits allow them. The messages that
// are going count as if they were sent.
func (p *Pacer) dayFull(messages, recipients int64) *Error {
	if p.limits.Messages <= 0 && p.limits.Recipients <= 0 {
		return nil
	}
	now := p.now()
	used := p.used(now)
	switch {
	case messages > 0 && p.limits.Messages > 0 && used.Messages+messages > int64(p.limits.Messages):
		return &Error{Kind: MessagesPerDay, Limit: p.limits.Messages, Until: p.until(now, MessagesPerDay)}
	case recipients > 0 && p.limits.Recipients > 0 && used.Recipients+recipients > int64(p.limits.Recipients):
		return &Error{Kind: RecipientsPerDay, Limit: p.limits.Recipients, Until: p.until(now, RecipientsPerDay)}
	}
	return nil
}

// used is what counts in the day, on all machines, messages that are going included.
func (p *Pacer) used(now time.Time) Counts {
	own, elsewhere := p.own.Sum(now), p.elsewhere.Sum(now)
	return Counts{own.Messages + elsewhere.Messages + p.going.Messages, own.Recipients + elsewhere.Recipients + p.going.Recipients}
}

// until is when the first message may go after a day's limit was reached.
func (p *Pacer) until(now time.Time, k Kind) time.Time {
	of, limit := func(c Counts) int64 { return c.Messages }, int64(p.limits.Messages)
	if k == RecipientsPerDay {
		of, limit = func(c Counts) int64 { return c.Recipients }, int64(p.limits.Recipients)
	}
	left := of(p.used(now)) - limit + 1 // so many must be forgotten
	hours := slices.Concat(p.own, p.elsewhere).Since(now)
	slices.SortFunc(hours, func(a, b Hour) int { return cmp.Compare(a.Hour, b.Hour) })
	for _, h := range hours {
		if left -= of(h.Counts); left <= 0 {
			return h.over()
		}
	}
	return now.Add(p.minute) // it depends on messages that are going
}

// Use is how much of a limit is used.
type Use struct {
	Kind        Kind
	Used, Limit int64
	Until       time.Time // of a day's limit that is reached: when the account may send again
}

// Status is a Pacer at one moment.
type Status struct {
	Uses    []Use          // of the limits that there are
	Waiting int            // messages that wait for their turn
	Delayed int64          // messages that have waited, since the start
	Refused map[Kind]int64 // messages and recipients told to come later, since the start
}

// Status tells how the account stands.
func (p *Pacer) Status() (s Status) {
	if p == nil || !p.limited.Load() {
		return s
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s = Status{Waiting: len(p.waiting), Delayed: p.delayed, Refused: maps.Clone(p.refused)}
	if p.limits.PerMinute > 0 {
		p.expire(time.Now())
		s.Uses = append(s.Uses, Use{Kind: PerMinute, Used: p.going.Messages + int64(len(p.ended)), Limit: int64(p.limits.PerMinute)})
	}
	now := p.now()
	used := p.used(now)
	day := func(k Kind, used int64, limit int) {
		u := Use{Kind: k, Used: used, Limit: int64(limit)}
		if used >= u.Limit {
			u.Until = p.until(now, k)
		}
		if limit > 0 {
			s.Uses = append(s.Uses, u)
		}
	}
	day(MessagesPerDay, used.Messages, p.limits.Messages)
	day(RecipientsPerDay, used.Recipients, p.limits.Recipients)
	return s
}

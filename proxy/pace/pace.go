// Package pace keeps an account's sending within its provider's limits: messages per minute, and messages
// and recipients per day.
//
// A [Pacer] belongs to one account. It answers one question: may a message go now, or when?
//
//	ticket, err := pacer.Begin(ctx, patience) // waits for its turn, in the order of arrival
//	if err != nil { ... }                     // an [*Error] says which limit, and when to try again
//	err = ticket.Recipients(1)                // before each recipient
//	ticket.End(pace.Sent)
//
// # How is counted
//
// Providers count in windows that roll, and do not say to the second when they count a message. A message
// therefore holds its place in the minute from its beginning until a minute after its end: whenever the
// provider has counted it, no window of its own minute can hold more messages than it allows. Days are
// counted by the hour (see [Day]), so that an hour's messages are forgotten together, up to an hour late.
//
// # Several machines
//
// Machines that share an account share its limits: [Pacer.SetShare] gives this one a part of the minute's
// places, and [Pacer.SetElsewhere] says what the others have sent. Both may change at any time.
//
// An account without limits costs nothing, and a Pacer has no goroutine, and no timer while no message
// waits.
package pace

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limits are what a provider allows one account. Zero means that something is not limited.
type Limits struct {
	PerMinute  int // messages
	Messages   int // per day
	Recipients int // per day; a message to five people counts as five
}

// Config makes a Pacer. The zero value of everything but Limits is a sensible default.
type Config struct {
	Limits
	Past   Day              // what was sent before
	Minute time.Duration    // 0 is a minute; tests use a shorter one
	Now    func() time.Time // the wall clock, for days; nil: time.Now
}

// Pacer is one account's sending. All methods may be called by many goroutines at a time; those of a nil
// Pacer find no limit.
type Pacer struct {
	minute  time.Duration
	now     func() time.Time
	limited atomic.Bool // otherwise there is nothing to do or to count

	mu        sync.Mutex
	limits    Limits
	share     int    // of Limits.PerMinute; negative: all
	waits     func() // see Share
	going     Counts
	begun     time.Time   // when the last message began
	before    time.Time   // and the one before it
	ended     []time.Time // when the messages of the last minute ended, oldest first
	own       Day
	elsewhere Day          // of other machines
	waiting   []chan error // closed, or given an error, when it is their turn
	stopped   bool         // nobody waits any more
	timer     *time.Timer  // calls wake when the next may go; nil when nobody waits
	delayed   int64
	refused   map[Kind]int64
}

// Counts are messages and their recipients.
type Counts struct{ Messages, Recipients int64 }

// New makes an account's Pacer.
func New(c Config) *Pacer {
	p := &Pacer{minute: c.Minute, now: c.Now, share: -1, refused: map[Kind]int64{}}
	if p.minute <= 0 {
		p.minute = time.Minute
	}
	if p.now == nil {
		p.now = time.Now
	}
	p.SetLimits(c.Limits, c.Past)
	return p
}

// Ticket is a message that may go. The zero value, of an account without limits, can be used too. Its
// methods belong to one goroutine at a time.
type Ticket struct {
	p          *Pacer // nil: there is nothing to count
	recipients int64
	waited     time.Duration
}

// Waited is how long the message has waited for its turn.
func (t *Ticket) Waited() time.Duration { return t.waited }

// Begin returns when a message may go, and at once if none has to wait. The error is an [*Error] if that
// would take longer than patience, or if the day's limit is reached; otherwise ctx has ended.
func (p *Pacer) Begin(ctx context.Context, patience time.Duration) (Ticket, error) {
	if p == nil || !p.limited.Load() {
		return Ticket{}, nil
	}
	p.mu.Lock()
	if err := p.dayFull(1, 1); err != nil {
		p.refused[err.Kind]++
		p.mu.Unlock()
		return Ticket{}, err
	}
	now := time.Now()
	if len(p.waiting) == 0 && p.next(now) <= 0 {
		p.start(now)
		p.mu.Unlock()
		return Ticket{p: p}, nil
	}
	if wait := p.turn(now, len(p.waiting)); wait > patience || p.stopped {
		err := p.late(wait)
		p.mu.Unlock()
		return Ticket{}, err
	}
	mine := make(chan error, 1)
	p.waiting = append(p.waiting, mine)
	p.delayed++
	p.arm(now)
	waits := p.waits
	p.mu.Unlock()
	if waits != nil {
		waits()
	}
	return p.wait(ctx, patience, now, mine)
}

func (p *Pacer) wait(ctx context.Context, patience time.Duration, since time.Time, mine chan error) (Ticket, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var gaveUp error
	select {
	case err := <-mine:
		return p.granted(since, err)
	case <-ctx.Done():
		gaveUp = context.Cause(ctx)
	case <-timer.C:
	}
	p.mu.Lock()
	i := slices.Index(p.waiting, mine)
	if i < 0 { // the turn came in the same moment
		p.mu.Unlock()
		t, err := p.granted(since, <-mine)
		if gaveUp != nil && err == nil {
			t.End(Unused)
			return Ticket{}, gaveUp
		}
		return t, err
	}
	defer p.mu.Unlock()
	p.waiting = slices.Delete(p.waiting, i, i+1)
	if len(p.waiting) == 0 {
		p.disarm()
	}
	if gaveUp != nil {
		return Ticket{}, gaveUp
	}
	return Ticket{}, p.late(p.turn(time.Now(), i))
}

func (p *Pacer) granted(since time.Time, err error) (Ticket, error) {
	if err != nil {
		return Ticket{}, err
	}
	return Ticket{p: p, waited: time.Since(since)}, nil
}

// Recipients asks for n more recipients of the message. The error is an [*Error] if the day's limit does
// not allow them.
func (t *Ticket) Recipients(n int) error {
	p := t.p
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.dayFull(0, int64(n)); err != nil {
		p.refused[err.Kind]++
		return err
	}
	p.going.Recipients += int64(n)
	t.recipients += int64(n)
	return nil
}

// Refused takes back n recipients that the provider has refused.
func (t *Ticket) Refused(n int) {
	p := t.p
	if p == nil {
		return
	}
	p.mu.Lock()
	p.going.Recipients -= int64(n)
	t.recipients -= int64(n)
	p.mu.Unlock()
}

// Outcome is how a message ended, as far as its provider may count it.
type Outcome int

const (
	Unused  Outcome = iota // the provider has heard nothing of it
	NotSent                // the provider has not accepted it: it counts in the minute only, to be safe
	Sent                   // the provider has accepted it, or may have
)

// End counts the message. A second call does nothing.
func (t *Ticket) End(o Outcome) {
	p := t.p
	if p == nil {
		return
	}
	t.p = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	p.going.Messages--
	p.going.Recipients -= t.recipients
	if o == Sent {
		p.own = p.own.Add(p.now(), Counts{1, t.recipients})
	}
	now := time.Now()
	if o == Unused {
		p.begun = p.before // such as one whose program has given up: the next need not wait because of it
	} else if p.limits.PerMinute > 0 {
		p.expire(now)
		p.ended = append(p.ended, now)
	}
	p.advance(now)
}

// Stop tells those who wait to come later: they would keep the program from stopping.
func (p *Pacer) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	now := time.Now()
	for i, mine := range p.waiting {
		mine <- p.late(p.turn(now, i))
	}
	p.waiting = nil
	p.disarm()
}

// SetLimits changes the limits. past is what was sent before, and is used if nothing was counted until now.
func (p *Pacer) SetLimits(l Limits, past Day) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.limited.Load() {
		p.own = slices.Clone(past)
	}
	p.limits = l
	p.limited.Store(l != Limits{})
	p.advance(time.Now())
}

// SetShare gives this machine so many of the minute's places; a negative number gives it all.
func (p *Pacer) SetShare(perMinute int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.share = perMinute
	p.advance(time.Now())
}

// Share has waits called when a message waits for a place in the minute, which other machines may have.
func (p *Pacer) Share(waits func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits = waits
}

// Use tells how many of the minute's places are taken, and how many would be if there were enough.
func (p *Pacer) Use() (used, wanted int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(time.Now())
	used = int(p.going.Messages) + len(p.ended)
	return used, used + len(p.waiting)
}

// SetElsewhere says what other machines have sent with this account.
func (p *Pacer) SetElsewhere(d Day) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.elsewhere = slices.Clone(d)
}

// Own is what this machine has sent with the account in the last day, as far as it was counted.
func (p *Pacer) Own() Day {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.own.Since(p.now())
}

// places is how many messages this machine may send per minute; the account has such a limit.
func (p *Pacer) places() int {
	if p.share >= 0 {
		return min(p.share, p.limits.PerMinute)
	}
	return p.limits.PerMinute
}

// start begins a message.
func (p *Pacer) start(now time.Time) {
	p.going.Messages++
	p.before, p.begun = p.begun, now
}

// next is after how long the next message may go, as far as that is known.
func (p *Pacer) next(now time.Time) time.Duration {
	if p.limits.PerMinute <= 0 {
		return 0
	}
	p.expire(now)
	oldest := now
	if len(p.ended) > 0 {
		oldest = p.ended[0]
	}
	return p.gap(now, oldest, int(p.going.Messages)+len(p.ended), p.begun)
}

// gap is after how long another message may go if so many places are taken, of which the first becomes free a minute
// after oldest, and the last message began then. The last third of the places is spread over the time until one
// becomes free. So a program that sends message after message is slowed down a little each time, instead of being
// stopped for most of a minute, and no place is lost.
func (p *Pacer) gap(now, oldest time.Time, taken int, begun time.Time) time.Duration {
	places := p.places()
	switch spare := places - taken; {
	case spare <= 0:
		return oldest.Add(p.minute).Sub(now)
	case spare > places/3:
		return 0
	default:
		return begun.Add(oldest.Add(p.minute).Sub(begun) / time.Duration(spare+1)).Sub(now)
	}
}

// expire forgets the messages that ended more than a minute ago.
func (p *Pacer) expire(now time.Time) {
	n := 0
	for n < len(p.ended) && now.Sub(p.ended[n]) >= p.minute {
		n++
	}
	p.ended = slices.Delete(p.ended, 0, n)
}

// turn is how long a message will probably have to wait that has so many others before it in the queue: messages that
// are going now are taken to end now, and those that go later to end at once.
func (p *Pacer) turn(now time.Time, before int) time.Duration {
	if p.places() <= 0 {
		return p.minute // a share may come at any time
	}
	taken := slices.Concat(p.ended, slices.Repeat([]time.Time{now}, int(p.going.Messages)))
	at, begun := now, p.begun
	for range before + 1 {
		for {
			for len(taken) > 0 && at.Sub(taken[0]) >= p.minute {
				taken = taken[1:]
			}
			oldest := at
			if len(taken) > 0 {
				oldest = taken[0]
			}
			wait := p.gap(at, oldest, len(taken), begun)
			if wait <= 0 {
				break
			}
			at = at.Add(wait)
		}
		taken, begun = append(taken, at), at
	}
	return at.Sub(now)
}

// advance gives their turn to those who wait.
func (p *Pacer) advance(now time.Time) {
	for len(p.waiting) > 0 && p.next(now) <= 0 {
		next := p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		if err := p.dayFull(1, 1); err != nil {
			p.refused[err.Kind]++
			next <- err
			continue
		}
		p.start(now)
		close(next)
	}
	p.arm(now)
}

// arm starts the timer for the next message that may go without anything else happening, if one waits.
func (p *Pacer) arm(now time.Time) {
	p.disarm()
	if len(p.waiting) > 0 {
		p.timer = time.AfterFunc(p.next(now), p.wake)
	}
}

func (p *Pacer) disarm() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

func (p *Pacer) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(time.Now())
}

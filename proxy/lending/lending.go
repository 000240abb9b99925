// Package lending divides a provider's limit among machines that share an account.
//
// A provider lets an account have three connections, or send thirty messages per minute, however many machines
// use it. The places are lent: a record says how many each machine holds, and who waits for one. A machine
// that is alone takes all places and never asks again. When another one wants some, who holds more gives
// back what it does not need, and then half of the rest; if there are fewer places than machines, they go
// round. A place is given back only when nothing uses it any more, so that at no moment more are in use
// than there are.
//
// While the engine cannot be used, each machine goes on with the places it holds, or with its part of all if
// that is more: the provider may then see more than its limit, and says so with an answer that means "later".
package lending

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxseal/waxseal/keystore/shared"
)

const (
	// prefix is of the records' keys.
	prefix = "places/"
	// turn is how long a machine keeps its only place while another has none.
	turn = 500 * time.Millisecond
	// look is the time until the next look at a place that could not be given back, or at an engine that is away.
	look = 500 * time.Millisecond
	// workers bounds the records that are changed at the same time.
	workers = 8
)

// Record is the key of a lot’s record.
func Record(name string) string { return prefix + name }

// Use tells how many places are used now and how many would be if there were enough.
type Use func() (used, wanted int)

// Desk lends and borrows for one machine.
type Desk struct {
	store *shared.Store
	log   *slog.Logger

	mu    sync.Mutex
	lots  map[string]*Lot // by the record's key
	queue []*Lot          // to be looked at, each once
	more  chan struct{}   // capacity 1: there is something in the queue
}

// New makes a desk. Run does its work.
func New(store *shared.Store, log *slog.Logger) *Desk {
	return &Desk{store: store, log: log, lots: make(map[string]*Lot), more: make(chan struct{}, 1)}
}

// Lot is all the places of one limit, as this machine sees them.
type Lot struct {
	desk  *Desk
	key   string
	max   int
	use   Use
	allow func(n int)

	mu    sync.Mutex
	queue bool        // it is in the desk's queue, or is looked at
	again bool        // it was woken in the meantime
	timer *time.Timer // of the next look that nobody asks for
	gone  bool
	since time.Time // when this machine got its places
	now   int       // what allow was last told
}

// let tells how many places may be used, if that is another number. It holds the lock until that is told, so that
// nothing is told once Close has returned: there may be another lot by then, for the same use.
func (l *Lot) let(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n != l.now && !l.gone {
		l.now = n
		l.allow(n)
	}
}

func (l *Lot) isGone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone
}

// record is what the machines share of a lot.
type record struct {
	Held map[string]int `json:"held"`
	Want []string       `json:"want,omitempty"` // in the order in which they came
}

// Lend makes the lot of a limit. use is asked for the demand, and allow is told how many places may be used
// from now on, which begins with none; it must not call the lot. Tell the lot with Wake when somebody waits for a
// place, and when one is free again that was over the limit.
func (d *Desk) Lend(name string, limit int, use Use, allow func(n int)) *Lot {
	l := &Lot{desk: d, key: Record(name), max: limit, use: use, allow: allow}
	d.mu.Lock()
	d.lots[l.key] = l
	d.mu.Unlock()
	allow(0)
	l.Wake()
	return l
}

// Close ends a lot, and allow is called no more. Its places stay this machine's, for the lot that follows it, until
// another machine asks that one for them or this machine is gone.
func (l *Lot) Close() {
	l.mu.Lock()
	l.gone = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.desk.mu.Lock()
	if l.desk.lots[l.key] == l {
		delete(l.desk.lots, l.key)
	}
	l.desk.mu.Unlock()
}

// Wake has the lot looked at. It waits for nothing and may be called often.
func (l *Lot) Wake() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.gone:
	case l.queue:
		l.again = true
	default:
		l.queue = true
		l.desk.push(l)
	}
}

// push puts a lot at the end of the queue.
func (d *Desk) push(l *Lot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, l)
	d.signalLocked()
}

// pop takes the first lot of the queue; nil if it is empty.
func (d *Desk) pop() (l *Lot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) > 0 {
		l, d.queue[0] = d.queue[0], nil
		d.queue = d.queue[1:]
		d.signalLocked()
	}
	return l
}

// signalLocked has another worker look into the queue if there is something in it.
func (d *Desk) signalLocked() {
	if len(d.queue) > 0 {
		select {
		case d.more <- struct{}{}:
		default:
		}
	}
}

// Changed is to be told of each record that has changed.
func (d *Desk) Changed(key string) {
	if !strings.HasPrefix(key, prefix) {
		return
	}
	d.mu.Lock()
	l := d.lots[key]
	d.mu.Unlock()
	l.Wake()
}

// Run lends and borrows until ctx ends.
func (d *Desk) Run(ctx context.Context) {
	var working sync.WaitGroup
	defer working.Wait()
	for range workers {
		working.Go(func() {
			for {
				select {
				case <-d.more:
					for l := d.pop(); l != nil && ctx.Err() == nil; l = d.pop() {
						d.serve(ctx, l)
					}
				case <-ctx.Done():
					return
				}
			}
		})
	}
}

// serve looks at a lot, and has it looked at again where that is needed.
func (d *Desk) serve(ctx context.Context, l *Lot) {
	later := l.step(ctx)
	l.mu.Lock()
	l.queue = false
	again := l.again && !l.gone
	l.again = false
	if l.timer != nil {
		l.timer.Stop()
	}
	if later > 0 && !again && !l.gone {
		l.timer = time.AfterFunc(later, l.Wake)
	}
	l.mu.Unlock()
	if again {
		l.Wake()
	}
}

// step changes the record as this machine's demand and the others' require. It returns after how long the lot must be
// looked at again without anybody asking; 0 for never.
func (l *Lot) step(ctx context.Context) (later time.Duration) {
	for ctx.Err() == nil && !l.isGone() {
		var r record
		revision, err := l.desk.store.Load(l.key, &r)
		if err == nil && l.desk.store.Err() != nil {
			err = l.desk.store.Err()
		}
		me := l.desk.store.Instance()
		alive := l.desk.store.Alive()
		if err != nil {
			l.let(max(r.Held[me], l.part(alive)))
			return look
		}
		used, wanted := l.use()
		next, allowed, later := l.decide(r, alive, used, wanted)
		if next.equal(r) {
			l.let(allowed)
			return later
		}
		if allowed < r.Held[me] { // first the places are not used any more, then they are given back
			l.let(allowed)
			used, wanted = l.use()
			next, allowed, later = l.decide(r, alive, used, wanted)
			if next.equal(r) {
				return later
			}
		}
		if l.isGone() {
			return 0
		}
		_, err = l.desk.store.Save(ctx, l.key, next, revision)
		switch {
		case err == nil:
			if next.Held[me] > r.Held[me] {
				l.mu.Lock()
				l.since = time.Now()
				l.mu.Unlock()
			}
			l.let(allowed)
			return later
		case !errors.Is(err, shared.ErrChanged): // it may be written all the same
			l.let(max(min(r.Held[me], next.Held[me]), l.part(alive)))
			return look
		}
		if _, err := l.desk.store.Read(ctx, l.key); err != nil {
			return look
		}
	}
	return 0
}

// decide is the record as it should be, how many places this machine may use, and when to look again.
func (l *Lot) decide(r record, alive []string, used, wanted int) (next record, allowed int, later time.Duration) {
	me := l.desk.store.Instance()
	next = r.without(alive)
	have := next.Held[me]
	wanters := slices.DeleteFunc(slices.Clone(next.Want), func(name string) bool { return name == me })
	free := l.max - next.sum()
	allowed = have
	if len(wanters) > free {
		allowed = min(have, l.keep(next, wanters, wanted))
		if allowed == have && have > 0 && wanted > 0 && slices.ContainsFunc(wanters, func(name string) bool { return next.Held[name] == 0 }) {
			later = turn // then it is the other's
		}
	}
	if free < 0 { // the limit was lowered
		allowed = min(allowed, max(have+free, 0))
	}
	if allowed < have {
		next.Held[me] = max(allowed, min(used, have))
		if next.Held[me] == 0 {
			delete(next.Held, me)
		}
		later = look // what is still in use
	}
	at := slices.Index(next.Want, me)
	if wanted > have && allowed == have {
		take := free // so that a machine that is alone does not ask again
		if len(wanters) > 0 {
			take = min(free-l.ahead(next, wanters), wanted-have, level(next, wanters, have+free)-have)
		}
		if take > 0 {
			next.Held[me] = have + take
			allowed = have + take
		}
	}
	if at >= 0 && next.Held[me] != have { // it had its turn
		next.Want, at = slices.Delete(next.Want, at, at+1), -1
	}
	switch short := wanted > allowed; {
	case short && at < 0:
		next.Want = append(next.Want, me)
	case !short && at >= 0:
		next.Want = slices.Delete(next.Want, at, at+1)
	}
	if wanted > allowed {
		later = max(later, look) // a machine may be gone by then
	}
	if later == 0 && next.Held[me] > 0 && len(wanters) > l.max-next.sum() {
		later = look // nobody tells when less is needed here
	}
	return next, allowed, later
}

// ahead is how many others get a place before this machine: those with fewer places, or with as many, who came first.
func (l *Lot) ahead(r record, wanters []string) (n int) {
	me := l.desk.store.Instance()
	mine := slices.Index(r.Want, me)
	for i, name := range r.Want {
		if name != me && (r.Held[name] < r.Held[me] || r.Held[name] == r.Held[me] && (mine < 0 || i < mine)) {
			n++
		}
	}
	return n
}

// level is how many places a machine has at most when it and the wanters have about the same.
func level(r record, wanters []string, own int) int {
	total, n := own, len(wanters)+1
	for _, name := range wanters {
		total += r.Held[name]
	}
	return max((total+n-1)/n, 1)
}

// keep is how many places this machine keeps when others want some.
func (l *Lot) keep(r record, wanters []string, wanted int) int {
	have := r.Held[l.desk.store.Instance()]
	keep := min(have, wanted)
	least := have
	for _, name := range wanters {
		least = min(least, r.Held[name])
	}
	if have-least >= 2 {
		keep = min(keep, level(r, wanters, have))
	}
	l.mu.Lock()
	since := l.since
	l.mu.Unlock()
	if have == 1 && least == 0 && time.Since(since) >= turn {
		keep = 0
	}
	return keep
}

// part is this machine's part of all places, at least one.
func (l *Lot) part(alive []string) int {
	n := len(alive)
	part := l.max / n
	// The rest goes to those whose names come first, in an order that differs from lot to lot.
	rank := func(name string) uint64 {
		h := fnv.New64a()
		h.Write([]byte(l.key + "\x00" + name))
		return h.Sum64()
	}
	mine, before := rank(l.desk.store.Instance()), 0
	for _, name := range alive {
		if rank(name) < mine {
			before++
		}
	}
	if before < l.max%n {
		part++
	}
	return max(part, 1)
}

func (r record) sum() (n int) {
	for _, held := range r.Held {
		n += held
	}
	return n
}

// without is a copy of the record without the machines that are gone.
func (r record) without(alive []string) record {
	next := record{Held: maps.Clone(r.Held), Want: slices.Clone(r.Want)}
	if next.Held == nil {
		next.Held = make(map[string]int)
	}
	maps.DeleteFunc(next.Held, func(name string, _ int) bool { return !slices.Contains(alive, name) })
	next.Want = slices.DeleteFunc(next.Want, func(name string) bool { return !slices.Contains(alive, name) })
	return next
}

func (r record) equal(other record) bool {
	return maps.Equal(r.Held, other.Held) && slices.Equal(r.Want, other.Want)
}

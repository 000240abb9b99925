// Package history remembers what happened: the last messages and failed logins, and what each
// account has sent today and in the last 24 hours. They are in memory and, if [Log.Keep] says so, in
// a file too, so that they survive a restart.
//
// [Log.Add] never waits for the disk. [Log.Run] writes what is new once a second; what more than
// the newest [Kept] events would be is dropped, and [Log.Dropped] counts it. The file holds one
// JSON object on each line and only ever grows at its end, until it has twice as many lines as
// are needed; then it is replaced in one step. A line that cannot be read, such as one that was
// cut off when the program was killed, is skipped.
//
// Nothing here knows what a message says or whom it goes to: see [api.Activity].
package history

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/pace"
)

const (
	// Kept is how many events are remembered.
	Kept = 1000
	// keptLogins is how many of them may be failed logins, so that a program which guesses names
	// pushes no message out.
	keptLogins = 200
	// keptReading is how many may be sessions of IMAP or POP: some programs log in every minute.
	keptReading = 200
	// repeatedWithin is the time after a failed login within which the same one is counted
	// instead of listed again.
	repeatedWithin = 10 * time.Minute
)

// Log is the history. Its methods may be called by many goroutines at the same time.
type Log struct {
	path string // "" keeps everything in memory
	wake chan struct{}

	disk    sync.Mutex // guards the file, and what follows; it is locked before mu
	lines   int        // of the file
	bad     bool       // the file must be written anew
	removed bool       // the file is known not to be there

	// Messages arrive here without a lock, the newest first. Whoever takes mu takes them over.
	arrived atomic.Pointer[arrival]
	waiting atomic.Int32 // how many have arrived

	mu       sync.Mutex // guards what follows; see lock
	keep     bool
	seq      uint64
	written  uint64          // events up to this Seq are in the file
	dropped  uint64          // events that left before they were written
	events   []*api.Activity // by Seq; an event in the list is never changed
	accounts map[string]*account
}

// arrival is an event that nobody has looked at yet.
type arrival struct {
	api.Activity
	next *arrival // the one before it
}

// mostWaiting is how many events may arrive before one of those who bring them takes them over.
const mostWaiting = 256

// account is what is remembered of one account.
type account struct {
	Account
	day     string   // of Today
	sent    pace.Day // as the provider may count it
	changed uint64   // how often the counts have
	written uint64   // changed, when they were written to the file
}

// Counts are what an account has sent in one day.
type Counts struct {
	Messages   int64 `json:"messages"`
	Recipients int64 `json:"recipients"`
}

// Account is what the history knows of an account.
type Account struct {
	Today Counts        // sent since midnight in local time
	Last  *api.Activity // the last message; nil if none is known. It must not be changed
	// Unsent is how many messages in a row, up to the last, were not sent. Those that the mail
	// program cancelled do not count, nor those that came while Waxseal was paused.
	Unsent int
}

// Add lists an event, and counts it if it is a message. A failed login that happened a short time
// ago is counted there: see [api.Activity.Times]. It takes no lock and waits for nobody: every
// message comes by here.
func (l *Log) Add(a api.Activity) {
	n := &arrival{Activity: a}
	for {
		n.next = l.arrived.Load()
		if l.arrived.CompareAndSwap(n.next, n) {
			break
		}
	}
	if l.waiting.Add(1) >= mostWaiting && l.mu.TryLock() {
		l.settle()
		l.mu.Unlock()
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// lock takes mu and what has arrived.
func (l *Log) lock() {
	l.mu.Lock()
	l.settle()
}

// settle takes over what has arrived, in its order, and gives each event its ID and Seq. The caller
// holds mu.
func (l *Log) settle() {
	var first *arrival
	n := int32(0)
	for last := l.arrived.Swap(nil); last != nil; n++ {
		last, last.next, first = last.next, first, last
	}
	l.waiting.Add(-n)
	for ; first != nil; first = first.next {
		a := first.Activity
		l.seq++
		a.ID, a.Seq = l.seq, l.seq
		switch a.Kind {
		case api.Login:
			l.mergeLogin(&a)
		case api.Reading:
			l.makeRoom(api.Reading, keptReading)
		default:
			l.count(&a)
		}
		l.append(&a)
	}
}

// mergeLogin makes a the continuation of the same failed login a short time ago, and otherwise
// makes room for it.
func (l *Log) mergeLogin(a *api.Activity) {
	for i := len(l.events) - 1; i >= 0; i-- {
		e := l.events[i]
		if e.Kind == api.Login && sameLogin(e, a) && a.Time.Sub(e.Time) < repeatedWithin {
			a.ID, a.Times, a.Since = e.ID, max(e.Times, 1)+1, e.Since
			if a.Since.IsZero() {
				a.Since = e.Time
			}
			l.events = slices.Delete(l.events, i, i+1)
			return
		}
	}
	l.makeRoom(api.Login, keptLogins)
}

// makeRoom lets the oldest event of a kind go if there are so many, so that these do not push the
// messages out of the list.
func (l *Log) makeRoom(kind api.Kind, most int) {
	n, oldest := 0, -1
	for i := len(l.events) - 1; i >= 0; i-- {
		if l.events[i].Kind == kind {
			n, oldest = n+1, i
		}
	}
	if n >= most {
		l.leave(l.events[oldest])
		l.events = slices.Delete(l.events, oldest, oldest+1)
	}
}

func sameLogin(a, b *api.Activity) bool {
	same := a.Account == b.Account && a.Client == b.Client && a.Protocol == b.Protocol && a.Result == b.Result && (a.Problem == nil) == (b.Problem == nil)
	return same && (a.Problem == nil || a.Problem.What.Key == b.Problem.What.Key)
}

// append puts an event at the end of the list, from which the oldest one may have to go.
func (l *Log) append(a *api.Activity) {
	l.events = append(l.events, a)
	if len(l.events) > Kept {
		l.leave(l.events[0])
		l.events[0] = nil
		l.events = l.events[1:]
	}
}

func (l *Log) leave(a *api.Activity) {
	if l.keep && a.Seq > l.written {
		l.dropped++
	}
}

// count adds a message to what is known of its account.
func (l *Log) count(a *api.Activity) {
	of := l.note(a)
	if a.Result != api.Sent && a.Result != api.Unclear {
		return
	}
	of.changed++
	of.sent = of.sent.Add(a.Time, pace.Counts{Messages: 1, Recipients: int64(a.Recipients)})
	if a.Result != api.Sent {
		return
	}
	if today := day(a.Time); of.day != today {
		of.day, of.Today = today, Counts{}
	}
	of.Today.Messages++
	of.Today.Recipients += int64(a.Recipients)
}

// note remembers a message as the last one of its account, which it returns.
func (l *Log) note(a *api.Activity) *account {
	of := l.account(a.Account)
	of.Last = a
	switch {
	case a.Result == api.Sent:
		of.Unsent = 0
	case a.Result.Failed() && !(a.Result == api.Deferred && a.Own):
		of.Unsent++
	}
	return of
}

func (l *Log) account(address string) *account {
	key := strings.ToLower(address)
	of := l.accounts[key]
	if of == nil {
		of = &account{}
		l.accounts[key] = of
	}
	return of
}

// day names a day of this machine's time zone.
func day(t time.Time) string { return t.Local().Format(time.DateOnly) }

// Account returns what is known of an account.
func (l *Log) Account(address string, now time.Time) Account {
	today := day(now)
	l.lock()
	defer l.mu.Unlock()
	of := l.accounts[strings.ToLower(address)]
	if of == nil {
		return Account{}
	}
	a := of.Account
	if of.day != today {
		a.Today = Counts{}
	}
	return a
}

// Sent is what an account has sent in the last day, by the hour: all that its provider has accepted, or may have.
func (l *Log) Sent(address string, now time.Time) pace.Day {
	l.lock()
	defer l.mu.Unlock()
	if of := l.accounts[strings.ToLower(address)]; of != nil {
		return of.sent.Since(now)
	}
	return nil
}

// After lists the events that happened, or happened again, since the one with this Seq (0 for
// all), oldest first. It is never nil.
func (l *Log) After(seq uint64) []api.Activity {
	l.lock()
	events := l.after(seq)
	l.mu.Unlock()
	return values(events)
}

// after is After without copies of the events. The caller holds mu.
func (l *Log) after(seq uint64) []*api.Activity {
	i, _ := slices.BinarySearchFunc(l.events, seq+1, func(a *api.Activity, seq uint64) int { return cmp.Compare(a.Seq, seq) })
	return slices.Clone(l.events[i:])
}

func values(events []*api.Activity) []api.Activity {
	list := make([]api.Activity, 0, len(events))
	for _, a := range events {
		list = append(list, *a)
	}
	return list
}

// Last is the Seq of the newest event, 0 if there is none.
func (l *Log) Last() uint64 {
	l.lock()
	defer l.mu.Unlock()
	return l.seq
}

// Failures lists what failed since a time, newest first and at most so many.
func (l *Log) Failures(since time.Time, most int) []api.Activity {
	l.lock()
	defer l.mu.Unlock()
	var list []api.Activity
	for i := len(l.events) - 1; i >= 0 && len(list) < most; i-- {
		if a := l.events[i]; a.Failed() && a.Time.After(since) {
			list = append(list, *a)
		}
	}
	return list
}

// Dropped is how many events are missing in the file because they came faster than they could
// be written.
func (l *Log) Dropped() uint64 {
	l.lock()
	defer l.mu.Unlock()
	return l.dropped
}

package proxy

import (
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// recentKept is how many messages are remembered.
const recentKept = 1000

// recent is a ring of the last messages. Sessions write to it at the same time without
// waiting for each other: each takes a number, and the slot of that number.
type recent struct {
	last  atomic.Uint64
	slots [recentKept]atomic.Pointer[api.Activity]
}

// add gives a its number and keeps it. After that, a must not be changed.
func (r *recent) add(a *api.Activity) {
	a.Seq = r.last.Add(1)
	slot := &r.slots[a.Seq%recentKept]
	for {
		old := slot.Load()
		if old != nil && old.Seq > a.Seq || slot.CompareAndSwap(old, a) {
			return // a message that came a thousand later was quicker
		}
	}
}

// after stops before a message that has its number but is not in its slot yet, so that
// a caller who continues after the last one does not miss it.
func (r *recent) after(seq uint64) []api.Activity {
	newest := r.last.Load()
	if newest > recentKept {
		seq = max(seq, newest-recentKept)
	}
	list := []api.Activity{}
	for n := seq + 1; n <= newest; n++ {
		a := r.slots[n%recentKept].Load()
		if a == nil || a.Seq < n {
			break
		}
		if a.Seq == n {
			list = append(list, *a)
		}
	}
	return list
}

// tally counts what happens in one period, a minute or a day. The period's number is in
// the upper half, the count in the lower.
type tally struct{ n atomic.Uint64 }

func (t *tally) count(period uint32) {
	for {
		old := t.n.Load()
		now := old + 1
		if uint32(old>>32) != period {
			now = uint64(period)<<32 | 1
		}
		if t.n.CompareAndSwap(old, now) {
			return
		}
	}
}

// of returns the count of a period, or 0 if the last counted period was another one.
func (t *tally) of(period uint32) int64 {
	n := t.n.Load()
	if uint32(n>>32) != period { // #nosec G115 -- the upper half
		return 0
	}
	return int64(uint32(n)) // #nosec G115 -- the lower half
}

// minutes are an hour's tallies.
type minutes [60]tally

func minuteOf(t time.Time) uint32 { return uint32(t.Unix() / 60) } // #nosec G115 -- until the year 10136

func (m *minutes) count(now time.Time) { m[minuteOf(now)%60].count(minuteOf(now)) }

// last60 returns the counts of the last 60 minutes, oldest first.
func (m *minutes) last60(now time.Time) []int64 {
	list := make([]int64, len(m))
	for i := range list {
		minute := minuteOf(now) - uint32(len(m)-1-i)
		list[i] = m[minute%60].of(minute)
	}
	return list
}

// dayOf numbers the days of this machine's time zone.
func dayOf(t time.Time) uint32 {
	t = t.Local()
	return uint32(t.Year()*366 + t.YearDay()) // #nosec G115 -- far below 2^32
}

var addressLike = regexp.MustCompile(`("[^"]*"|[^\s<>()\[\],;:"]*)@[^\s<>()\[\],;:"]+`)

// longestReply is the maximum length of a reply in the list of messages, in bytes.
const longestReply = 500

// discreet returns a reply without other people's addresses, which providers often
// repeat, and short enough to keep a thousand of them.
func discreet(reply, own string) string {
	if strings.Contains(reply, "@") {
		reply = addressLike.ReplaceAllStringFunc(reply, func(address string) string {
			if config.Fold(strings.TrimRight(address, ".'")) == config.Fold(own) {
				return address
			}
			return "…"
		})
	}
	if len(reply) > longestReply {
		reply = strings.ToValidUTF8(reply[:longestReply], "") + "…"
	}
	return reply
}

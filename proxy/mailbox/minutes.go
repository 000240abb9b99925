package mailbox

import (
	"sync/atomic"
	"time"
)

// tally counts what happens in one minute. The minute's number is in the upper half, the
// count in the lower.
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

// Last60 returns the counts of the last 60 minutes, oldest first.
func (m *minutes) Last60(now time.Time) []int64 {
	list := make([]int64, len(m))
	for i := range list {
		minute := minuteOf(now) - uint32(len(m)-1-i)
		list[i] = m[minute%60].of(minute)
	}
	return list
}

package pace

import (
	"slices"
	"time"
)

// Day is what was sent lately, by the hour, oldest first. Hours are those of UTC, so that a change of the time zone
// changes nothing.
type Day []Hour

// Hour is what was sent in one hour.
type Hour struct {
	Hour int64 // since 1970, in UTC
	Counts
}

// kept is for how many hours after its own an hour counts: its last message is then a day old.
const kept = 24

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// over is when an hour stops to count.
func (h Hour) over() time.Time { return time.Unix((h.Hour+kept+1)*3600, 0) }

// Add counts what was sent at a time, and forgets what no longer counts then. It may change d. What comes late, after
// the next hour has begun, counts in that.
func (d Day) Add(at time.Time, n Counts) Day {
	hour := hourOf(at)
	if last := len(d) - 1; last < 0 || d[last].Hour != hour && d[last].Hour != hour+1 {
		d = append(d.Since(at), Hour{Hour: hour})
	}
	last := &d[len(d)-1]
	last.Messages += n.Messages
	last.Recipients += n.Recipients
	return d
}

// counts reports whether an hour counts now. One that is still far off does not: it is from before a wrong clock was
// set right, and would keep an account from sending until it is over, whenever that is.
func (h Hour) counts(now int64) bool { return h.Hour <= now+1 && h.Hour >= now-kept }

// Since is the part of d that counts now, as a copy.
func (d Day) Since(now time.Time) Day {
	return slices.DeleteFunc(slices.Clone(d), func(h Hour) bool { return !h.counts(hourOf(now)) })
}

// Sum is all that counts now.
func (d Day) Sum(now time.Time) (sum Counts) {
	for _, h := range d {
		if h.counts(hourOf(now)) {
			sum.Messages += h.Messages
			sum.Recipients += h.Recipients
		}
	}
	return sum
}

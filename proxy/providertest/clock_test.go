package providertest

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	var c Clock
	for _, d := range []time.Duration{0, time.Minute, -time.Hour, 3 * 365 * 24 * time.Hour, -400 * 24 * time.Hour} {
		c.Set(d)
		before, now, after := time.Now(), c.Now(), time.Now()
		if now.Before(before) || now.After(after) {
			t.Errorf("setting the clock by %v moved the monotonic reading by %v", d, now.Sub(before))
		}
		wall := now.Round(0).Add(-d)
		if wall.Before(before.Round(0)) || wall.After(after.Round(0)) {
			t.Errorf("after setting the clock by %v, the wall clock shows %v at %v", d, now, before)
		}
	}
}

package mailbox

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestGuesses: wrong passwords wait, right ones and other sources do not.
func TestGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g guesses
		var waits []time.Duration
		for range 8 {
			start := time.Now()
			if err := g.failed(t.Context(), source{Caller{host: "127.0.0.1"}, "me"}); err != nil {
				t.Fatal(err)
			}
			waits = append(waits, time.Since(start))
		}
		for i, want := range []time.Duration{0, 0, 0, 0, 0, time.Second, 2 * time.Second, 4 * time.Second} {
			if waits[i] != want {
				t.Errorf("wrong password %d waited %v, want %v", i+1, waits[i], want)
			}
		}
		start := time.Now()
		g.failed(t.Context(), source{Caller{host: "127.0.0.1"}, "other"})
		if time.Since(start) != 0 {
			t.Error("another source was slowed")
		}
		g.passed(source{Caller{host: "127.0.0.1"}, "me"})
		g.failed(t.Context(), source{Caller{host: "127.0.0.1"}, "me"})
		if time.Since(start) != 0 {
			t.Error("a right password did not clear the source")
		}
		for range 20 {
			g.failed(t.Context(), source{Caller{host: "127.0.0.1"}, "me"})
		}
		start = time.Now()
		g.failed(t.Context(), source{Caller{host: "127.0.0.1"}, "me"})
		if got := time.Since(start); got != maxGuessWait {
			t.Errorf("the longest wait is %v, want %v", got, maxGuessWait)
		}
	})
}

func TestGuessesAreBounded(t *testing.T) {
	var g guesses
	for i := range maxSources + 100 {
		g.of(source{name: strings.Repeat("x", i%7) + string(rune(i))})
	}
	if n := g.count.Load(); n > maxSources+1 {
		t.Errorf("%d sources are remembered", n)
	}
}

// TestLockout: a source that goes on guessing is locked out, and no other.
func TestLockout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g guesses
		for range maxGuesses - 1 {
			g.failed(t.Context(), source{Caller{host: "192.0.2.1"}, "me"})
		}
		if g.locked(source{Caller{host: "192.0.2.1"}, "me"}) {
			t.Error("locked out too soon")
		}
		g.failed(t.Context(), source{Caller{host: "192.0.2.1"}, "me"})
		if !g.locked(source{Caller{host: "192.0.2.1"}, "me"}) {
			t.Error("not locked out")
		}
		if g.locked(source{Caller{host: "192.0.2.1"}, "other"}) || g.locked(source{Caller{host: "192.0.2.2"}, "me"}) {
			t.Error("another source is locked out")
		}
		time.Sleep(lockout) // the bubble's clock
		if g.locked(source{Caller{host: "192.0.2.1"}, "me"}) {
			t.Error("locked out for ever")
		}
	})
}

// One click in Thunderbird is up to four logins with the same wrong password. A guesser gains nothing
// from giving one twice.
func TestSameWrongPasswordCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g guesses
		key := source{Caller{host: "127.0.0.1"}, "me"}
		count := func(password string) {
			if !g.same(key, password) {
				g.failed(t.Context(), key)
			}
		}
		for _, password := range []string{"old", "old", "old", "other", "old"} {
			count(password)
		}
		time.Sleep(sameFor) // the bubble's clock
		count("old")
		if n := g.of(key).failures; n != 4 {
			t.Errorf("%d wrong passwords were counted, want 4", n)
		}
	})
}

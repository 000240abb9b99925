package lending

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore/shared"
)

// While the engine is away for long, machines are not heard of, and each took itself for the only one: they all used all
// places. When it was back, the first took the others' places.
func TestOutageIsNoReasonForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 3
		e, b := shared.NewMemory(), &bank{}
		var all []*worker
		for i := range 3 {
			all = append(all, machine(t, e, b, fmt.Sprint("m", i), limit))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var busy sync.WaitGroup
		for _, w := range all {
			w.keepBusy(ctx, 5, 50*time.Millisecond, &busy)
		}
		time.Sleep(10 * time.Second)
		b.reset()
		e.Fail(errors.New("no route to host"))
		time.Sleep(2 * time.Minute)
		if n := b.reset(); n > limit {
			t.Errorf("%d of %d while the engine is away", n, limit)
		}
		e.Fail(nil)
		time.Sleep(30 * time.Second)
		if n := b.reset(); n > limit {
			t.Errorf("%d of %d once it is back", n, limit)
		}
		cancel()
		busy.Wait()
	})
}

// reset returns how many places were used at most, and begins anew.
func (b *bank) reset() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	most := b.most
	b.most = b.used
	return most
}

// Each look at a lot in need asked for another one, beside those that others had asked for: after an hour of need, each
// lot was looked at thousands of times a second.
func TestOneLookAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, b := shared.NewMemory(), &bank{}
		first := machine(t, e, b, "a", 1)
		s := shared.Open(shared.Options{Engine: e, Passphrase: "p", Instance: "b", Work: 1})
		defer s.Close()
		<-s.Loaded()
		d := New(s, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { d.Run(ctx) })
		go first.work(t.Context(), 10*time.Minute)
		time.Sleep(time.Second)
		var looks atomic.Int64
		l := d.Lend("me", 1, func() (int, int) { looks.Add(1); return 0, 1 }, func(int) {})
		for range 1000 {
			l.Wake()
			time.Sleep(10 * time.Millisecond)
		}
		looks.Store(0)
		time.Sleep(10 * time.Second)
		if n := looks.Load(); n > 50 {
			t.Errorf("%d looks in ten seconds", n)
		}
		l.Close()
		cancel()
		running.Wait()
		time.Sleep(10 * time.Minute)
	})
}

// More lots than are looked at: those beyond the 4,096th were forgotten, and had no place.
func TestManyLots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		s := shared.Open(shared.Options{Engine: shared.NewMemory(), Passphrase: "p", Instance: "a", Work: 1})
		defer s.Close()
		<-s.Loaded()
		d := New(s, slog.New(slog.DiscardHandler))
		var served atomic.Int64
		for i := range n {
			d.Lend(fmt.Sprint(i), 3, func() (int, int) { return 0, 1 }, func(n int) {
				if n > 0 {
					served.Add(1)
				}
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { d.Run(ctx) })
		time.Sleep(10 * time.Second)
		if got := served.Load(); got != n {
			t.Errorf("%d of %d lots have places", got, n)
		}
		cancel()
		running.Wait()
	})
}

// A limit that was lowered holds for a machine that held more.
func TestLowerLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, b := shared.NewMemory(), &bank{}
		w := machine(t, e, b, "a", 10)
		w.work(t.Context(), time.Second)
		w.lot.Close()
		now := &worker{bank: b, wake: make(chan struct{})}
		now.lot = w.lot.desk.Lend("me", 3, now.use, now.allow)
		defer now.lot.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var busy sync.WaitGroup
		b.reset()
		now.keepBusy(ctx, 20, 50*time.Millisecond, &busy)
		busy.Wait()
		if n := b.reset(); n != 3 {
			t.Errorf("%d at a time", n)
		}
	})
}

// A lot that was replaced says nothing any more: its last word came after the first of its successor, which then had no
// place for good.
func TestClosedLotIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shared.Open(shared.Options{Engine: shared.NewMemory(), Passphrase: "p", Instance: "a", Work: 1})
		defer s.Close()
		<-s.Loaded()
		d := New(s, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { d.Run(ctx) })
		var closed atomic.Bool
		l := d.Lend("me", 3, func() (int, int) { time.Sleep(time.Second); return 0, 1 }, func(n int) {
			if closed.Load() {
				t.Errorf("it says %d", n)
			}
		})
		time.Sleep(100 * time.Millisecond)
		l.Close()
		closed.Store(true)
		time.Sleep(5 * time.Second)
		l.Wake()
		time.Sleep(5 * time.Second)
		if keys := s.Keys(prefix); len(keys) > 0 {
			t.Errorf("it has written %v", keys)
		}
		cancel()
		running.Wait()
	})
}

// Whatever the record says: no decision makes the sum more than the limit, gives back what is in use, or takes from a
// machine that lives.
func TestDecisions(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	synctest.Test(t, func(t *testing.T) {
		s := shared.Open(shared.Options{Engine: shared.NewMemory(), Passphrase: "p", Instance: "a", Work: 1})
		defer s.Close()
		<-s.Loaded()
		d := New(s, slog.New(slog.DiscardHandler))
		random := rand.New(rand.NewPCG(1, 2))
		for range 200_000 {
			l := &Lot{desk: d, key: "x", max: 1 + random.IntN(6)}
			r := record{Held: map[string]int{}}
			for _, name := range names {
				if n := random.IntN(l.max + 2); random.IntN(2) == 0 && n > 0 {
					r.Held[name] = n
				}
				if random.IntN(2) == 0 {
					r.Want = append(r.Want, name)
				}
			}
			alive := []string{"a"}
			for _, name := range names[1:] {
				if random.IntN(3) > 0 {
					alive = append(alive, name)
				}
			}
			have := r.Held["a"]
			used := random.IntN(have + 2)
			wanted := random.IntN(8)
			next, allowed, _ := l.decide(r, alive, used, wanted)
			was := r.without(alive)
			say := func(what string) {
				t.Fatalf("%s: max %d, %+v, alive %v, used %d, wanted %d: %+v, allowed %d", what, l.max, r, alive, used, wanted, next, allowed)
			}
			switch {
			case next.sum() > max(l.max, was.sum()):
				say("more than the limit")
			case allowed > next.Held["a"]:
				say("more allowed than held")
			case allowed > l.max:
				say("more allowed than there are")
			case next.Held["a"] < min(used, have):
				say("given back in use")
			case next.sum() > l.max && next.Held["a"] > max(min(used, have), allowed):
				say("too many kept")
			}
			for _, name := range alive[1:] {
				if next.Held[name] != was.Held[name] {
					say("taken from " + name)
				}
			}
		}
	})
}

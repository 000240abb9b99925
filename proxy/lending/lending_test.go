package lending

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/keystore/shared"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bank is the provider: it counts the places that are in use on all machines.
type bank struct {
	mu         sync.Mutex
	used, most int
}

func (b *bank) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
	b.most = max(b.most, b.used)
}

// worker is a machine that has work to do: so many at a time, each of which takes a while.
type worker struct {
	bank *bank
	lot  *Lot
	stop func()

	mu      sync.Mutex
	allowed int
	used    int
	waiting int
	done    int
	wake    chan struct{}
}

func (w *worker) use() (used, wanted int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.used, w.used + w.waiting
}

func (w *worker) allow(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.allowed = n
	close(w.wake)
	w.wake = make(chan struct{})
}

// work does one piece, once there is a place for it.
func (w *worker) work(ctx context.Context, takes time.Duration) (waited time.Duration) {
	began := time.Now()
	w.mu.Lock()
	w.waiting++
	if w.used >= w.allowed {
		w.mu.Unlock()
		w.lot.Wake()
		w.mu.Lock()
	}
	for w.used >= w.allowed {
		wake := w.wake
		w.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			w.mu.Lock()
			w.waiting--
			w.mu.Unlock()
			return 0
		}
		w.mu.Lock()
	}
	w.waiting--
	w.used++
	w.mu.Unlock()
	w.bank.add(1)
	waited = time.Since(began)
	time.Sleep(takes)
	w.bank.add(-1)
	w.mu.Lock()
	over := w.used > w.allowed
	w.used--
	w.done++
	close(w.wake)
	w.wake = make(chan struct{})
	w.mu.Unlock()
	if over { // as a pool of connections does
		w.lot.Wake()
	}
	return waited
}

func (w *worker) finished() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}

func machine(t *testing.T, e shared.Engine, b *bank, name string, limit int) *worker {
	t.Helper()
	s := shared.Open(shared.Options{Engine: e, Passphrase: "p", Instance: name, Work: 1})
	<-s.Loaded()
	d := New(s, slog.New(slog.DiscardHandler))
	s.Attach(shared.Watcher{Called: func(string, time.Duration) {}, Changed: func(keys []string) {
		for _, key := range keys {
			d.Changed(key)
		}
	}})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	w := &worker{bank: b, wake: make(chan struct{})}
	w.lot = d.Lend("me", limit, w.use, w.allow)
	w.stop = sync.OnceFunc(func() {
		w.lot.Close()
		cancel()
		running.Wait()
		s.Close()
	})
	t.Cleanup(w.stop)
	time.Sleep(time.Second) // all machines are known
	return w
}

// keepBusy has n pieces of work in progress until ctx ends.
func (w *worker) keepBusy(ctx context.Context, n int, takes time.Duration, busy *sync.WaitGroup) {
	for range n {
		busy.Go(func() {
			for ctx.Err() == nil {
				w.work(ctx, takes)
			}
		})
	}
}

// A machine that is alone uses everything, and asks the engine once.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, b := shared.NewMemory(), &bank{}
		w := machine(t, e, b, "a", 3)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var busy sync.WaitGroup
		w.keepBusy(ctx, 10, 100*time.Millisecond, &busy)
		time.Sleep(time.Second)
		before := e.Revision()
		busy.Wait()
		if n := w.finished(); n < 295 || b.most != 3 {
			t.Errorf("%d of 300 pieces, at most %d at a time", n, b.most)
		}
		if asked := e.Revision() - before; asked > 4 { // beats, and the last change of who waits
			t.Errorf("%d changes of records", asked)
		}
	})
}

// The limit is never exceeded, no machine starves, and most of it is used: with fewer machines than places, as
// many, and more.
func TestShared(t *testing.T) {
	for _, c := range []struct{ machines, limit, busy int }{{2, 3, 5}, {3, 3, 5}, {5, 3, 4}, {4, 30, 40}, {2, 1, 3}} {
		t.Run(fmt.Sprintf("%d machines, %d places", c.machines, c.limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, b := shared.NewMemory(), &bank{}
				var all []*worker
				for i := range c.machines {
					all = append(all, machine(t, e, b, fmt.Sprint("m", i), c.limit))
				}
				const lasts, takes = 30 * time.Second, 50 * time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), lasts)
				defer cancel()
				var busy sync.WaitGroup
				for _, w := range all {
					w.keepBusy(ctx, c.busy, takes, &busy)
				}
				busy.Wait()
				total, ideal := 0, c.limit*int(lasts/takes)
				for i, w := range all {
					n := w.finished()
					total += n
					if n < ideal/c.machines/3 {
						t.Errorf("machine %d did %d of %d", i, n, ideal)
					}
				}
				if b.most > c.limit || total < ideal*8/10 {
					t.Errorf("%d of %d done, at most %d of %d at a time", total, ideal, b.most, c.limit)
				}
			})
		})
	}
}

// A second machine gets its first place soon, while the first one is busy in all of them.
func TestSecondMachineIsServedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, b := shared.NewMemory(), &bank{}
		first, second := machine(t, e, b, "a", 3), machine(t, e, b, "b", 3)
		ctx, cancel := context.WithCancel(t.Context())
		var busy sync.WaitGroup
		first.keepBusy(ctx, 10, 100*time.Millisecond, &busy)
		time.Sleep(5 * time.Second)
		if waited := second.work(t.Context(), time.Millisecond); waited > 500*time.Millisecond {
			t.Errorf("it waited %v", waited)
		}
		time.Sleep(5 * time.Second)
		cancel()
		busy.Wait()
		if b.most > 3 {
			t.Errorf("%d at a time", b.most)
		}
	})
}

// The places of a machine that is gone are free again.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, b := shared.NewMemory(), &bank{}
		first, second := machine(t, e, b, "a", 2), machine(t, e, b, "b", 2)
		first.work(t.Context(), time.Second)
		first.stop()
		if waited := second.work(t.Context(), time.Millisecond); waited > time.Second {
			t.Errorf("it waited %v", waited)
		}
	})
}

// While the engine is away each goes on with what it has, and at least its part.
func TestEngineAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, b := shared.NewMemory(), &bank{}
		first, second := machine(t, e, b, "a", 3), machine(t, e, b, "b", 3)
		first.work(t.Context(), time.Second)
		e.Fail(errors.New("no route to host"))
		time.Sleep(time.Second)
		if waited := second.work(t.Context(), time.Millisecond); waited > 2*time.Second {
			t.Errorf("it waited %v", waited)
		}
		first.work(t.Context(), time.Second)
		e.Fail(nil)
		time.Sleep(10 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		b.most = 0
		var busy sync.WaitGroup
		first.keepBusy(ctx, 5, 50*time.Millisecond, &busy)
		second.keepBusy(ctx, 5, 50*time.Millisecond, &busy)
		busy.Wait()
		if b.most > 3 {
			t.Errorf("%d at a time after the engine is back", b.most)
		}
	})
}

// A machine that had borrowed one place kept it when it needed none any more, because nothing told it so: the other, with
// work for all places, went on with the rest.
func TestIdleMachineGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, b := shared.NewMemory(), &bank{}
		first, second := machine(t, e, b, "a", 3), machine(t, e, b, "b", 3)
		ctx, cancel := context.WithCancel(t.Context())
		var busy sync.WaitGroup
		defer busy.Wait()
		defer cancel()
		first.keepBusy(ctx, 12, 3*time.Millisecond, &busy)
		for range 5 {
			time.Sleep(2 * time.Second)
			second.work(t.Context(), 3*time.Millisecond)
			time.Sleep(2 * look)
			first.mu.Lock()
			allowed := first.allowed
			first.mu.Unlock()
			if allowed != 3 {
				t.Fatalf("the machine with work has %d places of 3", allowed)
			}
		}
	})
}

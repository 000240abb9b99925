package ui

import (
	"context"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"fyne.io/fyne/v2/test"
	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/proxy/api"
)

// However many snapshots come while the screen is busy, it draws once, and the
// newest.
func TestSnapshotsMerge(t *testing.T) {
	var queue []func()
	var drawn []int64
	f := &feed{}
	screen := func(f func()) { queue = append(queue, f) }
	draw := func(v view) { drawn = append(drawn, v.snapshot.Connections) }
	for i := range int64(100) {
		f.put(screen, draw, func(v *view) { v.snapshot.Connections = i })
	}
	if len(queue) != 1 {
		t.Fatalf("%d drawings wait, want 1", len(queue))
	}
	queue[0]()
	f.put(screen, draw, func(v *view) { v.snapshot.Connections = 100 })
	queue[1]()
	if len(drawn) != 2 || drawn[0] != 99 || drawn[1] != 100 {
		t.Errorf("drew %v, want 99 and 100", drawn)
	}
}

// The engine goes and comes back: the window says so and goes on.
func TestEngineComesBack(t *testing.T) {
	b := busyOffice()
	b.watched = make(chan api.Snapshot)
	s := newStage(t, b, staging{})
	s.w.start()
	gone := s.w.frame.banners.gone
	s.until("the first snapshot is drawn", func() bool { return s.w.view.known })
	s.until("a later one is", func() bool {
		select {
		case b.watched <- api.Snapshot{State: api.Serving, Connections: 7}:
		default:
		}
		return s.w.view.snapshot.Connections == 7
	})
	close(b.watched)
	s.until("the window says that it is gone", func() bool { return gone.Visible() })
	s.until("it looks again", func() bool { return s.w.view.snapshot.Connections == 4 || !gone.Visible() })
}

// asleep is a backend whose Watch says one thing and then nothing.
type asleep struct{ fake }

func (a *asleep) Watch(ctx context.Context) iter.Seq2[api.Snapshot, error] {
	return func(yield func(api.Snapshot, error) bool) {
		if yield(a.snapshot, nil) {
			<-ctx.Done()
		}
	}
}

// Run leaves nothing behind, whatever was going on.
func TestRunEndsWhatItBegan(t *testing.T) {
	app := test.NewTempApp(t)
	before := goleak.IgnoreCurrent()
	b := &asleep{*busyOffice()}
	pages := func(ctx context.Context) iter.Seq2[Page, error] {
		return func(func(Page, error) bool) { <-ctx.Done() }
	}
	Run(app, b, Options{Language: "en", Page: Page{Name: "setup", Account: "ada@corp.example"}, Pages: pages, do: func(func()) {}})
	goleak.VerifyNone(t, before)
}

// Another process may ask for a page.
func TestPagesComeToTheFront(t *testing.T) {
	b := busyOffice()
	pages := func(ctx context.Context) iter.Seq2[Page, error] {
		return func(yield func(Page, error) bool) {
			if yield(Page{Name: "setup", Account: "ada@corp.example"}, nil) {
				<-ctx.Done()
			}
		}
	}
	s := newStage(t, b, staging{options: Options{Pages: pages}})
	s.w.start()
	s.until("the page is shown", func() bool { return s.w.name == "setup" })
}

// changing is the i-th of many snapshots, each unlike the last.
// They repeat after a thousand, since Fyne remembers the sizes of texts: on the
// tests' driver for ever.
func changing(i int) api.Snapshot {
	b := many(8)
	s := b.snapshot
	s.Connections, s.Messages = int64(i%1000*5), int64(i%8)
	s.Totals = map[api.Result]int64{api.Sent: int64(i % 1000)}
	s.PerMinute = make([]int64, 60)
	s.PerMinute[i%50] = int64(i % 100)
	s.Breakers[i%4].State = []api.BreakerState{api.Closed, api.Open}[i/4%2]
	s.Breakers[i%4].RetryIn = i%20 + 1
	s.Accounts[i%8].SentToday = int64(i % 1000)
	a := &s.Accounts[i%8]
	for _, p := range []*api.Problem{nil, consentExpired(a.Address), smtpDisabled(a.Address), mailServerDown(a.Address)}[i%4 : i%4+1] {
		if a.State, a.Problem = api.Ready, p; p != nil {
			a.State = p.State
		}
	}
	s.State = []api.ServerState{api.Serving, api.Paused}[i/100%2]
	return s
}

// Half an hour of changing snapshots, more than five a second, does not grow memory.
func TestMemoryStaysAsItIs(t *testing.T) {
	if testing.Short() || racing {
		t.Skip("memory over 11,000 snapshots is watched without -short and the race detector alone")
	}
	s := newStage(t, many(8), staging{})
	apply := func(from, to int) {
		for i := from; i < to; i++ {
			s.w.draw(view{snapshot: changing(i), arrived: noon, known: true})
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	apply(0, 2000)
	before := heap()
	apply(2000, 11_000)
	after := heap()
	t.Logf("heap %d KB before, %d KB after", before/1024, after/1024)
	if after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d KB", before/1024, after/1024)
	}
	runtime.KeepAlive(s)
}

// frozen is a backend that is asked and never answers.
type frozen struct {
	fake
	silent atomic.Bool
}

func (f *frozen) Settings(ctx context.Context) (api.Settings, error) {
	if !f.silent.Load() {
		return api.Settings{}, nil
	}
	<-ctx.Done()
	return api.Settings{}, ctx.Err()
}

// An engine that is there and answers nothing is said to be so, until it answers again.
func TestFrozenEngineIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := &frozen{}
		b.silent.Store(true)
		f := &feed{}
		drawn := make(chan view, 10)
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.feel(ctx, b, func(draw func()) { draw() }, func(v view) { drawn <- v })
		}()
		if v := <-drawn; !v.frozen {
			t.Error("it is not told")
		}
		synctest.Wait()
		b.silent.Store(false)
		for v := range drawn {
			if !v.frozen {
				break
			}
		}
		cancel()
		<-done
	})
}

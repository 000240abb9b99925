package pace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 90 * time.Second

// provider counts as a provider does, in a window that rolls, whenever it likes while it has the message.
type provider struct {
	mu      sync.Mutex
	counted []time.Time
	most    int // in one minute
}

func (p *provider) take() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.counted = append(p.counted, now)
	n := 0
	for _, at := range p.counted {
		if now.Sub(at) < time.Minute {
			n++
		}
	}
	p.most = max(p.most, n)
}

func begin(t *testing.T, p *Pacer) Ticket {
	t.Helper()
	ticket, err := p.Begin(t.Context(), patience)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func limitOf(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %v, want a limit", err)
	}
	return e
}

// TestHundredAtOnce: 100 messages at once to a provider that takes 30 a minute. Whoever is told to come later does, and
// in the end all have gone, in the order in which they came, and the provider never saw more than 30 in a minute.
func TestHundredAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		patience time.Duration
		refused  int
		longest  time.Duration
		all      time.Duration
	}{
		"patient":      {5 * time.Minute, 0, 3*time.Minute + 10*time.Second, 3*time.Minute + 10*time.Second},
		"as in a pool": {patience, 55, patience, 3*time.Minute + 10*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, far := New(Config{Limits: Limits{PerMinute: 30}}), new(provider)
				start := time.Now()
				var mu sync.Mutex
				var refused int
				var longest time.Duration
				var order []int
				var all sync.WaitGroup
				for i := range 100 {
					all.Go(func() {
						time.Sleep(time.Duration(i) * time.Millisecond)
						for {
							ticket, err := p.Begin(t.Context(), test.patience)
							if err != nil {
								mu.Lock()
								refused++
								mu.Unlock()
								time.Sleep(time.Duration(limitOf(t, err).Seconds()) * time.Second)
								continue
							}
							mu.Lock()
							longest = max(longest, ticket.Waited())
							order = append(order, i)
							mu.Unlock()
							time.Sleep(time.Second)
							far.take()
							time.Sleep(time.Duration(i%7) * 50 * time.Millisecond)
							ticket.End(Sent)
							return
						}
					})
				}
				all.Wait()
				if took := time.Since(start); far.most > 30 || len(far.counted) != 100 || refused != test.refused || longest > test.longest || took > test.all {
					t.Errorf("%d sent, at most %d a minute, %d refused, the longest wait %v, all in %v", len(far.counted), far.most, refused, longest, took)
				}
				if !slices.IsSorted(order) {
					t.Errorf("the order: %v", order)
				}
				if s := p.Status(); s.Waiting != 0 || s.Refused[PerMinute] != int64(test.refused) || p.timer != nil {
					t.Errorf("afterwards: %+v", s)
				}
			})
		})
	}
}

// TestOneAfterTheOther: a program that sends message after message, as a mail merge does, is slowed down a little and
// never stopped for long. The first twenty do not wait, and no place is lost: after four minutes 120 and those of the next
// two thirds have gone.
func TestOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, far := New(Config{Limits: Limits{PerMinute: 30}}), new(provider)
		start, longest := time.Now(), time.Duration(0)
		for i := range 140 {
			ticket, err := p.Begin(t.Context(), 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if longest = max(longest, ticket.Waited()); i == 19 && longest > 0 {
				t.Errorf("the first twenty waited %v", longest)
			}
			time.Sleep(100 * time.Millisecond)
			far.take()
			ticket.End(Sent)
		}
		if took := time.Since(start); far.most != 30 || longest > 6*time.Second || took > 4*time.Minute+15*time.Second {
			t.Errorf("at most %d a minute, the longest wait %v, all in %v", far.most, longest, took)
		}
	})
}

// TestPlacesComeBack: a message that the provider has heard nothing of takes no place, and one that waits goes at once.
func TestPlacesComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Limits: Limits{PerMinute: 2}})
		one, two := begin(t, p), begin(t, p)
		done := make(chan time.Duration)
		go func() {
			ticket := begin(t, p)
			done <- ticket.Waited()
			ticket.End(Unused)
		}()
		synctest.Wait()
		if s := p.Status(); s.Waiting != 1 || s.Uses[0] != (Use{Kind: PerMinute, Used: 2, Limit: 2}) {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Second)
		one.End(Unused)
		one.End(Sent) // does nothing
		if waited := <-done; waited != time.Second {
			t.Errorf("waited %v", waited)
		}
		two.End(NotSent)
		synctest.Wait()
		if s := p.Status(); s.Uses[0].Used != 1 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestUnusedTurn: a message whose program gave up while it waited costs those behind it no time.
func TestUnusedTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Limits: Limits{PerMinute: 30}})
		for range 20 {
			ticket := begin(t, p)
			ticket.End(Sent)
		}
		for i := range 5 {
			ticket := begin(t, p)
			if (ticket.Waited() > 0) != (i == 0) {
				t.Errorf("number %d waited %v", i, ticket.Waited())
			}
			ticket.End(Unused)
		}
	})
}

// TestGivingUp: whoever stops waiting is no obstacle to those behind.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Limits: Limits{PerMinute: 1}})
		first := begin(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := p.Begin(ctx, patience); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
		})
		synctest.Wait()
		all.Go(func() { // it should be its turn after a minute, but the first does not end
			start := time.Now()
			_, err := p.Begin(t.Context(), 2*time.Minute)
			if e := limitOf(t, err); e.Kind != PerMinute || e.Limit != 1 || e.Seconds() != 60 || time.Since(start) != 2*time.Minute {
				t.Errorf("%v after %v", e, time.Since(start))
			}
		})
		synctest.Wait()
		cancel()
		all.Wait()
		first.End(Sent)
		if p.timer != nil || p.Status().Waiting != 0 {
			t.Error("somebody waits")
		}
		_, err := p.Begin(t.Context(), 59*time.Second)
		if e := limitOf(t, err); e.Seconds() != 60 {
			t.Errorf("longer than its patience: %v", e)
		}
	})
}

// TestStop: a message that waits does not keep the program from stopping.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Limits: Limits{PerMinute: 1}})
		one := begin(t, p)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if _, err := p.Begin(t.Context(), time.Hour); limitOf(t, err).Kind != PerMinute {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		p.Stop()
		all.Wait()
		if _, err := p.Begin(t.Context(), time.Hour); limitOf(t, err).Seconds() != 60 {
			t.Error(err)
		}
		one.End(Sent)
	})
}

// TestDay: recipients count as the provider counts them, and an hour's are forgotten together.
func TestDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().Truncate(time.Hour)
		past := Day{}.Add(start.Add(-30*time.Hour), Counts{9, 9}).Add(start.Add(-23*time.Hour), Counts{1, 3})
		p := New(Config{Limits: Limits{Recipients: 10}, Past: past})
		ticket := begin(t, p)
		if err := ticket.Recipients(8); limitOf(t, err).Kind != RecipientsPerDay {
			t.Error(err)
		}
		for _, n := range []int{5, 2} {
			if err := ticket.Recipients(n); err != nil {
				t.Error(err)
			}
		}
		if _, err := p.Begin(t.Context(), patience); !limitOf(t, err).Until.Equal(start.Add(2 * time.Hour)) {
			t.Errorf("while a message is going: %v", err)
		}
		ticket.Refused(2)
		ticket.End(Sent)
		ticket = begin(t, p)
		ticket.Recipients(1)
		ticket.End(NotSent) // does not count
		ticket = begin(t, p)
		ticket.Recipients(2)
		ticket.End(Sent)
		if s := p.Status(); len(s.Uses) != 1 || s.Uses[0] != (Use{RecipientsPerDay, 10, 10, start.Add(2 * time.Hour)}) || s.Refused[RecipientsPerDay] != 2 {
			t.Errorf("%+v", s)
		}
		time.Sleep(2*time.Hour - time.Second)
		if _, err := p.Begin(t.Context(), patience); err == nil {
			t.Error("an hour is forgotten too early")
		}
		time.Sleep(time.Second)
		ticket = begin(t, p)
		ticket.End(Unused)
		if got := p.Own(); len(got) != 1 || got[0].Counts != (Counts{2, 7}) {
			t.Errorf("%+v", got)
		}
	})
}

// TestFullWhileWaiting: a message that waited for the minute is told of the day's limit if that is reached meanwhile.
func TestFullWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Limits: Limits{PerMinute: 1, Messages: 2}})
		first := begin(t, p)
		var errs []error
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				ticket, err := p.Begin(t.Context(), time.Hour)
				if err != nil {
					errs = append(errs, err)
				}
				ticket.End(Sent)
			})
			synctest.Wait()
		}
		first.End(Sent)
		all.Wait()
		if len(errs) != 1 || limitOf(t, errs[0]).Kind != MessagesPerDay {
			t.Errorf("%v", errs)
		}
	})
}

// TestWrongClock: hours that were counted while the clock was wrong do not keep the account from sending.
func TestWrongClock(t *testing.T) {
	right := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	now := right.AddDate(5, 0, 0)
	p := New(Config{Limits: Limits{Messages: 1}, Now: func() time.Time { return now }})
	one := begin(t, p)
	one.End(Sent)
	if _, err := p.Begin(t.Context(), patience); err == nil {
		t.Fatal("there is no limit")
	}
	now = right
	two := begin(t, p)
	two.End(Sent)
	if got := p.Own(); len(got) != 1 || got[0].Hour != right.Unix()/3600 {
		t.Errorf("%+v", got)
	}
	zone := time.FixedZone("elsewhere", 11*3600)
	now = right.In(zone)
	if _, err := p.Begin(t.Context(), patience); !limitOf(t, err).Until.Equal(right.Add(25 * time.Hour)) {
		t.Errorf("in another time zone: %v", err)
	}
}

// TestFleet: a share may change while messages wait for it, and others' days count.
func TestFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Limits: Limits{PerMinute: 30, Recipients: 100}})
		p.SetShare(0)
		done := make(chan Ticket)
		go func() { done <- begin(t, p) }()
		synctest.Wait()
		p.SetShare(2)
		one := <-done
		two := begin(t, p)
		if _, err := p.Begin(t.Context(), time.Second); limitOf(t, err).Kind != PerMinute {
			t.Error(err)
		}
		p.SetShare(50) // more than there is
		for range 28 {
			begin(t, p)
		}
		if _, err := p.Begin(t.Context(), time.Second); limitOf(t, err).Kind != PerMinute {
			t.Error(err)
		}
		p.SetShare(1)
		one.End(Unused)
		two.End(Unused)
		if _, err := p.Begin(t.Context(), 0); limitOf(t, err).Seconds() != 60 {
			t.Error(err)
		}
		p.SetShare(-1)
		ticket := begin(t, p)
		others := Day{}.Add(time.Now(), Counts{1, 99})
		p.SetElsewhere(others)
		if err := ticket.Recipients(1); err != nil {
			t.Error(err)
		}
		if err := ticket.Recipients(1); limitOf(t, err).Kind != RecipientsPerDay {
			t.Error(err)
		}
		time.Sleep(26 * time.Hour) // the others are never heard of again
		if err := ticket.Recipients(50); err != nil {
			t.Error(err)
		}
	})
}

// TestLimitsChange: a message that waits goes when the limit is lifted, and what was sent before there were limits
// counts.
func TestLimitsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		free := begin(t, p)
		p.SetLimits(Limits{PerMinute: 1, Messages: 7}, Day{}.Add(time.Now(), Counts{5, 5}))
		free.End(Sent) // began without limits
		one := begin(t, p)
		done := make(chan Ticket)
		go func() { done <- begin(t, p) }()
		synctest.Wait()
		p.SetLimits(Limits{Messages: 7}, nil)
		two := <-done
		if _, err := p.Begin(t.Context(), patience); limitOf(t, err).Kind != MessagesPerDay {
			t.Error(err)
		}
		one.End(Sent)
		two.End(Sent)
		p.SetLimits(Limits{}, nil)
		begin(t, p)
	})
}

// TestNoLimitCostsNothing, and an account that has one is not charged with allocations either.
func TestNoLimitCostsNothing(t *testing.T) {
	for name, p := range map[string]*Pacer{"nil": nil, "no limits": New(Config{}), "limits": New(Config{Limits: Limits{PerMinute: 1e6, Recipients: 1e6}})} {
		for range 300 { // make room for the places
			ticket := begin(t, p)
			ticket.End(Sent)
		}
		if p != nil && p.limited.Load() {
			p.ended = slices.Grow(p.ended[:0], 1000)
		}
		n := testing.AllocsPerRun(100, func() {
			ticket, _ := p.Begin(t.Context(), patience)
			ticket.Recipients(1)
			ticket.End(Sent)
		})
		if n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestManyAtOnce finds races, and places that are lost or given twice.
func TestManyAtOnce(t *testing.T) {
	p := New(Config{Limits: Limits{PerMinute: 5, Messages: 1e6}, Minute: 2 * time.Millisecond})
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			for n := range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(i+n)%50)*time.Millisecond)
				ticket, err := p.Begin(ctx, time.Second)
				if err == nil {
					ticket.End(Outcome(n % 3))
				}
				cancel()
			}
		})
	}
	all.Go(func() {
		for n := range 200 {
			p.SetShare(n%7 - 1)
			p.Status()
		}
		p.SetShare(-1)
	})
	all.Wait()
	if p.going != (Counts{}) || len(p.waiting) != 0 || p.timer != nil {
		t.Errorf("left: %+v, %d wait, timer %v", p.going, len(p.waiting), p.timer)
	}
	ticket := begin(t, p)
	ticket.End(Unused)
}

func ExamplePacer() {
	p := New(Config{Limits: Limits{PerMinute: 1}})
	ticket, _ := p.Begin(context.Background(), time.Second)
	ticket.End(Sent)
	_, err := p.Begin(context.Background(), time.Second)
	fmt.Println(err)
	// Output: 1 messages_per_minute; again in 60 s
}

// With a coarse clock, a message was told to come again in 0 seconds.
func TestSecondsAreRoundedUp(t *testing.T) {
	for wait, want := range map[time.Duration]int{0: 1, time.Nanosecond: 1, time.Second: 1, time.Second + 1: 2, time.Minute: 60} {
		if got := (&Error{Kind: PerMinute, Wait: wait}).Seconds(); got != want {
			t.Errorf("%v: %d seconds, want %d", wait, got, want)
		}
	}
}

package breaker

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("no answer")

func fail() error { return errDown }
func work() error { return nil }

// open fails often enough to open b.
func open(t *testing.T, b *Breaker) {
	t.Helper()
	for range 5 {
		if err := b.Do(fail); err != errDown {
			t.Fatalf("Do = %v, want the call's own error", err)
		}
	}
}

func wantOpen(t *testing.T, b *Breaker, retryIn time.Duration) {
	t.Helper()
	var open *OpenError
	err := b.Do(func() error { t.Error("an open breaker called"); return nil })
	if want := (OpenError{b.name, retryIn, errDown.Error()}); !errors.As(err, &open) || *open != want {
		t.Errorf("Do = %#v, want %#v", err, want)
	}
	if check := b.Check(); !reflect.DeepEqual(check, err) {
		t.Errorf("Check = %#v, want what Do gives: %#v", check, err)
	}
}

func TestOpensProbesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New("login.example", Settings{})
		for range 4 {
			b.Do(fail)
		}
		b.Do(work) // in a row means in a row
		for range 4 {
			b.Do(fail)
		}
		if s := b.Status(); s.State != Closed || s.Failures != 4 || s.Transitions != 0 {
			t.Fatalf("after 4 failures: %+v", s)
		}
		b.Do(fail)
		wantOpen(t, b, 30*time.Second)
		time.Sleep(10*time.Second + time.Millisecond)
		wantOpen(t, b, 20*time.Second-time.Millisecond)
		want := Status{"login.example", Open, 20*time.Second - time.Millisecond, "no answer", 1, 5}
		if s := b.Status(); s != want {
			t.Fatalf("Status = %+v, want %+v", s, want)
		}

		time.Sleep(b.Status().RetryIn) // the screen sees it without a call
		if err := b.Check(); err != nil {
			t.Fatalf("Check after 30 s: %v", err)
		}
		if s := b.Status(); s.State != HalfOpen || s.RetryIn != 0 || s.Transitions != 2 {
			t.Fatalf("after 30 s: %+v", s)
		}
		b.Do(fail)
		wantOpen(t, b, 30*time.Second)

		time.Sleep(30 * time.Second)
		b.Do(work)
		if s := b.Status(); s.State != Closed || s.Transitions != 5 || s.Failures != 0 {
			t.Fatalf("after the probe worked: %+v", s)
		}
		for range 4 {
			b.Do(fail)
		}
		if s := b.Status(); s.State != Closed {
			t.Fatalf("one good probe did not restore the whole patience: %+v", s)
		}
	})
}

func TestOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New("smtp.example:465", Settings{})
		open(t, b)
		time.Sleep(30 * time.Second)

		var calls atomic.Int32
		release := make(chan struct{})
		var all sync.WaitGroup
		refused := make(chan error, 50)
		for range 50 {
			all.Go(func() {
				refused <- b.Do(func() error { calls.Add(1); <-release; return nil })
			})
		}
		synctest.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls went through, want only the probe", n)
		}
		if n := len(refused); n != 49 {
			t.Errorf("%d were answered at once, want 49", n)
		}
		close(release)
		all.Wait()
		var open *OpenError
		if err := <-refused; !errors.As(err, &open) || open.Seconds() != 1 {
			t.Errorf("during the probe: %v, want an OpenError of one second", err)
		}
	})
}

func TestClassify(t *testing.T) {
	errNews := errors.New("consent is gone")
	b := New("x", Settings{Failures: 1, Classify: func(err error) Outcome {
		switch err {
		case nil, errNews:
			return Success
		case context.Canceled:
			return Neutral
		}
		return Failure
	}})
	for _, err := range []error{nil, errNews, context.Canceled} {
		if got := b.Do(func() error { return err }); got != err {
			t.Errorf("Do = %v, want %v", got, err)
		}
	}
	if s := b.Status(); s.State != Closed || s.Cause != "" {
		t.Errorf("after success and neutral: %+v", s)
	}
	b.Do(fail)
	if s := b.Status(); s.State != Open || s.Cause != "no answer" {
		t.Errorf("after a failure: %+v", s)
	}
}

func TestNeutralProbeLeavesTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New("x", Settings{})
		open(t, b)
		time.Sleep(30 * time.Second)
		b.Do(func() error { return context.Canceled })
		if err := b.Do(work); err != nil {
			t.Errorf("after a cancelled probe the next call got %v", err)
		}
		if s := b.Status(); s.State != Closed {
			t.Errorf("%+v", s)
		}
	})
}

// gobreaker calls back under its own lock, where asking for the state would hang for ever.
func TestOnChangeMayAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *Breaker
		var told []State
		b = New("x", Settings{OnChange: func(s Status) {
			if now := b.Status(); now != s {
				t.Errorf("told %+v, now %+v", s, now)
			}
			told = append(told, s.State)
		}})
		open(t, b)
		time.Sleep(30 * time.Second)
		b.Status() // finds that it is half-open and tells nobody: the caller may hold a lock
		b.Do(work)
		if want := []State{Open, Closed}; !reflect.DeepEqual(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	})
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet(Settings{})
		b := set.Get("x")
		open(t, b)
		set.ResetAll()
		if err := b.Do(work); err != nil {
			t.Fatalf("after a reset: %v", err)
		}
		open(t, b)

		// A call from before the reset must not touch what came after.
		b.Reset()
		started, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			b.Do(func() error { close(started); <-release; return errDown })
		}()
		<-started
		b.Reset()
		close(release)
		<-done
		if s := b.Status(); s.State != Closed {
			t.Fatalf("a call from before the reset opened it: %+v", s)
		}

		b.Do(fail) // it was open before: one failure is enough
		if s := b.Status(); s.State != Open || s.RetryIn != 30*time.Second {
			t.Fatalf("after a reset and a failure: %+v", s)
		}
	})
}

func TestPanicCounts(t *testing.T) {
	b := New("x", Settings{Failures: 1})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		b.Do(func() error { panic("bug") })
	}()
	if s := b.Status(); s.State != Open {
		t.Errorf("%+v", s)
	}
}

func TestSet(t *testing.T) {
	s := NewSet(Settings{Failures: 1})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { s.Get("b").Do(fail); s.Get("a").Do(work) })
	}
	all.Wait()
	got := s.All()
	if len(got) != 2 || got[0].Name != "a" || got[0].State != Closed || got[1].Name != "b" || got[1].State != Open {
		t.Errorf("All = %+v", got)
	}
	if first := s.Get("a"); first != s.Get("a") {
		t.Error("Get made two breakers of one name")
	}
}

func TestStatusJSON(t *testing.T) {
	s := Status{"x", HalfOpen, 1500 * time.Millisecond, "why", 3, 2}
	got, err := json.Marshal(s)
	want := `{"name":"x","state":"half-open","retry_in_seconds":2,"cause":"why","transitions":3,"failures":2}`
	if err != nil || string(got) != want {
		t.Fatalf("%s, %v; want %s", got, err, want)
	}
	var back Status
	s.RetryIn = 2 * time.Second
	if err := json.Unmarshal(got, &back); err != nil || back != s {
		t.Errorf("%+v, %v; want %+v", back, err, s)
	}
	if err := json.Unmarshal([]byte(`{"state":"ajar"}`), &back); err == nil {
		t.Error("an unknown state was read")
	}
}

func TestOpenErrorText(t *testing.T) {
	for e, want := range map[OpenError]string{
		{"x", 0, ""}:                                "x failed several times in a row; next try in 1 s",
		{"x", time.Millisecond, ""}:                 "x failed several times in a row; next try in 1 s",
		{"x", 29*time.Second + time.Nanosecond, ""}: "x failed several times in a row; next try in 30 s",
		{"x", 0, "554 go away"}:                     "x failed several times in a row (554 go away); next try in 1 s",
	} {
		if got := e.Error(); got != want {
			t.Errorf("%+v: %q", e, got)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	br := New("x", Settings{Failures: 1, OpenFor: time.Hour})
	br.Do(fail)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if br.Do(work) == nil {
				b.Error("not open")
			}
		}
	})
}

func BenchmarkClosed(b *testing.B) {
	br := New("x", Settings{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			br.Do(work)
		}
	})
}

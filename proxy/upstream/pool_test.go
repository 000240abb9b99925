package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func begin(t *testing.T, p *Pool) *Transaction {
	t.Helper()
	tx, err := p.Begin(t.Context(), "me@corp.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// At the limit, turns are given in the order in which they were asked for.
func TestTurnsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		t.Cleanup(f.stop)
		p := newPool(t, f, func(c *Config) { c.MaxConnections = 2 })
		first, second := begin(t, p), begin(t, p)
		got := make(chan int, 10)
		for i := range 10 {
			go func() {
				tx, err := p.Begin(t.Context(), "me@corp.example", nil)
				if err != nil {
					t.Error(err)
					return
				}
				got <- i
				tx.Close()
			}()
			synctest.Wait() // so that they queue in order
		}
		if s := p.Status(); s.Busy != 2 || s.Waiting != 10 || s.Limit != 2 || s.Warm != 0 {
			t.Errorf("%+v", s)
		}
		first.Close()
		for i := range 10 {
			if n := <-got; n != i {
				t.Errorf("turn %d went to %d", i, n)
			}
		}
		second.Close()
		synctest.Wait()
		if s := p.Status(); s.Warm != 2 || s.Busy != 0 || s.Waiting != 0 || f.connections() != 2 {
			t.Errorf("%+v over %d connections", s, f.connections())
		}
	})
}

// A connection that is of no more use leaves its place to the next who waits.
func TestBrokenConnectionLeavesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		t.Cleanup(f.stop)
		p := newPool(t, f)
		tx := begin(t, p)
		done := make(chan error, 1)
		go func() {
			_, err := send(p, strings.NewReader("x"), "you@there.example")
			done <- err
		}()
		synctest.Wait()
		tx.c.broken = true
		tx.Close()
		if err := <-done; err != nil || f.connections() != 2 {
			t.Errorf("%v, %d connections", err, f.connections())
		}
	})
}

func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		t.Cleanup(f.stop)
		p := newPool(t, f)
		tx := begin(t, p)
		began := time.Now()
		if _, err := p.Begin(t.Context(), "me@corp.example", nil); !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
		if waited := time.Since(began); waited != 90*time.Second { // the bubble's clock is exact
			t.Errorf("waited %v", waited)
		}
		ctx, cancel := contextWithCancel(t)
		done := make(chan error, 1)
		go func() { _, err := p.Begin(ctx, "me@corp.example", nil); done <- err }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, errLeft) || p.Status().Waiting != 0 {
			t.Errorf("%v, %+v", err, p.Status())
		}
		tx.Close()
		mustSend(t, p, "x")
		if f.connections() != 1 {
			t.Errorf("%d connections", f.connections())
		}
	})
}

// A turn that comes in the moment in which its waiter leaves goes to the next.
func TestTurnIsNotLost(t *testing.T) {
	f := start(t, &fake{})
	p := newPool(t, f)
	for range 200 {
		tx := begin(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if tx, err := p.Begin(ctx, "me@corp.example", nil); err == nil {
					tx.Close()
				}
			})
		}
		all.Go(tx.Close)
		all.Go(cancel)
		all.Wait()
		if s := p.Status(); s.Busy != 0 || s.Waiting != 0 {
			t.Fatalf("%+v", s)
		}
	}
}

// Idle connections are told QUIT and closed, and then no timer is left.
func TestIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		t.Cleanup(f.stop)
		p := newPool(t, f, func(c *Config) { c.MaxConnections = 3 })
		a, b, c := begin(t, p), begin(t, p), begin(t, p)
		a.Close()
		time.Sleep(40 * time.Second)
		b.Close()
		time.Sleep(19 * time.Second)
		if s := p.Status(); s.Warm != 2 {
			t.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := p.Status(); s.Warm != 1 || s.Busy != 1 || p.cfg.Stats.Warm.Load() != 1 {
			t.Errorf("after a minute for the first: %+v", s)
		}
		if said := f.said(1); said[len(said)-1] != "QUIT" {
			t.Errorf("%q", said)
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if s := p.Status(); s.Warm != 0 || s.Busy != 1 || p.armed {
			t.Errorf("after a minute for the second: %+v, armed %v", s, p.armed)
		}
		c.Close()
		if s := p.Status(); s.Warm != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// The connection used last is used next, so that the others can end.
func TestWarmestFirst(t *testing.T) {
	f := start(t, &fake{})
	p := newPool(t, f, func(c *Config) { c.MaxConnections = 3 })
	a, b := begin(t, p), begin(t, p)
	a.Close()
	b.Close()
	for range 3 {
		mustSend(t, p, "x")
	}
	for _, m := range f.delivered() {
		if m.conn != 2 {
			t.Errorf("sent on connection %d", m.conn)
		}
	}
}

func TestDrop(t *testing.T) {
	f := start(t, &fake{})
	p := newPool(t, f, func(c *Config) { c.MaxConnections = 2 })
	busy, idle := begin(t, p), begin(t, p)
	idle.Close()
	p.Drop()
	if s := p.Status(); s.Warm != 0 || s.Busy != 1 {
		t.Errorf("%+v", s)
	}
	if _, err := busy.Rcpt(t.Context(), recipients(1)); err != nil {
		t.Error(err)
	}
	if r, err := busy.Data(t.Context(), strings.NewReader("x")); err != nil || !r.ok() {
		t.Errorf("the message in progress: %v, %v", r, err)
	}
	busy.Close()
	if s := p.Status(); s.Warm != 0 || s.Busy != 0 {
		t.Errorf("kept a connection from before: %+v", s)
	}
	mustSend(t, p, "x")
	if s := p.Status(); s.Warm != 1 || f.connections() != 3 {
		t.Errorf("%+v over %d", s, f.connections())
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		t.Cleanup(f.stop)
		p := newPool(t, f, func(c *Config) { c.MaxConnections = 2 })
		idle, busy := begin(t, p), begin(t, p)
		waiting := make(chan error, 1)
		third := make(chan struct{})
		go func() { _, err := p.Begin(t.Context(), "me@corp.example", nil); waiting <- err; close(third) }()
		synctest.Wait()
		p.Close(t.Context())
		if err := <-waiting; !errors.Is(err, ErrClosed) {
			t.Errorf("a message that waited: %v", err)
		}
		<-third
		idle.Close()
		if s := p.Status(); s.Warm != 0 || s.Busy != 1 {
			t.Errorf("%+v", s)
		}
		if _, err := busy.Rcpt(t.Context(), recipients(1)); err != nil {
			t.Error(err)
		}
		if r, err := busy.Data(t.Context(), strings.NewReader("x")); err != nil || !r.ok() {
			t.Errorf("the message in progress: %v, %v", r, err)
		}
		busy.Close()
		if _, err := p.Begin(t.Context(), "me@corp.example", nil); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		p.accepted.Store(nil)
		if err := p.Check(t.Context()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		p.Drop()
		p.Close(t.Context())
	})
}

// Close says QUIT, but takes no longer than ctx, nor than two seconds.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &fake{on: func(_ int, line string) string {
			if line == "QUIT" {
				<-release
			}
			return ""
		}}
		t.Cleanup(f.stop)
		p := newPool(t, f)
		mustSend(t, p, "x")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		p.Close(ctx)
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v, with ctx a second", took)
		}
		p.Close(t.Context())
		if took := time.Since(began); took != goodbye {
			t.Errorf("took %v, want %v", took, goodbye)
		}
		close(release)
	})
}

// Many senders, few connections: everything arrives once, and no connection is used by two at a time.
func TestManySenders(t *testing.T) {
	f := start(t, &fake{})
	p := newPool(t, f, func(c *Config) { c.MaxConnections = 4 })
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			for j := range 10 {
				body := fmt.Sprintf("%d %d\r\n", i, j)
				if r, err := send(p, strings.NewReader(body), "you@there.example"); err != nil || !r.ok() {
					t.Errorf("%v, %v", r, err)
				}
			}
		})
	}
	all.Wait()
	seen := map[string]int{}
	for _, m := range f.delivered() {
		seen[string(m.body)]++
	}
	if len(seen) != 400 || f.connections() > 4 {
		t.Errorf("%d of 400 arrived over %d connections", len(seen), f.connections())
	}
	for body, n := range seen {
		if n != 1 {
			t.Errorf("%q arrived %d times", body, n)
		}
	}
}

// A new pool does nothing until it is used.
func TestIdlePoolHasNoTimer(t *testing.T) {
	p := newPool(t, &fake{}, func(c *Config) {
		c.Tokens = &fakeTokens{err: errors.New("never signed in")}
	})
	p.server.Open = func(context.Context, string) (net.Conn, error) { return nil, io.ErrUnexpectedEOF }
	if err := p.Check(t.Context()); err == nil {
		t.Error("let in without a token")
	}
	if p.timer != nil || p.cfg.Stats.Dials.Load() != 0 {
		t.Error("it did something")
	}
}

// While a machine sleeps no timer runs: a connection that is too old by the wall clock is not used,
// whatever the timer of idle connections says.
func TestConnectionFromBeforeASleepIsNotUsed(t *testing.T) {
	f := start(t, &fake{})
	p := newPool(t, f)
	mustSend(t, p, "before\r\n")
	p.mu.Lock()
	p.warm[0].used = time.Now().Add(-p.cfg.IdleTimeout - time.Second).Round(0)
	p.mu.Unlock()
	mustSend(t, p, "after\r\n")
	if n := f.connections(); n != 2 {
		t.Errorf("%d connections, want a new one for the second message", n)
	}
}

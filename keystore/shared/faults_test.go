package shared

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore"
)

// tapped is an engine whose calls a test can watch and change.
type tapped struct {
	Engine
	mu      sync.Mutex
	lists   int
	onWatch func(after int64) error // before a Watch, whose error it is
	onSwap  func(key string) error  // before a Swap, whose error it is
}

func (e *tapped) List(ctx context.Context) ([]Record, int64, error) {
	e.mu.Lock()
	e.lists++
	e.mu.Unlock()
	return e.Engine.List(ctx)
}

func (e *tapped) listed() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lists
}

func (e *tapped) Watch(ctx context.Context, after int64, changed func([]Record)) error {
	e.mu.Lock()
	tap := e.onWatch
	e.mu.Unlock()
	if tap != nil {
		if err := tap(after); err != nil {
			return err
		}
	}
	return e.Engine.Watch(ctx, after, changed)
}

func (e *tapped) Swap(ctx context.Context, key string, value []byte, revision int64) (Record, error) {
	e.mu.Lock()
	tap := e.onSwap
	e.mu.Unlock()
	if tap != nil {
		if err := tap(key); err != nil {
			return Record{}, err
		}
	}
	return e.Engine.Swap(ctx, key, value, revision)
}

// After an outage nobody has been heard of for a while, which does not mean that nobody lives.
func TestOutageIsNoDeath(t *testing.T) {
	for name, lasts := range map[string]time.Duration{"a minute": time.Minute, "two hours": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := NewMemory()
				a, b := machine(t, e, "a"), machine(t, e, "b")
				time.Sleep(time.Minute)
				e.Fail(errors.New("connection refused"))
				for began := time.Now(); time.Since(began) < lasts; time.Sleep(time.Second) {
					if got := strings.Join(a.Alive(), " "); got != "a b" {
						t.Fatalf("%v after the engine went away: %s", time.Since(began), got)
					}
				}
				if got := a.Hearing(); got != 0 {
					t.Errorf("a hears for %v", got)
				}
				e.Fail(nil)
				for range 200 {
					if x, y := strings.Join(a.Alive(), " "), strings.Join(b.Alive(), " "); x != "a b" || y != "a b" {
						t.Fatalf("once it is back: %s, %s", x, y)
					}
					time.Sleep(100 * time.Millisecond)
				}
				if a.Hearing() == 0 {
					t.Error("a does not hear")
				}
			})
		})
	}
}

// What was written between a List and its Watch is not missed when a record was read in that moment.
func TestNothingIsMissedBetweenListAndWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := NewMemory()
		e := &tapped{Engine: memory}
		b := machine(t, memory, "b")
		must[int64](t)(0, b.Secrets().Set(t.Context(), "password/x", "1"))
		a := machine(t, e, "a")
		// While a loads again, b changes one record, and a reads another.
		a.Attach(Watcher{Called: func(string, time.Duration) {}, Changed: func(keys []string) {
			for _, key := range keys {
				if key == "password/y" {
					must[int64](t)(0, b.Secrets().Set(t.Context(), "password/x", "2"))
					must[int64](t)(0, b.Secrets().Set(t.Context(), "password/z", "3"))
					must[Record](t)(a.Read(t.Context(), "password/z"))
				}
			}
		}})
		memory.Fail(errors.New("connection refused"))
		time.Sleep(time.Second)
		e.mu.Lock()
		e.onWatch = nil
		e.mu.Unlock()
		memory.Fail(nil)
		must[int64](t)(0, b.Secrets().Set(t.Context(), "password/y", "new, so that the load tells of it"))
		time.Sleep(10 * time.Second)
		if v, err := a.Secrets().Get(t.Context(), "password/x"); v != "2" || err != nil {
			t.Errorf("a has %q, %v", v, err)
		}
	})
}

// A read that overtakes a List is not taken for a restored backup.
func TestReadDuringListIsNoRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		memory := NewMemory()
		e := &lateList{Engine: memory}
		a := machine(t, e, "a", func(o *Options) { o.Log = textLog(&log) })
		b := machine(t, memory, "b")
		e.after = func() {
			must[int64](t)(0, b.Secrets().Set(t.Context(), "password/x", "1"))
			must[Record](t)(a.Read(t.Context(), "password/x"))
		}
		a.reload()
		time.Sleep(10 * time.Second)
		if strings.Contains(log.String(), "older state") {
			t.Error(log.String())
		}
	})
}

// A machine that was cut off while the engine was restored, and comes back once the others have written more than was
// lost, took a record for the one that it had before: both had the same revision.
func TestRestoredWhileCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := NewMemory()
		cut := &cutOff{Engine: memory}
		a, b := machine(t, cut, "a"), machine(t, memory, "b")
		must[int64](t)(0, a.Secrets().Set(t.Context(), "refresh/x", "old"))
		backup := memory.Revision()
		must[int64](t)(0, a.Secrets().Set(t.Context(), "refresh/x", "new"))
		must[int64](t)(0, a.Secrets().Set(t.Context(), "password/x", "lost"))
		lost := memory.Revision()
		synctest.Wait()
		cut.set(errors.New("no route to host"))
		memory.Restore(backup)
		b.reload()
		synctest.Wait()
		for memory.Revision() < lost-1 {
			must[int64](t)(0, b.Secrets().Set(t.Context(), "password/y", "1"))
		}
		must[int64](t)(0, b.Secrets().Set(t.Context(), "password/x", "after"))
		if memory.Revision() != lost {
			t.Fatalf("revision %d, want %d for the test", memory.Revision(), lost)
		}
		time.Sleep(time.Minute) // the others write on
		cut.set(nil)
		time.Sleep(10 * time.Second)
		if v, err := a.Secrets().Get(t.Context(), "password/x"); v != "after" || err != nil {
			t.Errorf("a has %q, %v", v, err)
		}
		if v, err := b.Secrets().Get(t.Context(), "refresh/x"); v != "new" || err != nil {
			t.Errorf("b has the token %q, %v", v, err)
		}
	})
}

// cutOff is an engine that one machine alone cannot reach while there is an error.
type cutOff struct {
	Engine
	mu    sync.Mutex
	err   error
	leave context.CancelCauseFunc // ends the Watch
}

func (e *cutOff) set(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err = err; err != nil && e.leave != nil {
		e.leave(err)
	}
}

func (e *cutOff) reach() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *cutOff) List(ctx context.Context) ([]Record, int64, error) {
	if err := e.reach(); err != nil {
		return nil, 0, err
	}
	return e.Engine.List(ctx)
}

func (e *cutOff) Get(ctx context.Context, key string) (Record, error) {
	if err := e.reach(); err != nil {
		return Record{}, err
	}
	return e.Engine.Get(ctx, key)
}

func (e *cutOff) Swap(ctx context.Context, key string, value []byte, revision int64) (Record, error) {
	if err := e.reach(); err != nil {
		return Record{}, err
	}
	return e.Engine.Swap(ctx, key, value, revision)
}

func (e *cutOff) Watch(ctx context.Context, after int64, changed func([]Record)) error {
	if err := e.reach(); err != nil {
		return err
	}
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	e.mu.Lock()
	e.leave = leave
	e.mu.Unlock()
	return e.Engine.Watch(ctx, after, changed)
}

// lateList calls after between a List and its answer, once.
type lateList struct {
	Engine
	after func()
}

func (e *lateList) List(ctx context.Context) ([]Record, int64, error) {
	all, revision, err := e.Engine.List(ctx)
	if after := e.after; after != nil {
		e.after = nil
		after()
	}
	return all, revision, err
}

// An engine that sends its records but ends each watch at once is not asked for all of them ten times a second.
func TestWatchThatEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &tapped{Engine: NewMemory(), onWatch: func(int64) error { return errors.New("no watch for you") }}
		machine(t, e, "a")
		time.Sleep(time.Minute)
		if n := e.listed(); n > 60 {
			t.Errorf("%d lists in a minute", n)
		}
	})
}

// A caller who has no time left says nothing about the engine.
func TestCallersLimitIsNotTheEngines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := machine(t, &impatient{NewMemory()}, "a")
		ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
		defer cancel()
		if _, err := a.Read(ctx, "password/x"); err == nil {
			t.Error("it was read")
		}
		if err := a.Err(); err != nil {
			t.Error(err)
		}
	})
}

// impatient looks at the context, as a real engine does.
type impatient struct{ Engine }

func (e *impatient) Get(ctx context.Context, key string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	return e.Engine.Get(ctx, key)
}

// A grant that cannot be decrypted is replaced by the next sign-in.
func TestDamagedGrantIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		a := machine(t, e, "a")
		must[int64](t)(0, a.Secrets().Set(t.Context(), "refresh/x", "1"))
		r, _ := e.Get(t.Context(), GrantKey("x"))
		must[Record](t)(e.Swap(t.Context(), GrantKey("x"), []byte("nonsense"), r.Revision))
		synctest.Wait()
		if _, err := a.Secrets().Get(t.Context(), "refresh/x"); !errors.Is(err, keystore.ErrDamaged) {
			t.Fatal(err)
		}
		must[int64](t)(0, a.Secrets().Set(t.Context(), "refresh/x", "2"))
		if v, err := a.Secrets().Get(t.Context(), "refresh/x"); v != "2" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
}

// A token in a file, which an earlier start could not store, is stored before any machine's old one is used: the records
// are not loaded until then.
func TestSpillIsPublishedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		here := func(o *Options) { o.Folder = folder }
		memory := NewMemory()
		a := machine(t, memory, "a", here)
		must[int64](t)(0, a.Secrets().Set(t.Context(), "refresh/x", "old"))
		g, _, _ := a.Grant("x")
		ancestor := g.Gen
		g.Gen, g.Refresh = g.Gen+1, "new"
		if err := a.Spill("x", ancestor, false, g); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "unsaved-0.age"), []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		a.Close()
		failing := true
		e := &tapped{Engine: memory}
		e.onSwap = func(key string) error {
			if failing && key == GrantKey("x") {
				return errors.New("no leader")
			}
			return nil
		}
		c := Open(Options{Engine: e, Passphrase: "p", Instance: "a", Work: 1, Folder: folder})
		defer c.Close()
		time.Sleep(10 * time.Second)
		if v, err := c.Secrets().Get(t.Context(), "refresh/x"); v == "old" {
			t.Errorf("the old token is given: %v", err)
		}
		e.mu.Lock()
		failing = false
		e.mu.Unlock()
		if v, err := c.Secrets().Get(t.Context(), "refresh/x"); v != "new" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
}

func textLog(w *strings.Builder) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// Records are loaded again while others are written: the program crashed, because a map was read that others changed.
func TestLoadWhileOthersWrite(t *testing.T) {
	e := NewMemory()
	a := machine(t, e, "a")
	for i := range 200 {
		must[int64](t)(0, a.Secrets().Set(t.Context(), fmt.Sprint("password/", i), "x"))
	}
	var working sync.WaitGroup
	for w := range 4 {
		working.Go(func() {
			for i := range 300 {
				if err := a.Secrets().Set(t.Context(), fmt.Sprint("password/", w, "-", i), "x"); err != nil {
					t.Error(err)
				}
				if keys := a.Keys("password/"); !slices.IsSorted(keys) {
					t.Error(keys)
				}
			}
		})
	}
	for range 100 {
		if _, err := a.load(t.Context()); err != nil {
			t.Error(err)
		}
	}
	working.Wait()
	if n := len(a.Keys("password/")); n != 1400 {
		t.Errorf("%d records", n)
	}
}

// Somebody removes everything and begins anew: the others use the new key as well.
func TestAnotherSeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		a := machine(t, e, "a")
		must[int64](t)(0, a.Secrets().Set(t.Context(), "password/x", "1"))
		records, _, _ := e.List(t.Context())
		for _, r := range records {
			must[Record](t)(e.Swap(t.Context(), r.Key, nil, r.Revision))
		}
		b := machine(t, e, "b")
		must[int64](t)(0, b.Secrets().Set(t.Context(), "password/x", "2"))
		time.Sleep(10 * time.Second)
		if v, err := a.Secrets().Get(t.Context(), "password/x"); v != "2" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
}

// The record of a machine that has crashed does not keep a command waiting for ever, and a machine that lives is found.
func TestOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		a := machine(t, e, "a")
		must[int64](t)(0, a.Put(t.Context(), "instance/crashed", Instance{Name: "crashed", Process: "x", Beat: 7}))
		passing := func(o *Options) { o.Passing = true }
		if others, err := machine(t, e, "a", passing).Others(t.Context()); strings.Join(others, " ") != "a" || err != nil {
			t.Errorf("%q, %v: a machine of the same name is another one", others, err)
		}
		a.Close()
		if others, err := machine(t, e, "a", passing).Others(t.Context()); len(others) > 0 || err != nil {
			t.Errorf("%q, %v", others, err)
		}
	})
}

// An account that was removed and added again, by a machine whose clock is behind, has a smaller generation. A machine that
// did not see that does not bring the old token back.
func TestAddedAgainIsNotPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		a, b := machine(t, e, "a"), machine(t, e, "b")
		must[int64](t)(b.SwapGrant(t.Context(), "x", Grant{Gen: 4_000_000_000, Refresh: "old"}, 0))
		synctest.Wait()
		e.Fail(errors.New("connection refused"))
		time.Sleep(time.Second)
		e.mu.Lock() // a hears nothing of it until it loads again
		e.failure = nil
		e.mu.Unlock()
		must[int64](t)(0, b.Secrets().Delete(t.Context(), "refresh/x"))
		must[int64](t)(0, b.Secrets().Set(t.Context(), "refresh/x", "new"))
		time.Sleep(10 * time.Second)
		for _, s := range []*Store{a, b} {
			if v, err := s.Secrets().Get(t.Context(), "refresh/x"); v != "new" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
		}
	})
}

// A sign-in in a file takes the place of a record that is damaged. The store asked for that for ever, and never loaded.
func TestSpillReplacesADamagedGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		memory := NewMemory()
		a := machine(t, memory, "a", func(o *Options) { o.Folder = folder })
		must[int64](t)(0, a.Put(t.Context(), "account/x", map[string]string{"address": "x"}))
		must[int64](t)(0, a.Secrets().Set(t.Context(), "refresh/x", "old"))
		g, _, _ := a.Grant("x")
		g.Gen, g.Refresh = g.Gen+1, "new"
		if err := a.Spill("x", 0, true, g); err != nil {
			t.Fatal(err)
		}
		r, _ := memory.Get(t.Context(), GrantKey("x"))
		must[Record](t)(memory.Swap(t.Context(), GrantKey("x"), []byte("nonsense"), r.Revision))
		a.Close()
		swaps := 0
		e := &tapped{Engine: memory}
		e.onSwap = func(string) error {
			if swaps++; swaps > 100 {
				return errors.New("it goes on for ever")
			}
			return nil
		}
		c := Open(Options{Engine: e, Passphrase: "p", Instance: "a", Work: 1, Folder: folder})
		defer c.Close()
		time.Sleep(10 * time.Second)
		if v, err := c.Secrets().Get(t.Context(), "refresh/x"); v != "new" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
}

// A damaged record that somebody replaces while the records are being loaded is not damaged any more.
func TestRepairedDuringList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := NewMemory()
		e := &lateList{Engine: memory}
		a, b := machine(t, e, "a"), machine(t, memory, "b")
		must[Record](t)(memory.Swap(t.Context(), "password/x", []byte("nonsense"), 0))
		synctest.Wait()
		e.after = func() {
			must[int64](t)(0, b.Secrets().Set(t.Context(), "password/x", "1"))
			must[Record](t)(a.Read(t.Context(), "password/x"))
		}
		a.reload()
		time.Sleep(10 * time.Second)
		if v, err := a.Secrets().Get(t.Context(), "password/x"); v != "1" || err != nil {
			t.Errorf("a has %q, %v", v, err)
		}
	})
}

// lateGet calls after between a Get and its answer, once.
type lateGet struct {
	Engine
	after func()
}

func (e *lateGet) Get(ctx context.Context, key string) (Record, error) {
	r, err := e.Engine.Get(ctx, key)
	if after := e.after; after != nil {
		e.after = nil
		after()
	}
	return r, err
}

// A record that is written while a read that has not seen it is answered is not taken for one that is gone.
func TestWrittenDuringRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := NewMemory()
		e := &lateGet{Engine: memory}
		a, b := machine(t, e, "a"), machine(t, memory, "b")
		told := ""
		a.Attach(Watcher{Called: func(string, time.Duration) {}, Changed: func(keys []string) {
			if slices.Contains(keys, "password/x") {
				r, _ := a.Get("password/x")
				told = string(r.Value)
			}
		}})
		e.after = func() {
			must[int64](t)(0, b.Secrets().Set(t.Context(), "password/x", "1"))
			time.Sleep(time.Second) // a hears of it
		}
		if r, err := a.Read(t.Context(), "password/x"); string(r.Value) != "1" || err != nil {
			t.Errorf("read %q, %v", r.Value, err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if told != "1" {
			t.Errorf("the last that was told is %q", told)
		}
	})
}

package shared

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/keystore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is a store on an engine, closed at the test's end.
func machine(t *testing.T, e Engine, name string, edit ...func(*Options)) *Store {
	t.Helper()
	o := Options{Engine: e, Passphrase: "p", Instance: name, Work: 1}
	for _, f := range edit {
		f(&o)
	}
	s := Open(o)
	t.Cleanup(func() { s.Close() })
	select {
	case <-s.Loaded():
	case <-s.Failed():
		t.Fatal(s.Failure())
	}
	return s
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// What one machine writes, the others have in memory, and who is second is told.
func TestChangesReachOtherMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		a, b := machine(t, e, "a"), machine(t, e, "b")
		revision := must[int64](t)(a.Swap(t.Context(), "account/x", []byte("1"), 0))
		synctest.Wait()
		if r, err := b.Get("account/x"); err != nil || string(r.Value) != "1" || r.Revision != revision {
			t.Fatalf("b has %q, %v", r.Value, err)
		}
		must[int64](t)(b.Swap(t.Context(), "account/x", []byte("2"), revision))
		if _, err := a.Swap(t.Context(), "account/x", []byte("3"), revision); !errors.Is(err, ErrChanged) {
			t.Fatalf("a could write over b: %v", err)
		}
		if r, _ := a.Get("account/x"); string(r.Value) != "2" {
			t.Fatalf("after the conflict a has %q", r.Value)
		}
		r, _ := a.Get("account/x")
		must[int64](t)(a.Swap(t.Context(), "account/x", nil, r.Revision))
		synctest.Wait()
		if r, err := b.Get("account/x"); r.Value != nil || r.Revision != 0 || err != nil {
			t.Fatalf("b still has %q, %v", r.Value, err)
		}
	})
}

// Nothing that is secret can be read in the engine, and a record cannot be put in the place of another.
func TestRecordsAreSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		a := machine(t, e, "a")
		must[int64](t)(a.Swap(t.Context(), "password/victim@x", []byte("hunter2"), 0))
		must[int64](t)(a.Swap(t.Context(), "password/thief@x", []byte("known"), 0))
		records, _, _ := e.List(t.Context())
		var thief Record
		for _, r := range records {
			if strings.Contains(string(r.Value), "hunter2") || strings.Contains(string(r.Value), "victim") {
				t.Errorf("%s shows its content", r.Key)
			}
			if r.Key == "password/thief@x" {
				thief = r
			}
		}
		victim, _ := e.Get(t.Context(), "password/victim@x")
		must[Record](t)(e.Swap(t.Context(), "password/victim@x", thief.Value, victim.Revision))
		synctest.Wait()
		if r, err := a.Get("password/victim@x"); !errors.Is(err, keystore.ErrDamaged) {
			t.Errorf("a swapped record is taken for %q, %v", r.Value, err)
		}
		if err := a.Secrets().Set(t.Context(), "password/victim@x", "new"); err != nil {
			t.Error(err)
		}
		if v, err := a.Secrets().Get(t.Context(), "password/victim@x"); v != "new" || err != nil {
			t.Errorf("after it was stored again: %q, %v", v, err)
		}
	})
}

func TestWrongPassphrase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		machine(t, e, "a")
		b := Open(Options{Engine: e, Passphrase: "other", Instance: "b", Work: 1})
		defer b.Close()
		<-b.Failed()
		if err := b.Failure(); !errors.Is(err, keystore.ErrDenied) {
			t.Error(err)
		}
		if _, err := b.Secrets().Get(t.Context(), "password/x"); !errors.Is(err, keystore.ErrDenied) {
			t.Error(err)
		}
	})
}

func TestNewerFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		must[Record](t)(e.Swap(t.Context(), "meta", []byte(`{"format":2}`), 0))
		b := Open(Options{Engine: e, Passphrase: "p", Instance: "b", Work: 1})
		defer b.Close()
		<-b.Failed()
	})
}

// While the engine is away everything can be read, changes fail with the keystore's error, and it comes back by
// itself.
func TestEngineAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		a, b := machine(t, e, "a"), machine(t, e, "b")
		must[int64](t)(a.Swap(t.Context(), "password/x", []byte("1"), 0))
		synctest.Wait()
		away := errors.New("connection refused")
		e.Fail(away)
		if err := a.Secrets().Set(t.Context(), "password/x", "2"); !errors.Is(err, away) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if a.Err() == nil {
			t.Error("nobody noticed")
		}
		if v, err := b.Secrets().Get(t.Context(), "password/x"); v != "1" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		e.Fail(nil)
		time.Sleep(10 * time.Second)
		if a.Err() != nil {
			t.Error(a.Err())
		}
		must[int64](t)(0, a.Secrets().Set(t.Context(), "password/x", "3"))
		synctest.Wait()
		if v, err := b.Secrets().Get(t.Context(), "password/x"); v != "3" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
}

// A start without the engine waits, and loads when it is there.
func TestStartWithoutEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		e.Fail(errors.New("connection refused"))
		a := Open(Options{Engine: e, Passphrase: "p", Instance: "a", Work: 1})
		defer a.Close()
		if _, err := a.Secrets().Get(t.Context(), "password/x"); !errors.Is(err, keystore.ErrUnavailable) && err == nil {
			t.Error(err)
		}
		e.Fail(nil)
		<-a.Loaded()
	})
}

// An engine that goes back to an older state is noticed, and tokens that a machine still has are written back.
func TestRestoredFromBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		a := machine(t, e, "a")
		k := a.Secrets()
		must[int64](t)(0, k.Set(t.Context(), "refresh/x", "old"))
		must[int64](t)(0, k.Set(t.Context(), "password/x", "1"))
		backup := e.Revision()
		for range 20 {
			must[int64](t)(0, k.Set(t.Context(), "refresh/x", "new"))
		}
		must[int64](t)(0, k.Set(t.Context(), "password/x", "2"))
		e.Restore(backup)
		time.Sleep(time.Minute)
		if v, err := k.Get(t.Context(), "password/x"); v != "1" || err != nil {
			t.Errorf("the password is %q, %v, not what the engine has", v, err)
		}
		b := machine(t, e, "b")
		if v, err := b.Secrets().Get(t.Context(), "refresh/x"); v != "new" || err != nil {
			t.Errorf("another machine gets the token %q, %v", v, err)
		}
	})
}

// While tokens are written back to an engine that was restored, nobody gets the older ones: a refresh sent one, and the
// provider ended the consent. A claim is written back too, as its refresh may still be going on.
func TestRestoredTokensAreNotGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := NewMemory()
		e := &slowWrites{Engine: memory}
		a := machine(t, e, "a")
		for i := range 5 {
			must[int64](t)(0, a.Secrets().Set(t.Context(), fmt.Sprint("refresh/", i), "old"))
		}
		backup := memory.Revision()
		for i := range 5 {
			must[int64](t)(0, a.Secrets().Set(t.Context(), fmt.Sprint("refresh/", i), "new"))
		}
		claimed := func(name string) {
			g, revision, _ := a.Grant(name)
			g.Claim = &Claim{By: "b", Process: "p"}
			must[int64](t)(a.SwapGrant(t.Context(), name, g, revision))
		}
		must[int64](t)(0, a.Secrets().Set(t.Context(), "refresh/0", "newest"))
		claimed("0")
		e.delay = time.Second
		memory.Restore(backup)
		a.reload()
		for range 200 {
			for i := range 5 {
				if v, err := a.Secrets().Get(t.Context(), fmt.Sprint("refresh/", i)); v == "old" || err != nil {
					t.Fatal(v, err)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if g, _, err := machine(t, memory, "b").Grant("0"); err != nil || g.Refresh != "newest" || g.Claim == nil {
			t.Errorf("%+v, %v", g, err)
		}
		// Of the same token, the claim alone is lost.
		backup = memory.Revision()
		for range 3 { // others write too
			must[int64](t)(0, a.Secrets().Set(t.Context(), "password/x", "1"))
		}
		claimed("1")
		memory.Restore(backup)
		a.reload()
		time.Sleep(20 * time.Second)
		if g, _, err := machine(t, memory, "c").Grant("1"); err != nil || g.Claim == nil {
			t.Errorf("%+v, %v", g, err)
		}
	})
}

// slowWrites is an engine whose changes take a while.
type slowWrites struct {
	Engine
	delay time.Duration
}

func (e *slowWrites) Swap(ctx context.Context, key string, value []byte, revision int64) (Record, error) {
	if strings.HasPrefix(key, grantPrefix) {
		time.Sleep(e.delay)
	}
	return e.Engine.Swap(ctx, key, value, revision)
}

// A version that knows more fields keeps them when one that knows fewer has changed the record.
func TestUnknownFieldsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := machine(t, NewMemory(), "a")
		must[int64](t)(a.Swap(t.Context(), GrantKey("x"), []byte(`{"gen":7,"refresh":"r","access":"a","later":{"n":1}}`), 0))
		g, revision, err := a.Grant("x")
		if err != nil {
			t.Fatal(err)
		}
		g.Access = ""
		must[int64](t)(a.SwapGrant(t.Context(), "x", g, revision))
		r, _ := a.Get(GrantKey("x"))
		if got := string(r.Value); got != `{"gen":7,"later":{"n":1},"refresh":"r"}` {
			t.Error(got)
		}
	})
}

func TestInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		a, b := machine(t, e, "a"), machine(t, e, "b")
		dead := Open(Options{Engine: deaf{e, make(chan struct{})}, Passphrase: "p", Instance: "c", Work: 1})
		<-dead.Loaded()
		time.Sleep(time.Second)
		if got := strings.Join(a.Alive(), " "); got != "a b c" {
			t.Error(got)
		}
		close(dead.o.Engine.(deaf).stop)
		time.Sleep(time.Minute)
		if got := strings.Join(a.Alive(), " "); got != "a b" {
			t.Errorf("after c has hung: %s", got)
		}
		b.Close()
		synctest.Wait()
		if got := strings.Join(a.Alive(), " "); got != "a" {
			t.Errorf("after b has left: %s", got)
		}
		time.Sleep(2 * time.Hour)
		if n := len(a.Instances()); n != 1 {
			t.Errorf("%d instances are remembered", n)
		}
		dead.Close()
	})
}

// Two machines of one name notice each other, and a machine's new start is not another machine.
func TestTwoOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		a := machine(t, e, "a")
		time.Sleep(time.Minute)
		if a.Doubled() {
			t.Error("alone")
		}
		b := machine(t, e, "a")
		time.Sleep(time.Minute)
		if !a.Doubled() || !b.Doubled() {
			t.Errorf("the first has noticed: %t; the second: %t", a.Doubled(), b.Doubled())
		}
		a.Close()
		time.Sleep(time.Minute)
		if b.Doubled() {
			t.Error("the first has left")
		}
		// An older record comes back with a backup. Nobody has written it now.
		r, _ := e.Get(t.Context(), "instance/a")
		old := r.Revision
		b.Close()
		c := machine(t, e, "a")
		time.Sleep(time.Minute)
		e.Restore(old)
		for range 60 {
			time.Sleep(time.Second)
			if c.Doubled() {
				t.Fatal("an old record counts as another machine")
			}
		}
	})
}

// A machine whose clock is wrong is noticed by the time that it writes; a record that waited for us says nothing.
func TestClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewMemory()
		a := machine(t, e, "a")
		write := func(beat int) {
			r, _ := e.Get(t.Context(), "instance/b")
			ahead := Instance{Name: "b", Process: "p", Beat: beat, Now: time.Now().Add(time.Minute).UTC()}
			text, _ := merge(nil, ahead)
			must[Record](t)(e.Swap(t.Context(), "instance/b", text, r.Revision))
			synctest.Wait()
		}
		skew := func(s *Store) time.Duration {
			for _, i := range s.Instances() {
				if i.Name == "b" {
					return i.Skew.Round(time.Second)
				}
			}
			return -1
		}
		write(1)
		time.Sleep(time.Hour / 2)
		late := machine(t, e, "late")
		if skew(a) != time.Minute || skew(late) != 0 {
			t.Errorf("seen as it was written: %v; found half an hour later: %v", skew(a), skew(late))
		}
		write(2)
		if skew(late) != time.Minute {
			t.Errorf("at the next beat: %v", skew(late))
		}
	})
}

// deaf is an engine whose changes fail once stop is closed, as for a machine that was cut off.
type deaf struct {
	Engine
	stop chan struct{}
}

func (d deaf) Swap(ctx context.Context, key string, value []byte, revision int64) (Record, error) {
	select {
	case <-d.stop:
		return Record{}, errors.New("no route to host")
	default:
		return d.Engine.Swap(ctx, key, value, revision)
	}
}

// A token that the engine could not take is published at the next start, unless there is another by then.
func TestSpill(t *testing.T) {
	for name, another := range map[string]bool{"published": false, "out of date": true} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				e := NewMemory()
				here := func(o *Options) { o.Folder = folder }
				a := machine(t, e, "a", here)
				must[int64](t)(0, a.Secrets().Set(t.Context(), "refresh/x", "old"))
				g, _, _ := a.Grant("x")
				ancestor := g.Gen
				g.Gen, g.Refresh = g.Gen+1, "new"
				if err := a.Spill("x", ancestor, false, g); err != nil {
					t.Fatal(err)
				}
				a.Close()
				want := "new"
				if another {
					want = "newest"
					must[int64](t)(0, machine(t, e, "b").Secrets().Set(t.Context(), "refresh/x", want))
				}
				c := machine(t, e, "a", here)
				if v, err := c.Secrets().Get(t.Context(), "refresh/x"); v != want || err != nil {
					t.Errorf("%q, %v; want %q", v, err, want)
				}
			})
		})
	}
}

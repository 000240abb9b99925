package oauth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
)

// A machine's second claim looks like its first one, which others saw an hour ago. They took it for the old one, in
// doubt, and sent the token once more.
func TestFleetEachClaimIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.delay = 2 * time.Second
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		for range 3 {
			var asking sync.WaitGroup
			asking.Go(func() { a.Token(t.Context()) })
			asking.Go(func() {
				time.Sleep(time.Second)
				b.Token(t.Context())
			})
			asking.Wait()
			time.Sleep(time.Hour)
		}
		if n, replays := f.provider.counts(); n != 3 || replays > 0 {
			t.Errorf("%d refreshes, %d replays; b: %s", n, replays, b.heard())
		}
	})
}

// While the engine was away nobody could hear that a claim's holder lives; when it was back, others took over before the
// holder had written its new token.
func TestFleetOutageIsNoDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		f.endpoint.says(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second) // b sees the claim
			f.engine.Fail(errors.New("connection refused"))
			f.provider.ServeHTTP(w, r)
		})
		var asking sync.WaitGroup
		asking.Go(func() { a.want(t, "access-1") })
		asking.Go(func() {
			time.Sleep(time.Second)
			b.Token(t.Context())
		})
		asking.Wait()
		f.endpoint.says(f.provider.ServeHTTP)
		time.Sleep(10 * time.Minute)
		f.engine.Fail(nil)
		for range 60 {
			b.Token(t.Context())
			time.Sleep(time.Second)
		}
		if _, err := b.Token(t.Context()); err != nil {
			t.Error(err)
		}
		if _, replays := f.provider.counts(); replays > 0 {
			t.Errorf("%d replays; b: %s", replays, b.heard())
		}
	})
}

// A holder whose beat was written, but whose answer got lost, thought that another had taken over, and fell silent while
// it still waited for the provider.
func TestFleetHolderGoesOnAfterALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.delay = 2 * time.Minute
		f.provider.life = 3600
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		var asking sync.WaitGroup
		asking.Go(func() { a.Token(t.Context()) })
		synctest.Wait()
		a.e.mu.Lock()
		a.e.lost = 1
		a.e.mu.Unlock()
		for range 15 {
			b.Token(t.Context())
			time.Sleep(time.Second)
		}
		asking.Wait()
		b.want(t, "access-1")
		if n, replays := f.provider.counts(); n != 1 || replays > 0 {
			t.Errorf("%d refreshes, %d replays; b: %s", n, replays, b.heard())
		}
	})
}

// A refresh whose token the user has replaced meanwhile, on the same machine, took the claim of the refresh with the new
// one for its own, and sent that once more.
func TestFleetReplacedRefreshEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a := f.machine("a")
		if _, err := a.Accept(t.Context(), "old"); err != nil {
			t.Fatal(err)
		}
		f.endpoint.says(func(w http.ResponseWriter, r *http.Request) {
			if r.PostForm.Get("refresh_token") == "old" {
				time.Sleep(10 * time.Second)
				answers(http.StatusBadRequest, `{"error":"invalid_grant"}`)(w, r)
				return
			}
			f.provider.ServeHTTP(w, r)
		})
		f.provider.delay = 20 * time.Second
		go a.Token(context.Background())
		time.Sleep(time.Second)
		f.signIn(a)
		a.want(t, "access-1")
		if n, replays := f.provider.counts(); n != 1 || replays > 0 {
			t.Errorf("%d refreshes, %d replays", n, replays)
		}
	})
}

// Somebody signs in at another machine in the moment in which this one writes down that the consent has ended. It
// asked for a consent from then on, although there was one.
func TestFleetConsentEndsWhileAnotherBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		if _, err := a.Accept(t.Context(), "old"); err != nil {
			t.Fatal(err)
		}
		f.endpoint.says(func(w http.ResponseWriter, r *http.Request) {
			if r.PostForm.Get("refresh_token") != "old" {
				f.provider.ServeHTTP(w, r)
				return
			}
			a.e.mu.Lock()
			a.e.before = func() {
				if _, err := b.Accept(context.Background(), "refresh-0"); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second) // a hears of it
			}
			a.e.mu.Unlock()
			answers(http.StatusBadRequest, `{"error":"invalid_grant"}`)(w, r)
		})
		a.Token(t.Context())
		a.want(t, "access-1")
	})
}

// A machine whose clock is a year ahead made all the others wait for a year when the provider asked for a minute.
func TestFleetPauseOfAWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a := f.machine("a")
		f.signIn(a)
		for pause, waits := range map[time.Duration]bool{time.Minute: true, 365 * 24 * time.Hour: false} {
			a.write(t, func(r *shared.Grant) { r.NotBefore = time.Now().Add(pause) })
			a.cached.Store(nil)
			if _, err := a.Token(t.Context()); (err != nil) != waits {
				t.Errorf("%v: %v", pause, err)
			}
			time.Sleep(2 * time.Minute)
		}
	})
}

// An import of the same token, or another client secret, lets the provider be asked again after the consent has ended,
// as with one machine.
func TestFleetEndedConsentIsTriedAgain(t *testing.T) {
	for name, again := range map[string]func(*fleetMachine) error{
		"the same token": func(m *fleetMachine) error {
			another, err := m.Accept(context.Background(), "refresh-0")
			if another {
				err = errors.New("it is another token")
			}
			return err
		},
		"another secret": func(m *fleetMachine) error { m.Retry(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				a, b := f.machine("a"), f.machine("b")
				f.signIn(a)
				a.want(t, "access-1")
				f.provider.set(func() { f.provider.revoked = true })
				time.Sleep(2 * time.Minute)
				if _, err := a.Token(t.Context()); !errors.Is(err, ErrConsent) {
					t.Fatal(err)
				}
				f.provider.set(func() { f.provider.revoked = false })
				synctest.Wait()
				if err := again(b); err != nil {
					t.Fatal(err)
				}
				b.want(t, "access-2")
				synctest.Wait()
				a.want(t, "access-2")
			})
		})
	}
}

// A Grant that is closed while it asks takes its claim out of the record.
func TestFleetCloseGivesTheClaimBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.endpoint.says(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		a := f.machine("a")
		f.signIn(a)
		go a.Token(context.Background())
		time.Sleep(time.Second)
		if r, _, _ := a.store.Grant(me); r.Claim == nil {
			t.Fatal("no claim")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
		if r, _, _ := a.store.Grant(me); r.Claim != nil {
			t.Error("the claim is still there")
		}
	})
}

// What came with a refusal is kept when the engine is away, as with one machine.
func TestFleetKeepsWhatCameWithAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		first := true
		f.endpoint.says(func(w http.ResponseWriter, r *http.Request) {
			if !first {
				f.provider.ServeHTTP(w, r)
				return
			}
			first = false
			f.provider.set(func() { f.provider.n = 1 })
			a.e.set(errors.New("no route to host"))
			answers(http.StatusBadRequest, `{"error":"invalid_request","refresh_token":"refresh-1"}`)(w, r)
		})
		a.Token(t.Context())
		time.Sleep(10 * time.Second)
		a.e.set(nil)
		time.Sleep(time.Minute)
		for range 3 {
			b.Token(t.Context())
		}
		if n, replays := f.provider.counts(); n != 2 || replays > 0 {
			t.Errorf("%d refreshes, %d times an old token", n, replays)
		}
	})
}

// Whatever the engine does to all machines at once, and whatever answers get lost, no token is sent twice while the
// machines live, and in the end all have one.
func TestFleetAnyOutage(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				delays := rand.New(rand.NewPCG(seed, 0))
				f := newFleet(t)
				f.endpoint.says(func(w http.ResponseWriter, r *http.Request) {
					f.provider.set(func() { f.provider.delay = time.Duration(delays.IntN(40_000)) * time.Millisecond })
					f.provider.ServeHTTP(w, r)
				})
				machines := []*fleetMachine{f.machine("a"), f.machine("b"), f.machine("c")}
				f.signIn(machines[0])
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
				defer cancel()
				var asking sync.WaitGroup
				for i, m := range machines {
					pause := rand.New(rand.NewPCG(seed, uint64(i)+2))
					asking.Go(func() {
						for ctx.Err() == nil {
							m.Token(ctx)
							time.Sleep(time.Duration(pause.IntN(60_000)) * time.Millisecond)
						}
					})
				}
				for ctx.Err() == nil {
					time.Sleep(time.Duration(random.IntN(90_000)) * time.Millisecond)
					if m := machines[random.IntN(3)]; random.IntN(2) == 0 {
						m.e.mu.Lock()
						m.e.lost = 1
						m.e.mu.Unlock()
						continue
					}
					f.engine.Fail(errors.New("connection refused"))
					time.Sleep(time.Duration(random.IntN(120_000)) * time.Millisecond)
					f.engine.Fail(nil)
				}
				asking.Wait()
				f.engine.Fail(nil)
				time.Sleep(3 * time.Minute)
				for _, m := range machines {
					var err error
					for range 4 {
						if _, err = m.Token(t.Context()); err == nil {
							break
						}
					}
					if err != nil {
						t.Error(err)
					}
				}
				if n, replays := f.provider.counts(); replays > 0 || n < 5 {
					t.Errorf("%d refreshes, %d replays: %s | %s | %s", n, replays, machines[0].heard(), machines[1].heard(), machines[2].heard())
				}
			})
		})
	}
}

// A sign-in that etcd could not take is stored at the next start. It was lost, and the user had to sign in again.
func TestFleetKeepsASignInThatCouldNotBeStored(t *testing.T) {
	for name, another := range map[string]bool{"stored": false, "there is a newer one": true, "given back": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				a, b := f.machine("a"), f.machine("b")
				f.signIn(b)
				f.provider.set(func() { f.provider.n = 7 })
				a.e.set(errors.New("no route to host"))
				err := a.adopt(t.Context(), answer{access: "access-7", refresh: "refresh-7", life: time.Minute, received: time.Now()}, me)
				if err == nil || !strings.Contains(err.Error(), "in memory and in a file") {
					t.Fatalf("the sign-in says %v", err)
				}
				a.want(t, "access-7")
				if name == "given back" {
					if err := a.Forget(t.Context()); err == nil {
						t.Fatal("forgotten without the engine")
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := a.Close(ctx); err != nil && strings.Contains(err.Error(), "sign in again") {
					t.Error(err)
				}
				a.store.Close()
				want := "refresh-7"
				switch {
				case name == "given back":
					want = "refresh-0"
				case another:
					time.Sleep(time.Second)
					want = "refresh-9"
					if _, err := b.Accept(t.Context(), want); err != nil {
						t.Fatal(err)
					}
				}
				a = f.machine("a")
				if r, _, err := a.store.Grant(me); err != nil || parseStored(r.Refresh).value != want || r.Claim != nil {
					t.Errorf("the record is %+v, %v; want %s", r, err, want)
				}
			})
		})
	}
}

// A sign-in that waits to be stored does not take the place of a later one at another machine.
func TestFleetLaterSignInCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		f.signIn(b)
		a.e.set(errors.New("no route to host"))
		if err := a.adopt(t.Context(), answer{access: "access-7", refresh: "refresh-7", life: time.Minute, received: time.Now()}, me); err == nil {
			t.Fatal("stored")
		}
		time.Sleep(10 * time.Second)
		if _, err := b.Accept(t.Context(), "refresh-9"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a.e.set(nil)
		time.Sleep(time.Minute)
		if r, _, err := a.store.Grant(me); err != nil || parseStored(r.Refresh).value != "refresh-9" {
			t.Errorf("the record is %+v, %v", r, err)
		}
		if st := a.Status(); st.Unsaved || st.Err != nil {
			t.Errorf("a is %+v", st)
		}
	})
}

// A sign-in that waits to be stored does not come back once the account was removed at another machine.
func TestFleetSignInOfARemovedAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		if err := b.store.Put(t.Context(), "account/"+me, map[string]string{"address": me}); err != nil {
			t.Fatal(err)
		}
		f.signIn(b)
		a.e.set(errors.New("no route to host"))
		if err := a.adopt(t.Context(), answer{access: "access-7", refresh: "refresh-7", life: time.Minute, received: time.Now()}, me); err == nil {
			t.Fatal("stored")
		}
		time.Sleep(10 * time.Second)
		if err := b.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.store.Secrets().Delete(t.Context(), "account/"+me); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a.e.set(nil)
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if r, revision, err := b.store.Grant(me); err != nil || revision != 0 {
			t.Errorf("the record is %+v, %v", r, err)
		}
	})
}

// A sign-in that replaces a record that is damaged is kept in the file, too.
func TestFleetKeepsASignInOverADamagedRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a := f.machine("a")
		if err := a.store.Put(t.Context(), "account/"+me, map[string]string{"address": me}); err != nil {
			t.Fatal(err)
		}
		f.signIn(a)
		r, _ := f.engine.Get(t.Context(), shared.GrantKey(me))
		if _, err := f.engine.Swap(t.Context(), shared.GrantKey(me), []byte("nonsense"), r.Revision); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a.e.set(errors.New("no route to host"))
		if err := a.adopt(t.Context(), answer{access: "access-7", refresh: "refresh-7", life: time.Minute, received: time.Now()}, me); err == nil {
			t.Fatal("stored")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a.Close(ctx)
		a.store.Close()
		a = f.machine("a")
		if r, _, err := a.store.Grant(me); err != nil || parseStored(r.Refresh).value != "refresh-7" {
			t.Errorf("the record is %+v, %v", r, err)
		}
	})
}

// A sign-in in a file does not keep the machine from starting while etcd takes no writes, and counts meanwhile.
func TestFleetStartsWithASignInThatCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		f.signIn(b)
		f.cut = keystore.Failed(keystore.EtcdKind, "write", "x", keystore.ErrFull)
		a.e.set(f.cut)
		if err := a.adopt(t.Context(), answer{access: "access-7", refresh: "refresh-7", life: time.Hour, received: time.Now()}, me); err == nil {
			t.Fatal("the sign-in was stored")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a.Close(ctx)
		a.store.Close()
		a = f.machine("a")
		a.want(t, "access-7")
		if st := a.Status(); !st.Unsaved || st.State != Ready {
			t.Errorf("the account is %+v", st)
		}
		a.e.set(nil)
		time.Sleep(time.Minute)
		if r, _, err := b.store.Grant(me); err != nil || parseStored(r.Refresh).value != "refresh-7" {
			t.Errorf("the record is %+v, %v", r, err)
		}
		if st := a.Status(); st.Unsaved {
			t.Errorf("the account is %+v", st)
		}
		if files, _ := filepath.Glob(filepath.Join(f.folders["a"], "*")); len(files) > 0 {
			t.Errorf("left: %v", files)
		}
	})
}

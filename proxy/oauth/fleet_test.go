package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/breaker"
)

// suspicious is a provider that gives a new refresh token each time, and ends the consent when an old one comes.
type suspicious struct {
	mu      sync.Mutex
	n       int
	revoked bool
	replays int
	life    int // seconds
	delay   time.Duration
}

func (p *suspicious) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	good := r.PostForm.Get("refresh_token") == fmt.Sprint("refresh-", p.n) && !p.revoked
	if good {
		p.n++
	} else {
		p.replays++
		p.revoked = true
	}
	n, delay := p.n, p.delay
	p.mu.Unlock()
	time.Sleep(delay)
	if !good {
		answers(http.StatusBadRequest, `{"error":"invalid_grant"}`)(w, r)
		return
	}
	writeToken(w, fmt.Sprint("access-", n), fmt.Sprint("refresh-", n), p.life)
}

func (p *suspicious) set(edit func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	edit()
}

func (p *suspicious) counts() (refreshes, replays int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n, p.replays
}

// fleetRig is an engine, a provider, and machines that share one account.
type fleetRig struct {
	t        *testing.T
	engine   *shared.Memory
	provider *suspicious
	endpoint *fakeEndpoint
	folders  map[string]string // of machines, by name
	cut      error             // what the engine says to the writes of machines that start
}

type fleetMachine struct {
	*Grant
	store *shared.Store
	e     *switched

	mu     sync.Mutex
	claims []string
}

func (m *fleetMachine) heard() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.claims, " ")
}

// switched is a machine's way to the engine.
type switched struct {
	shared.Engine
	mu     sync.Mutex
	cut    error
	lost   int    // so many answers to a Swap of the account get lost, after it was done
	before func() // called once, before the next Swap
}

func (s *switched) set(err error) { s.mu.Lock(); s.cut = err; s.mu.Unlock() }

func (s *switched) Swap(ctx context.Context, key string, value []byte, revision int64) (shared.Record, error) {
	s.mu.Lock()
	cut, before := s.cut, s.before
	s.before = nil
	lost := s.lost > 0 && key == shared.GrantKey(me)
	if lost {
		s.lost--
	}
	s.mu.Unlock()
	if cut != nil {
		return shared.Record{}, cut
	}
	if before != nil {
		before()
	}
	r, err := s.Engine.Swap(ctx, key, value, revision)
	if lost && err == nil {
		return shared.Record{}, errors.New("no answer")
	}
	return r, err
}

func newFleet(t *testing.T) *fleetRig {
	f := &fleetRig{t: t, engine: shared.NewMemory(), provider: &suspicious{life: 60}, endpoint: newFakeEndpoint(t), folders: make(map[string]string)}
	f.endpoint.says(f.provider.ServeHTTP)
	return f
}

func (f *fleetRig) machine(name string, edit ...func(*Config)) *fleetMachine {
	f.t.Helper()
	m := &fleetMachine{e: &switched{Engine: f.engine, cut: f.cut}}
	if f.folders[name] == "" {
		f.folders[name] = f.t.TempDir()
	}
	m.store = shared.Open(shared.Options{Engine: m.e, Passphrase: "p", Instance: name, Work: 1, Folder: f.folders[name]})
	<-m.store.Loaded()
	secrets, err := keystore.Open(keystore.EtcdKind, keystore.Place{Passphrase: "p", Etcd: func(string) (keystore.Backend, error) { return m.store.Secrets(), nil }})
	if err != nil {
		f.t.Fatal(err)
	}
	cfg := Config{Provider: "corp", ClientID: clientID, TokenURL: "http://" + endpointHost + "/token"}
	for _, f := range edit {
		f(&cfg)
	}
	m.Grant = New(cfg, me, Deps{
		Secrets: secrets, Shared: m.store, HTTP: f.endpoint.client, Breaker: breaker.New(endpointHost, breaker.Settings{}),
		OnClaim: func(result string) { m.mu.Lock(); m.claims = append(m.claims, result); m.mu.Unlock() },
	})
	m.store.Attach(shared.Watcher{Called: func(string, time.Duration) {}, Changed: func(keys []string) {
		for _, key := range keys {
			if key == shared.GrantKey(me) {
				m.Changed()
			}
		}
	}})
	f.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		m.Close(ctx)
		secrets.Close()
	})
	return m
}

func (f *fleetRig) signIn(m *fleetMachine) {
	f.t.Helper()
	if _, err := m.Accept(f.t.Context(), "refresh-0"); err != nil {
		f.t.Fatal(err)
	}
	synctest.Wait()
}

// write changes the record, as any machine might.
func (m *fleetMachine) write(t *testing.T, edit func(*shared.Grant)) {
	t.Helper()
	r, revision, err := m.store.Grant(me)
	if err == nil {
		edit(&r)
		_, err = m.store.SwapGrant(t.Context(), me, r, revision)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (m *fleetMachine) want(t *testing.T, access string) {
	t.Helper()
	if got, err := m.Token(t.Context()); got.Value != access || err != nil {
		t.Fatalf("token %q, %v; want %q", got.Value, err, access)
	}
}

// tenMinutes has each machine ask for a token every second.
func tenMinutes(t *testing.T, machines []*fleetMachine) {
	t.Helper()
	var asking sync.WaitGroup
	for _, m := range machines {
		asking.Go(func() {
			for range 600 {
				if _, err := m.Token(t.Context()); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
			}
		})
	}
	asking.Wait()
}

// Three machines that ask all the time cost as many refreshes as one, and no token is sent twice.
func TestFleetRefreshesLikeOneMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.delay = 100 * time.Millisecond
		machines := []*fleetMachine{f.machine("a"), f.machine("b"), f.machine("c")}
		f.signIn(machines[0])
		tenMinutes(t, machines)
		refreshes, replays := f.provider.counts()
		if replays > 0 || refreshes < 10 || refreshes > 13 {
			t.Errorf("%d refreshes in ten minutes of 60 s tokens, %d replays", refreshes, replays)
		}
	})
}

// A consent that was given, or has ended, at one machine holds at all.
func TestFleetSharesConsents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		if _, err := b.Token(t.Context()); !errors.Is(err, ErrConsent) {
			t.Fatal(err)
		}
		f.signIn(a)
		b.want(t, "access-1")
		a.want(t, "access-1")
		f.provider.set(func() { f.provider.revoked = true })
		time.Sleep(2 * time.Minute)
		if _, err := a.Token(t.Context()); !errors.Is(err, ErrConsent) {
			t.Fatal(err)
		}
		_, asked := f.provider.counts()
		synctest.Wait()
		if st := b.Status(); st.State != NeedsConsent {
			t.Errorf("b is %s", st.State)
		}
		if _, err := b.Token(t.Context()); !errors.Is(err, ErrConsent) {
			t.Fatal(err)
		}
		if _, again := f.provider.counts(); again != asked {
			t.Error("b asked the provider again")
		}
		f.provider.set(func() { f.provider.revoked, f.provider.n = false, 0 })
		if _, err := b.Accept(t.Context(), "refresh-0"); err != nil {
			t.Fatal(err)
		}
	})
}

// A machine that was killed in mid-refresh keeps the others waiting for half a minute, not for ever.
func TestFleetTakesOverFromTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		b.write(t, func(r *shared.Grant) { r.Claim = &shared.Claim{By: "dead", Process: "p"} })
		began := time.Now()
		if _, err := b.Token(t.Context()); ReasonOf(err) != Late {
			t.Fatal(err)
		}
		b.want(t, "access-1")
		if took := time.Since(began); took < doubtAfter || took > doubtAfter+time.Second {
			t.Errorf("it took %v", took)
		}
		if got := b.heard(); got != "in_doubt won" {
			t.Error(got)
		}
	})
}

// The claims of one machine are alike. A new one was taken for one that had been seen half a minute before, and so
// for that of a machine that is gone: its token was sent a second time, and the consent was lost.
func TestFleetNewClaimIsNotInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.delay = 2 * time.Second
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		for range 3 {
			var work sync.WaitGroup
			for _, m := range []*fleetMachine{a, b} {
				work.Go(func() {
					if _, err := m.Token(t.Context()); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait() // a claims, b waits
			}
			work.Wait()
			time.Sleep(2 * time.Minute) // the token has ended
		}
		if _, replays := f.provider.counts(); replays > 0 {
			t.Errorf("%d replays", replays)
		}
	})
}

// The claim of a machine that was killed is in doubt when it has stood for long enough, even if nobody has used the
// account in the meantime. Its next user had to wait for half a minute.
func TestFleetOldClaimIsInDoubtAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		a.want(t, "access-1")
		synctest.Wait()
		r, revision, _ := b.store.Grant(me)
		r.Claim = &shared.Claim{By: "dead", Process: "p"}
		if _, err := a.store.SwapGrant(t.Context(), me, r, revision); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		began := time.Now()
		b.want(t, "access-2")
		if took := time.Since(began); took > time.Second {
			t.Errorf("waited %v", took)
		}
	})
}

// While the token is good, a claim in doubt is left alone, and nobody waits for it at each message.
func TestFleetWaitsWhileTheTokenIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.life = 3600
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		a.want(t, "access-1")
		synctest.Wait()
		b.write(t, func(r *shared.Grant) { r.Claim = &shared.Claim{By: "dead", Process: "p"} })
		time.Sleep(56 * time.Minute)
		began := time.Now()
		for range 100 {
			b.want(t, "access-1")
		}
		if took := time.Since(began); took > shortPatience {
			t.Errorf("100 messages waited %v", took)
		}
		if n, _ := f.provider.counts(); n != 1 {
			t.Error("the claim was taken over")
		}
		time.Sleep(5 * time.Minute)
		for range 2 {
			b.Token(t.Context())
		}
		b.want(t, "access-2")
	})
}

// A token that ends while its successor is awaited was taken for one to go on with: everybody got "try again
// later" after three seconds.
func TestFleetTokenEndsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.life, f.provider.delay = 5, 4*time.Second
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		a.want(t, "access-1")
		synctest.Wait()
		now, _, _ := b.store.Grant(me)
		time.Sleep(time.Until(now.Got.Add(4600 * time.Millisecond)))
		var work sync.WaitGroup
		for _, m := range []*fleetMachine{a, b} {
			work.Go(func() {
				if got, err := m.Token(t.Context()); got.Value != "access-2" || err != nil {
					t.Errorf("token %q, %v", got.Value, err)
				}
			})
			synctest.Wait()
		}
		work.Wait()
	})
}

// A slow endpoint keeps its claim: the holder says every few seconds that it lives.
func TestFleetSlowEndpointIsNotTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.delay = 2 * time.Minute
		f.provider.life = 3600
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		if _, err := a.Token(t.Context()); ReasonOf(err) != Late {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := b.Token(t.Context()); ReasonOf(err) != Late {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		b.want(t, "access-1")
		if n, replays := f.provider.counts(); n != 1 || replays != 0 {
			t.Errorf("%d refreshes, %d replays", n, replays)
		}
	})
}

// A machine that comes back late, after another took its claim over, writes what it has only if that is of use.
func TestFleetLateAnswers(t *testing.T) {
	for name, rotates := range map[string]bool{"rotated": true, "not rotated": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				a := f.machine("a")
				f.signIn(a)
				if !rotates {
					f.endpoint.says(func(w http.ResponseWriter, _ *http.Request) {
						time.Sleep(time.Second)
						writeToken(w, "access-1", "", 60)
					})
				}
				f.provider.set(func() { f.provider.delay = time.Second })
				done := make(chan error, 1)
				go func() { _, err := a.Token(context.Background()); done <- err }()
				synctest.Wait()
				// Another machine takes over meanwhile, as after 30 s of silence.
				a.write(t, func(r *shared.Grant) { r.Claim = &shared.Claim{By: "b", Process: "b"} })
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				r, _, _ := a.store.Grant(me)
				if wrote := r.Refresh != "refresh-0" && r.Claim == nil; wrote != rotates {
					t.Errorf("the record has %q, claim %v", r.Refresh, r.Claim)
				}
				if got := a.heard(); got != claimLate {
					t.Error(got)
				}
				a.want(t, "access-1")
			})
		})
	}
}

// A refusal of a token that another machine has replaced meanwhile is not believed.
func TestFleetInvalidGrantIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		f.endpoint.says(func(w http.ResponseWriter, r *http.Request) {
			g, revision, _ := b.store.ReadGrant(context.Background(), me)
			g.Claim, g.Gen, g.Refresh = nil, g.Gen+1, "refresh-1"
			g.Access, g.Got, g.Life = "access-1", time.Now(), 60
			if _, err := b.store.SwapGrant(context.Background(), me, g, revision); err != nil {
				t.Error(err)
			}
			answers(http.StatusBadRequest, `{"error":"invalid_grant"}`)(w, r)
		})
		a.want(t, "access-1")
		if got := a.heard(); got != "overtaken shared" {
			t.Error(got)
		}
	})
}

// While the engine is away, tokens in memory serve, no machine asks the provider, and nothing is 535: then all
// recovers by itself.
func TestFleetEngineAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		a.want(t, "access-1")
		synctest.Wait()
		f.engine.Fail(errors.New("connection refused"))
		b.want(t, "access-1")
		time.Sleep(2 * time.Minute)
		for _, m := range []*fleetMachine{a, b} {
			if _, err := m.Token(t.Context()); !errors.Is(err, keystore.ErrUnavailable) || keystore.Cure(err) == "" {
				t.Error(err)
			}
		}
		f.engine.Fail(nil)
		time.Sleep(10 * time.Second)
		b.want(t, "access-2")
		a.want(t, "access-2")
	})
}

// etcd's leader dies: calls fail for some seconds. Mail programs were told to try again later, although their
// patience would have lasted.
func TestFleetEngineElects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a := f.machine("a")
		f.signIn(a)
		a.want(t, "access-1")
		time.Sleep(2 * time.Minute)
		f.engine.Fail(errors.New("request timed out, possibly due to previous leader failure"))
		time.AfterFunc(8*time.Second, func() { f.engine.Fail(nil) })
		a.want(t, "access-2")

		// An engine that is away for long, or full, is not waited for.
		time.Sleep(2 * time.Minute)
		f.engine.Fail(errors.New("connection refused"))
		time.Sleep(2 * time.Minute)
		began := time.Now()
		if _, err := a.Token(t.Context()); !errors.Is(err, keystore.ErrUnavailable) || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		f.engine.Fail(nil)
		time.Sleep(time.Minute)
		f.engine.Fail(keystore.ErrFull)
		began = time.Now()
		if _, err := a.Token(t.Context()); !errors.Is(err, keystore.ErrFull) || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// A token that came while the engine was away is kept, written when it is back, and nobody replays the old one.
func TestFleetKeepsWhatTheEngineMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		f.endpoint.says(func(w http.ResponseWriter, r *http.Request) {
			a.e.set(errors.New("no route to host")) // once the claim is written
			f.provider.ServeHTTP(w, r)
		})
		a.want(t, "access-1")
		if st := a.Status(); !st.Unsaved {
			t.Error("nobody is told that the token is in memory only")
		}
		a.e.set(nil)
		time.Sleep(time.Minute)
		b.want(t, "access-2")
		if _, replays := f.provider.counts(); replays > 0 {
			t.Error("a token was sent twice")
		}
	})
}

// An access token that the mail server refused is replaced, by one machine, although the record has it.
func TestFleetRefusedTokenIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		a.want(t, "access-1")
		b.want(t, "access-1")
		b.Reject("access-1")
		b.want(t, "access-2")
		synctest.Wait()
		a.want(t, "access-2")
	})
}

// Several machines that renew an idle consent at the same moment ask once.
func TestFleetRenewsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.delay = time.Second
		a, b := f.machine("a"), f.machine("b")
		f.signIn(a)
		var renewing sync.WaitGroup
		for _, m := range []*fleetMachine{a, b} {
			renewing.Go(func() {
				if err := m.Renew(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		renewing.Wait()
		if n, _ := f.provider.counts(); n != 1 {
			t.Errorf("%d requests", n)
		}
		if b.Status().LastRefresh.IsZero() {
			t.Error("b does not know when")
		}
	})
}

// A machine that does not know of an account's new registration does not send it the new token: the provider's refusal would
// end the consent for all.
func TestFleetOtherClientSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a := f.machine("a")
		f.signIn(a)
		a.want(t, "access-1")
		old := f.machine("old")
		old.cfg.ClientID = "client-0"
		time.Sleep(2 * time.Minute)
		if _, err := old.Token(t.Context()); !errors.Is(err, ErrConsent) {
			t.Fatal(err)
		}
		if n, _ := f.provider.counts(); n != 1 {
			t.Errorf("%d requests", n)
		}
		a.want(t, "access-2")
		synctest.Wait()
		old.want(t, "access-2")
	})
}

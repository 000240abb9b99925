package proxy

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/pace"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// A crash takes the last seconds of the machine's own count. All of the day was counted twice then, because its record
// had more.
func TestFleetCountsAfterACrash(t *testing.T) {
	f := newFleetRig(t, 1, providertest.Options{})
	a := f.servers[0]
	f.provide(a, me)
	eventually(t, "the account is known", func() bool { return a.hall.Mailbox(me) != nil })
	b, key, hour := a.hall.Mailbox(me), config.Fold(me), time.Now().Unix()/3600
	told := count{pace.Day{{Hour: hour - 2, Counts: pace.Counts{Messages: 60, Recipients: 60}}, {Hour: hour, Counts: pace.Counts{Messages: 40, Recipients: 40}}}}
	if err := a.store.Put(t.Context(), countRecord(key, "m1"), told); err != nil {
		t.Fatal(err)
	}
	limits := pace.Limits{Recipients: 1000}
	b.Pace.SetLimits(limits, pace.Day{{Hour: hour - 2, Counts: pace.Counts{Messages: 60, Recipients: 60}}, {Hour: hour, Counts: pace.Counts{Messages: 35, Recipients: 35}}})
	c := newCounts(a.Server)
	c.exchange(t.Context(), key, b, limits)
	if used := b.Pace.Status().Uses[0].Used; used != 100 {
		t.Errorf("%d recipients; 100 were sent to", used)
	}
	var now count
	if _, err := a.store.Load(countRecord(key, "m1"), &now); err != nil || now.Day.Sum(time.Now()).Recipients != 100 {
		t.Errorf("the record has %+v, %v", now, err)
	}
}

// A machine whose clock is wrong took all that the others have sent for long past, and deleted it.
func TestFleetCountsOfOtherClocks(t *testing.T) {
	f := newFleetRig(t, 2, providertest.Options{})
	a := f.servers[0]
	f.provide(a, me)
	eventually(t, "the account and the other machine are known", func() bool {
		return a.hall.Mailbox(me) != nil && len(a.store.Alive()) == 2
	})
	b, key, hour := a.hall.Mailbox(me), config.Fold(me), time.Now().Unix()/3600
	for name, ahead := range map[string]int64{"m2": -9000, "gone": -9000} {
		day := pace.Day{{Hour: hour + ahead, Counts: pace.Counts{Messages: 5, Recipients: 5}}}
		if err := a.store.Put(t.Context(), countRecord(key, name), count{day}); err != nil {
			t.Fatal(err)
		}
	}
	limits := pace.Limits{Recipients: 1000}
	b.Pace.SetLimits(limits, nil)
	c := newCounts(a.Server)
	c.exchange(t.Context(), key, b, limits)
	var left count
	if revision, err := a.store.Load(countRecord(key, "m2"), &left); err != nil || revision == 0 {
		t.Errorf("the count of a machine that lives is gone: %v", err)
	}
	if revision, _ := a.store.Load(countRecord(key, "gone"), &left); revision != 0 {
		t.Error("the count of a machine that is gone, of a day that is over, is still there")
	}
}

// movable makes servers that do not serve, on the configuration of a rig, and move their accounts to the engine and back.
func movable(t *testing.T) (r *rig, f *fleetRig, open func(secrets *keystore.Store) *Server) {
	r = newRig(t, rigOptions{idle: true})
	f = &fleetRig{t: t, engine: shared.NewMemory(), provider: r.provider}
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.config, append(text, "\n[etcd]\nendpoints = [\"http://127.0.0.1:2379\"]\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	return r, f, func(secrets *keystore.Store) *Server {
		cfg, err := config.Load(r.config)
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Options{Config: cfg, ConfigPath: r.config, Secrets: secrets, OpenKeystore: func(kind string) (*keystore.Store, error) {
			if kind == keystore.EtcdKind {
				return f.etcd(t), nil
			}
			return keystore.File(filepath.Join(filepath.Dir(r.config), "secrets.age"), []byte("p"))
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Shutdown(context.Background()) })
		return s
	}
}

// A move to etcd that was interrupted after the accounts were written there, and before the file named etcd, is finished
// by the same command. An account that another machine has moved there is left alone.
func TestMoveToEtcdInterrupted(t *testing.T) {
	for name, other := range map[string]bool{"interrupted": false, "another machine's": true} {
		t.Run(name, func(t *testing.T) {
			r, f, open := movable(t)
			s := open(r.secrets)
			to := shared.Of(f.etcd(t))
			<-to.Loaded()
			token, err := r.secrets.Get(t.Context(), "refresh/"+config.Fold(me))
			if err != nil {
				t.Fatal(err)
			}
			if other {
				token = "another consent"
			}
			if err := to.Secrets().Set(t.Context(), "refresh/"+config.Fold(me), token); err != nil {
				t.Fatal(err)
			}
			if err := saveShared(t.Context(), to, s.config().Providers, s.config().Accounts); err != nil {
				t.Fatal(err)
			}
			if _, err := s.MoveSecrets(t.Context(), keystore.EtcdKind); (err != nil) != other {
				t.Error(err)
			}
		})
	}
}

// A machine that lives is not taken for one that has crashed.
func TestMoveFromEtcdWhileAnotherLives(t *testing.T) {
	r, f, open := movable(t)
	s := open(r.secrets)
	if _, err := s.MoveSecrets(t.Context(), keystore.EtcdKind); err != nil {
		t.Fatal(err)
	}
	s.Shutdown(t.Context())
	f.start("m1")
	s = open(f.etcd(t))
	<-s.shared.Loaded()
	if _, err := s.MoveSecrets(t.Context(), keystore.FileKind); err == nil || !strings.Contains(err.Error(), "m1") {
		t.Error(err)
	}
}

// Somebody signs in while a changed account is put into effect at another machine: the new mailbox was made before, and
// heard nothing of it.
func TestFleetSignInWhileAccountChanges(t *testing.T) {
	f := newFleetRig(t, 1, providertest.Options{})
	a := f.servers[0]
	f.provide(a, me)
	eventually(t, "the account is known", func() bool { return a.hall.Mailbox(me) != nil })
	key := config.Fold(me)
	store := func(edit func(*shared.Grant)) {
		g, revision, err := a.store.Grant(key)
		if err != nil {
			t.Fatal(err)
		}
		edit(&g)
		if _, err := a.store.SwapGrant(t.Context(), key, g, revision); err != nil {
			t.Fatal(err)
		}
	}
	store(func(g *shared.Grant) { g.Consent = &shared.Consent{Reason: "consent_ended"} })
	cfg := *a.Server.config()
	cfg.Accounts = slices.Clone(cfg.Accounts)
	cfg.Accounts[0].Login = "another"
	ctx, done := a.editing(t.Context())
	boxes, err := a.plan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	store(func(g *shared.Grant) { g.Consent, g.Gen = nil, g.Gen+1 })
	a.use(ctx, cfg, boxes)
	done()
	if got := a.Accounts()[0].State; got == api.NeedsConsent {
		t.Error(got)
	}
}

//go:build !windows

package etcd

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/etcd/etcdtest"
	"github.com/waxseal/waxseal/keystore/shared"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, c *etcdtest.Cluster, prefix string) shared.Engine {
	t.Helper()
	e, err := Open(Config{Endpoints: c.Endpoints(), Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// The promises of shared.Engine, with a real etcd.
func TestEngine(t *testing.T) {
	c := etcdtest.Start(t, 1)
	e, other := open(t, c, "/waxseal/a/"), open(t, c, "/waxseal/b/")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := other.Swap(ctx, "account/x", []byte("not ours"), 0); err != nil {
		t.Fatal(err)
	}
	_, start, err := e.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan shared.Record, 3000)
	watching, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- e.Watch(watching, start, func(rs []shared.Record) {
			for _, r := range rs {
				seen <- r
			}
		})
	}()
	first, err := e.Swap(ctx, "account/x", []byte("1"), 0)
	if err != nil || first.Revision == 0 {
		t.Fatal(first, err)
	}
	if now, err := e.Swap(ctx, "account/x", []byte("2"), 0); !errors.Is(err, shared.ErrChanged) || string(now.Value) != "1" || now.Revision != first.Revision {
		t.Errorf("a second first one: %v, %v", now, err)
	}
	second, err := e.Swap(ctx, "account/x", []byte{}, first.Revision)
	if err != nil || second.Revision <= first.Revision {
		t.Fatal(second, err)
	}
	if r, err := e.Get(ctx, "account/x"); r.Value == nil || len(r.Value) > 0 || r.Revision != second.Revision || err != nil {
		t.Errorf("an empty value: %v, %v", r, err)
	}
	if _, err := e.Swap(ctx, "account/x", nil, first.Revision); !errors.Is(err, shared.ErrChanged) {
		t.Errorf("an old revision deletes: %v", err)
	}
	gone, err := e.Swap(ctx, "account/x", nil, second.Revision)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := e.Swap(ctx, "account/x", nil, second.Revision); !errors.Is(err, shared.ErrChanged) || now.Revision != 0 {
		t.Errorf("what is gone: %v, %v", now, err)
	}
	for _, want := range []int64{first.Revision, second.Revision, gone.Revision} {
		if r := <-seen; r.Key != "account/x" || r.Revision != want || (r.Value == nil) != (want == gone.Revision) {
			t.Errorf("watched %+v, want revision %d", r, want)
		}
	}
	for i := range 2*pageSize + 1 { // several pages
		if _, err := e.Swap(ctx, fmt.Sprintf("grant/%04d", i), []byte{byte(i)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	all, revision, err := e.List(ctx)
	if err != nil || len(all) != 2*pageSize+1 || revision < gone.Revision {
		t.Errorf("%d records at %d, %v", len(all), revision, err)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What a watch has missed because etcd has compacted it is an error, so that the records are loaded again.
func TestCompacted(t *testing.T) {
	c := etcdtest.Start(t, 1)
	e := open(t, c, "/w/")
	r := shared.Record{}
	var err error
	for i := range 10 {
		if r, err = e.Swap(t.Context(), "k", []byte{byte(i)}, r.Revision); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := c.Ctl("compact", fmt.Sprint(r.Revision)); err != nil {
		t.Fatal(out)
	}
	if err := e.Watch(t.Context(), 1, func([]shared.Record) {}); !errors.Is(err, keystore.ErrUnavailable) {
		t.Error(err)
	}
}

// A full etcd is told apart from one that is away, since the cure is another.
func TestFull(t *testing.T) {
	c := etcdtest.Start(t, 1, "--quota-backend-bytes", "1000000")
	e := open(t, c, "/w/")
	var err error
	for i := range 200 {
		if _, err = e.Swap(t.Context(), fmt.Sprint("k", i), make([]byte, 100_000), 0); err != nil {
			break
		}
	}
	if !errors.Is(err, keystore.ErrFull) || !errors.Is(err, keystore.ErrUnavailable) {
		t.Fatal(err)
	}
	if _, err := e.Get(t.Context(), "k1"); err != nil {
		t.Errorf("reading: %v", err)
	}
}

func TestAway(t *testing.T) {
	c := etcdtest.Start(t, 1)
	e := open(t, c, "/w/")
	if _, _, err := e.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Kill(0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := e.Get(ctx, "k"); !errors.Is(err, keystore.ErrUnavailable) {
		t.Error(err)
	}
	c.Run(0)
	c.Ready()
	if _, err := e.Get(t.Context(), "k"); err != nil {
		t.Error(err)
	}
}

// The leader dies in the middle of changes: each change is answered, or its error says that it is not known.
func TestLeaderDies(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	c := etcdtest.Start(t, 3)
	e := open(t, c, "/w/")
	s := shared.Open(shared.Options{Engine: e, Passphrase: "p", Instance: "a", Work: 1})
	defer s.Close()
	<-s.Loaded()
	k := s.Secrets()
	killed := false
	for i := range 200 {
		if i == 50 {
			if leader := c.Leader(); leader >= 0 {
				c.Kill(leader)
				killed = true
			}
		}
		want := fmt.Sprint(i)
		err := k.Set(t.Context(), "refresh/x", want)
		if err != nil && !errors.Is(err, keystore.ErrUnavailable) {
			t.Fatal(err)
		}
		if got, readErr := k.Get(t.Context(), "refresh/x"); err == nil && (got != want || readErr != nil) {
			t.Fatalf("%q, %v; want %q", got, readErr, want)
		}
	}
	if !killed {
		t.Error("no leader was found")
	}
}

func TestFiles(t *testing.T) {
	for name, c := range map[string]Config{
		"ca":   {Endpoints: []string{"https://127.0.0.1:1"}, CAFile: "missing.pem"},
		"pair": {Endpoints: []string{"https://127.0.0.1:1"}, CertFile: "missing.pem", KeyFile: "missing.key"},
	} {
		if _, err := Open(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// fleetRig is several servers that share one engine, in front of one provider.
type fleetRig struct {
	t        *testing.T
	engine   *shared.Memory
	provider *providertest.Provider
	servers  []*fleetServer
}

type fleetServer struct {
	*Server
	store  *shared.Store
	config string
	log    *lockedBuffer
	served chan error
}

func newFleetRig(t *testing.T, n int, o providertest.Options) *fleetRig {
	t.Helper()
	p, err := providertest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	f := &fleetRig{t: t, engine: shared.NewMemory(), provider: p}
	for i := range n {
		f.start(fmt.Sprint("m", i+1))
	}
	return f
}

// start starts one more server.
func (f *fleetRig) start(name string) *fleetServer {
	f.t.Helper()
	s := f.open(name)
	go func() { s.served <- s.Serve(context.Background()) }()
	select {
	case <-s.Ready():
	case err := <-s.served:
		f.t.Fatal(err)
	}
	f.servers = append(f.servers, s)
	f.t.Cleanup(func() {
		s.stop(f.t)
		if f.t.Failed() {
			f.t.Logf("log of %s:\n%s", name, s.log.String())
		}
	})
	return s
}

// stop stops a server, once.
func (s *fleetServer) stop(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	s.store.Close()
}

// open makes a server that does not serve yet.
func (f *fleetRig) open(name string) *fleetServer {
	f.t.Helper()
	s := &fleetServer{log: &lockedBuffer{}, served: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	dir := safeiotest.Dir(f.t)
	s.config = filepath.Join(dir, "config.toml")
	text := `keystore = "etcd"
listen = ["127.0.0.1:0"]
listen_tls = ["127.0.0.1:0"]
listen_imap = ["127.0.0.1:0"]
listen_imap_tls = []
metrics = "127.0.0.1:0"

[etcd]
endpoints = ["http://127.0.0.1:2379"]
`
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	cfg, err := config.Load(s.config)
	if err != nil {
		f.t.Fatal(err)
	}
	secrets, err := keystore.Open(keystore.EtcdKind, keystore.Place{Passphrase: "p", Etcd: func(passphrase string) (keystore.Backend, error) {
		s.store = shared.Open(shared.Options{Engine: f.engine, Passphrase: passphrase, Instance: name, Version: "test", Folder: dir, Work: 1, Log: log})
		return s.store.Secrets(), nil
	}})
	if err != nil {
		f.t.Fatal(err)
	}
	if s.Server, err = New(Options{Config: cfg, ConfigPath: s.config, Secrets: secrets, Version: "test", Log: log}); err != nil {
		f.t.Fatal(err)
	}
	s.watch.TellOfSleep = told(nil)
	return s
}

// provide adds the provider and accounts at one server.
func (f *fleetRig) provide(s *fleetServer, addresses ...string) {
	f.t.Helper()
	<-s.store.Loaded()
	ca, err := f.provider.WriteCA(safeiotest.Dir(f.t))
	if err != nil {
		f.t.Fatal(err)
	}
	p := f.provider
	if _, ok := s.Server.config().Provider("corp"); !ok {
		own := config.Provider{ID: "corp", Name: "Corp Mail", Domains: []string{"corp.test"}, AuthURL: p.AuthURL(), TokenURL: p.TokenURL(), RevokeURL: p.RevokeURL(),
			Scopes: []string{"mail.send"}, ClientID: "waxseal-test", SMTP: p.SMTPAddr, SMTPTLS: "starttls", IMAP: p.IMAPAddr, IMAPTLS: "implicit", CAFile: ca, MaxConnections: 3}
		ctx, done := s.editing(f.t.Context())
		err := s.add(ctx, []config.Provider{own}, nil)
		done()
		if err != nil {
			f.t.Fatal(err)
		}
	}
	var list []map[string]any
	for _, a := range addresses {
		list = append(list, map[string]any{"email": a, "provider": "corp", "client_id": "waxseal-test", "refresh_token": p.Grant(a), "smtp_password": password})
	}
	data, _ := json.Marshal(list)
	if report, err := s.Import(f.t.Context(), data); err != nil || report.Failed > 0 {
		f.t.Fatalf("import: %+v, %v", report, err)
	}
}

func (s *fleetServer) dial(t *testing.T) *program {
	t.Helper()
	for _, l := range s.Snapshot().Listeners {
		if l.Protocol == api.SMTP && !l.TLS {
			c, err := net.Dial("tcp", l.Address)
			if err != nil {
				t.Fatal(err)
			}
			return newProgram(t, c)
		}
	}
	t.Fatal("there is no listener")
	return nil
}

// sends sends a message as an account and returns the last answer.
func (s *fleetServer) sends(t *testing.T, address, password string) string {
	t.Helper()
	p := s.dial(t)
	defer p.conn.Close()
	p.do("EHLO test", "250")
	p.send("AUTH PLAIN " + plainResponse(address, password) + "\r\n")
	if answer := p.reply(); !strings.HasPrefix(answer, "235") {
		return answer
	}
	return p.message(address, "you@elsewhere.test", "Subject: x\r\n\r\nx\r\n")
}

// An account that was added at one machine sends at all, with its tokens, its password, and its provider; what is
// changed there holds everywhere, and connections stay.
func TestFleetSharesAccounts(t *testing.T) {
	f := newFleetRig(t, 3, providertest.Options{Rotate: true})
	a, b, c := f.servers[0], f.servers[1], f.servers[2]
	f.provide(a, me, "you@corp.test")
	for _, s := range f.servers {
		eventually(t, "the accounts are known", func() bool { return len(s.Accounts()) == 2 })
		if got := s.sends(t, me, password); !strings.HasPrefix(got, "250") {
			t.Fatal(got)
		}
	}
	if n := f.provider.Counts().Refreshes; n != 1 {
		t.Errorf("%d refreshes", n)
	}

	open := c.dial(t)
	open.do("EHLO test", "250")
	open.auth(me, password)
	renewed, err := b.Password(t.Context(), me, true)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new password is taken everywhere", func() bool { return strings.HasPrefix(c.sends(t, me, renewed), "250") })
	eventually(t, "the old password is refused", func() bool { return strings.HasPrefix(a.sends(t, me, password), "535") })
	open.message(me, "you@elsewhere.test", "Subject: x\r\n\r\nx\r\n")

	if err := b.SetProtocols(t.Context(), me, []api.Protocol{api.SMTP, api.IMAP}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the IMAP port opens everywhere", func() bool {
		for _, l := range c.Snapshot().Listeners {
			if l.Protocol == api.IMAP {
				return true
			}
		}
		return false
	})
	if _, err := c.Remove(t.Context(), "you@corp.test"); err != nil {
		t.Fatal(err)
	}
	for _, s := range f.servers {
		eventually(t, "the account is gone", func() bool { return len(s.Accounts()) == 1 })
	}
	if got := len(a.Snapshot().Fleet.Machines); got != 3 {
		t.Errorf("%d machines", got)
	}
	if keys := a.store.Keys("password/you"); len(keys) > 0 {
		t.Errorf("left: %v", keys)
	}
}

// A consent that ends is told by all machines, and a sign-in at one helps all.
func TestFleetConsentEnds(t *testing.T) {
	f := newFleetRig(t, 2, providertest.Options{TokenTTL: 2 * time.Second})
	a, b := f.servers[0], f.servers[1]
	f.provide(a, me)
	eventually(t, "the account is known", func() bool { return len(b.Accounts()) == 1 })
	f.provider.Revoke(me)
	if got := a.sends(t, me, password); !strings.HasPrefix(got, "535") {
		t.Fatal(got)
	}
	eventually(t, "the other machine knows", func() bool { return b.Accounts()[0].State == api.NeedsConsent })
	f.provide(b, me)
	eventually(t, "a sign-in at the other machine helps", func() bool { return strings.HasPrefix(a.sends(t, me, password), "250") })
}

// Engine away: what is in memory sends; a start without it answers 454, never 535, and becomes ready by itself.
func TestFleetEngineAway(t *testing.T) {
	f := newFleetRig(t, 2, providertest.Options{})
	a, b := f.servers[0], f.servers[1]
	f.provide(a, me)
	eventually(t, "the account is known", func() bool { return len(b.Accounts()) == 1 })
	if got := a.sends(t, me, password); !strings.HasPrefix(got, "250") {
		t.Fatal(got)
	}
	ready := func(s *fleetServer) int {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		return w.Code
	}
	eventually(t, "both are ready", func() bool { return ready(a) == 200 && ready(b) == 200 })
	f.engine.Fail(errors.New("no route to host"))
	if got := b.sends(t, me, password); !strings.HasPrefix(got, "250") {
		t.Errorf("an account not used here before: %s", got)
	}
	late := f.start("late")
	if got := late.sends(t, me, password); !strings.HasPrefix(got, "454") {
		t.Errorf("before the records are loaded: %s", got)
	}
	if got := late.Snapshot(); got.State != api.Starting || got.Fleet.Problem == nil || got.Fleet.Problem.Cure.IsZero() {
		t.Errorf("%s, %+v", got.State, got.Fleet)
	}
	if ready(late) != 503 || ready(b) != 200 {
		t.Errorf("/readyz of one that has just started: %d; of another: %d", ready(late), ready(b))
	}
	f.engine.Fail(nil)
	eventually(t, "it is ready", func() bool { return ready(late) == 200 })
	eventually(t, "it sends", func() bool { return strings.HasPrefix(late.sends(t, me, password), "250") })
	eventually(t, "all is well", func() bool { return b.Snapshot().Fleet.Problem == nil && late.Snapshot().State == api.Serving })
}

// Between the arrival of the records and that of their accounts, every account was one that does not exist, and its
// mail program asked for a password.
func TestFleetAccountsArrive(t *testing.T) {
	f := newFleetRig(t, 1, providertest.Options{})
	f.provide(f.servers[0], me)
	f.engine.Fail(errors.New("no route to host"))
	late := f.open("late")
	t.Cleanup(func() { late.stop(t) })
	f.engine.Fail(nil)
	<-late.store.Loaded()
	late.preload(t.Context())
	if len(late.Accounts()) != 0 || late.hall.Unready(me) == nil || late.loaded.Load() {
		t.Errorf("accounts: %v; ready: %v", late.Accounts(), late.hall.Unready(me) == nil)
	}
	if err := late.takeShared(t.Context()); err != nil || len(late.Accounts()) != 1 || late.hall.Unready(me) != nil || !late.loaded.Load() {
		t.Errorf("afterwards: %v, %v, %v", late.Accounts(), late.hall.Unready(me), err)
	}
}

// A wrong passphrase ends the program with a sentence.
func TestFleetWrongPassphrase(t *testing.T) {
	f := newFleetRig(t, 1, providertest.Options{})
	<-f.servers[0].store.Loaded()
	store := shared.Open(shared.Options{Engine: f.engine, Passphrase: "wrong", Instance: "x", Work: 1})
	defer store.Close()
	secrets, _ := keystore.Open(keystore.EtcdKind, keystore.Place{Passphrase: "wrong", Etcd: func(string) (keystore.Backend, error) { return store.Secrets(), nil }})
	cfg, err := config.Load(f.servers[0].config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Config: cfg, ConfigPath: f.servers[0].config, Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context()); !errors.Is(err, keystore.ErrDenied) || keystore.Cure(err) == "" {
		t.Error(err)
	}
}

// All machines send at once for many accounts with tokens of seconds: nothing is refused, no token is sent
// twice, and the fleet refreshes about as often as one machine.
func TestFleetUnderLoad(t *testing.T) {
	const life, lasts = 2 * time.Second, 8 * time.Second
	f := newFleetRig(t, 3, providertest.Options{Rotate: true, TokenTTL: life})
	var addresses []string
	for i := range 10 {
		addresses = append(addresses, fmt.Sprintf("u%d@corp.test", i))
	}
	f.provide(f.servers[0], addresses...)
	for _, s := range f.servers {
		eventually(t, "the accounts are known", func() bool { return len(s.Accounts()) == len(addresses) })
	}
	var sending sync.WaitGroup
	end := time.Now().Add(lasts)
	for _, s := range f.servers {
		for _, a := range addresses {
			sending.Go(func() {
				for time.Now().Before(end) {
					if got := s.sends(t, a, password); !strings.HasPrefix(got, "250") {
						t.Errorf("%s: %s", a, got)
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
	}
	sending.Wait()
	most := int64(len(addresses)) * int64(lasts/life*2+2)
	if n := f.provider.Counts().Refreshes; n > most {
		t.Errorf("%d refreshes of %d accounts in %v of tokens that live %v", n, len(addresses), lasts, life)
	}
}

// Accounts, providers and secrets go to etcd and back.
func TestMoveToEtcdAndBack(t *testing.T) {
	r, f, open := movable(t)
	there := open(r.secrets)
	moved, err := there.MoveSecrets(t.Context(), keystore.EtcdKind)
	if err != nil || moved < 2 {
		t.Fatal(moved, err)
	}
	text, _ := os.ReadFile(r.config)
	if strings.Contains(string(text), "[[account]]") || strings.Contains(string(text), "[[provider]]") || !strings.Contains(string(text), `keystore = "etcd"`) {
		t.Errorf("the file:\n%s", text)
	}
	secrets := f.etcd(t)
	s := open(secrets)
	if got := s.Accounts(); len(got) != 1 || got[0].Address != me {
		t.Fatalf("%+v", got)
	}
	if got, err := s.Password(t.Context(), me, false); got != password || err != nil {
		t.Error(got, err)
	}
	if _, err := s.MoveSecrets(t.Context(), keystore.FileKind); err != nil {
		t.Fatal(err)
	}
	s.Shutdown(t.Context())
	file, _ := keystore.File(filepath.Join(filepath.Dir(r.config), "secrets.age"), []byte("p"))
	back := open(file)
	if got, err := back.Password(t.Context(), me, false); got != password || err != nil {
		t.Error(got, err)
	}
	if ok, err := back.hall.Mailbox(me).Grant.Granted(t.Context()); !ok || err != nil {
		t.Error(ok, err)
	}
	records, _, _ := f.engine.List(t.Context())
	for _, r := range records {
		if r.Key != "meta" && r.Key != "seal" {
			t.Errorf("left in etcd: %s", r.Key)
		}
	}
}

// etcd is the keystore of a command.
func (f *fleetRig) etcd(t *testing.T) *keystore.Store {
	t.Helper()
	store := shared.Open(shared.Options{Engine: f.engine, Passphrase: "p", Instance: "command", Work: 1, Passing: true})
	<-store.Loaded()
	t.Cleanup(func() { store.Close() })
	k, err := keystore.Open(keystore.EtcdKind, keystore.Place{Passphrase: "p", Etcd: func(string) (keystore.Backend, error) { return store.Secrets(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The provider's connections are lent: never more are open than it allows, and who holds them all gives one to a machine
// that has none.
func TestFleetSharesConnections(t *testing.T) {
	f := newFleetRig(t, 2, providertest.Options{})
	a, b := f.servers[0], f.servers[1]
	f.provide(a, me)
	eventually(t, "the account is known", func() bool { return len(b.Accounts()) == 1 })
	var busy sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 8 {
		busy.Go(func() {
			for ctx.Err() == nil {
				if got := a.sends(t, me, password); !strings.HasPrefix(got, "250") {
					t.Error(got)
					return
				}
			}
		})
	}
	eventually(t, "one machine holds all", func() bool { return a.Accounts()[0].Upstream.Warm+a.Accounts()[0].Upstream.Busy == 3 })
	for range 3 {
		if got := b.sends(t, me, password); !strings.HasPrefix(got, "250") {
			t.Error(got)
		}
	}
	cancel()
	busy.Wait()
	if peak := f.provider.Peak(me); peak > 3 {
		t.Errorf("%d connections at a time, and the provider allows 3", peak)
	}
}

// What one machine has sent counts at the others, and is not forgotten when it is gone.
func TestFleetSharesCounts(t *testing.T) {
	f := newFleetRig(t, 2, providertest.Options{})
	a, b := f.servers[0], f.servers[1]
	f.provide(a, me)
	limited := a.Server.config().Accounts[0]
	limited.MaxMessages = new(2)
	ctx, done := a.editing(t.Context())
	err := a.add(ctx, nil, []api.Account{limited})
	done()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the limit is known", func() bool { return len(b.Accounts()) == 1 && len(b.Accounts()[0].Limits) == 1 })
	for range 2 {
		if got := a.sends(t, me, password); !strings.HasPrefix(got, "250") {
			t.Fatal(got)
		}
	}
	a.stop(t)
	eventually(t, "the other machine counts them", func() bool { return b.Accounts()[0].Limits[0].Used == 2 })
	p := b.dial(t)
	p.auth(me, password)
	p.do("MAIL FROM:<"+me+">", "452")
	again := f.start("m1") // with another disk
	eventually(t, "a machine that has lost its history counts them too", func() bool { return len(again.Accounts()) == 1 && again.Accounts()[0].Limits[0].Used == 2 })
}

// An account that this version cannot use, or that was damaged, keeps no other from working, and its mail programs are told
// to come later.
func TestFleetUnusableAccount(t *testing.T) {
	f := newFleetRig(t, 1, providertest.Options{})
	a := f.servers[0]
	f.provide(a, me)
	newer, broken := map[string]string{"Address": "newer@corp.test", "Provider": "of-a-newer-version"}, "broken@corp.test"
	if err := a.store.Put(t.Context(), accountRecord("newer@corp.test"), newer); err != nil {
		t.Fatal(err)
	}
	if _, err := f.engine.Swap(t.Context(), accountRecord(broken), []byte("rubbish"), 0); err != nil {
		t.Fatal(err)
	}
	f.provide(a, "other@corp.test")
	eventually(t, "the others are known", func() bool { return len(a.Accounts()) == 2 })
	for _, address := range []string{"newer@corp.test", broken} {
		eventually(t, address+" is told to come later", func() bool { return strings.HasPrefix(a.sends(t, address, password), "454") })
	}
	if got := a.sends(t, me, password); !strings.HasPrefix(got, "250") {
		t.Error(got)
	}
	f.start("m2") // and a start is possible
}

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("CONTROL_TEST_HOLD"); path != "" {
		holdUntilKilled(path)
	}
	goleak.VerifyTestMain(m)
}

// fake is a Backend that records what it was asked.
type fake struct {
	snapshot api.Snapshot
	err      error
	asked    []string
	imported []byte
	watched  chan struct{} // closed when a Watch has ended
}

func (f *fake) ask(format string, args ...any) error {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
	return f.err
}

func (f *fake) Snapshot() api.Snapshot { return f.snapshot }

// Watch yields two snapshots and then waits until ctx ends.
func (f *fake) Watch(ctx context.Context, _ time.Duration) iter.Seq[api.Snapshot] {
	return func(yield func(api.Snapshot) bool) {
		defer close(f.watched)
		for n := range 2 {
			s := f.snapshot
			s.Connections = int64(n)
			if !yield(s) {
				return
			}
		}
		<-ctx.Done()
	}
}

func (f *fake) Reload(context.Context) ([]string, error) {
	return []string{"later"}, f.ask("reload")
}

func (f *fake) Preflight(_ context.Context, a api.Account) (api.Preflight, error) {
	return api.Preflight{Provider: "corp", Registration: api.Registration{Steps: []api.Step{{Text: api.Say("click")}}}}, f.ask("preflight %s", a.Address)
}

func (f *fake) Add(_ context.Context, a api.Account, clientSecret string) (string, error) {
	return "added", f.ask("add %s %s %d %s", a.Address, a.Provider, a.MaxConnections, clientSecret)
}

func (f *fake) ReadClient(_ context.Context, text string) (api.Client, error) {
	return api.Client{ID: "id", Secret: "secret"}, f.ask("read client %s", text)
}

func (f *fake) SetClient(_ context.Context, address string, to api.Client) error {
	return f.ask("client %s %s %s", address, to.ID, to.Secret)
}

func (f *fake) AddProvider(_ context.Context, n api.NewProvider) error {
	return f.ask("provider %s", n.Name)
}

func (f *fake) SetLogin(_ context.Context, address, login string) error {
	return f.ask("login %s %s", address, login)
}

func (f *fake) Authorize(_ context.Context, to api.ConsentRequest, show func(api.Prompt) error) (bool, error) {
	if err := show(api.Prompt{URL: "https://login.corp.example/"}); err != nil {
		return false, err
	}
	return true, f.ask("authorize %s %t", to.Account.Address, to.Device)
}

func (f *fake) CancelSignIn(_ context.Context, address string) error {
	return f.ask("cancel sign-in %s", address)
}

func (f *fake) Doctor(_ context.Context, report func(api.Check)) int {
	report(api.Check{Name: "keystore", Result: api.Say("locked"), Problem: &api.Problem{What: api.Say("locked"), Cure: api.Say("unlock {{.It}}", "It", "it")}, Took: time.Second})
	f.ask("doctor")
	return 1
}

func (f *fake) SendTest(_ context.Context, address, to string, report func(api.Check)) error {
	report(api.Check{Name: "token", OK: true})
	return f.ask("send %s %s", address, to)
}

func (f *fake) ReadTest(_ context.Context, address string, protocol api.Protocol, report func(api.Check)) error {
	report(api.Check{Name: "folders", OK: true})
	return f.ask("read %s %s", address, protocol)
}

func (f *fake) Import(_ context.Context, data []byte) (api.ImportReport, error) {
	f.imported = data
	return api.ImportReport{Imported: 2, Failed: 1,
		Problems: []api.ImportProblem{{Index: 3, Address: "x@y", Problem: api.Problem{What: api.Say("no token")}}}}, f.ask("import")
}

func (f *fake) ImportEmailProxy(_ context.Context, data []byte, passwords map[string]string) (api.ImportReport, error) {
	return api.ImportReport{Imported: 1, Consent: []string{"a@b"}}, f.ask("import %s %v", data, passwords)
}

func (f *fake) Remove(_ context.Context, address string) (string, error) {
	return "not given back", f.ask("remove %s", address)
}

func (f *fake) MoveSecrets(_ context.Context, kind string) (int, error) {
	return 3, f.ask("move secrets %s", kind)
}

func (f *fake) UnlockKeystore(context.Context) error { return f.ask("unlock") }

func (f *fake) Accounts() []api.AccountStatus { return f.snapshot.Accounts }

func (f *fake) Activity(after uint64) []api.Activity {
	return []api.Activity{{Seq: after + 1, Account: "a@b", Reply: "250 2.0.0 OK"}}
}

func (f *fake) SetPaused(paused bool) { f.ask("pause %t", paused) }

func (f *fake) MailSettings(_ context.Context, address string, renew bool) (api.MailSettings, error) {
	return api.MailSettings{User: address, Password: "secret", Servers: []api.MailServer{{Host: "::1", Port: 1587, TLS: true}}},
		f.ask("mail settings %s %t", address, renew)
}

func (f *fake) Settings() api.Settings {
	return api.Settings{Listen: []string{"127.0.0.1:1587"}, Metrics: "127.0.0.1:9587", LogLevel: "info", Notifications: true}
}

func (f *fake) Configure(_ context.Context, to api.SettingsChange) ([]string, error) {
	said, _ := json.Marshal(to)
	return []string{"later"}, f.ask("configure %s", said)
}

func (f *fake) Certificate() (api.Certificate, error) {
	return api.Certificate{PEM: "-----", Fingerprint: "AB:CD"}, f.err
}

// everything is a Snapshot in which no field that matters has its zero value.
func everything() api.Snapshot {
	day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	return api.Snapshot{
		Version: "1.2.3", Instance: "mail-1", PID: 4242, Started: day, State: "serving",
		Listeners: []api.Listener{{Protocol: "smtp", Address: "127.0.0.1:1587"}},
		Metrics:   "127.0.0.1:9587", Connections: 5, Messages: 2,
		Upstream: api.UpstreamGauges{Dialling: 1, Warm: 2, Busy: 3},
		Totals:   map[api.Result]int64{"sent": 7}, AuthFailures: 1, Refused: 2,
		Keystore: api.KeystoreStatus{Kind: "file", Problem: &api.Problem{State: api.KeystoreLocked, Lasting: true, What: api.Say("locked"), Do: api.Unlock}},
		Accounts: []api.AccountStatus{{Address: "me@x", Provider: "corp", State: "ready",
			Sent: 9, LastMessage: day, Upstream: api.PoolStatus{Warm: 1, Limit: 3}}},
		Breakers: []api.Breaker{{Name: "smtp.x:587", Provider: "Corp", Mail: true, State: api.Open,
			RetryIn: 12, Cause: "refused", Transitions: 1, Failures: 5}},
	}
}

// folder is t.TempDir that works on Wine, where deleting a folder may fail.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// elsewhere gives the test a temporary folder of its own for the second place.
func elsewhere(t *testing.T) string {
	t.Helper()
	dir := folder(t)
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir) // Windows
	return dir
}

// serving runs an instance with b and returns its configuration's path.
func serving(t *testing.T, b Backend) string {
	t.Helper()
	elsewhere(t)
	path := filepath.Join(folder(t), "config.toml")
	serveAt(t, path, b)
	return path
}

// serveAt runs an instance until stop is called or the test ends.
func serveAt(t *testing.T, path string, b Backend) (l *Listener, stop func()) {
	t.Helper()
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := Serve(ctx, l, b, Desktop{}); err != nil {
			t.Error(err)
		}
		l.Close()
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return l, stop
}

// clients are the two ways to reach a backend. Both must behave the same.
var clients = map[string]func(*testing.T, Backend) *Client{
	"socket": func(t *testing.T, b Backend) *Client {
		c, err := Dial(t.Context(), serving(t, b))
		if err != nil {
			t.Fatal(err)
		}
		return c
	},
	"local": func(_ *testing.T, b Backend) *Client { return Local(b) },
}

func TestRequests(t *testing.T) {
	for name, dial := range clients {
		t.Run(name, func(t *testing.T) {
			b := &fake{snapshot: everything()}
			c, ctx := dial(t, b), t.Context()
			defer c.Close()

			if s, err := c.Status(ctx); err != nil || !reflect.DeepEqual(s, b.snapshot) {
				t.Errorf("Status: %v\n got %+v\nwant %+v", err, s, b.snapshot)
			}
			if a, err := c.Accounts(ctx); err != nil || !reflect.DeepEqual(a, b.snapshot.Accounts) {
				t.Errorf("Accounts: %+v, %v", a, err)
			}
			if p, err := c.Preflight(ctx, api.Account{Address: "a@b"}); p.Provider != "corp" || len(p.Registration.Steps) != 1 || err != nil {
				t.Errorf("Preflight: %+v, %v", p, err)
			}
			if p, err := c.Add(ctx, api.Account{Address: "a@b", Provider: "corp", MaxConnections: 3}, "s"); p != "added" || err != nil {
				t.Errorf("Add: %q, %v", p, err)
			}
			if got, err := c.ReadClient(ctx, "{}"); got != (api.Client{ID: "id", Secret: "secret"}) || err != nil {
				t.Errorf("ReadClient: %+v, %v", got, err)
			}
			if err := c.SetClient(ctx, "a@b", api.Client{ID: "i", Secret: "s"}); err != nil {
				t.Errorf("SetClient: %v", err)
			}
			r, err := c.Import(ctx, []byte("[not checked here"))
			if err != nil || r.Imported != 2 || len(r.Problems) != 1 || r.Problems[0].Problem.Error() != "no token" {
				t.Errorf("Import: %+v, %v", r, err)
			}
			if string(b.imported) != "[not checked here" {
				t.Errorf("Import changed the file: %q", b.imported)
			}
			if r, err := c.ImportEmailProxy(ctx, []byte("[ini]"), map[string]string{"a@b": "pw"}); err != nil || r.Imported != 1 || len(r.Consent) != 1 {
				t.Errorf("ImportEmailProxy: %+v, %v", r, err)
			}
			if note, err := c.Remove(ctx, "a@b"); note != "not given back" || err != nil {
				t.Errorf("Remove: %q, %v", note, err)
			}
			if notes, err := c.Reload(ctx); err != nil || !reflect.DeepEqual(notes, []string{"later"}) {
				t.Errorf("Reload: %q, %v", notes, err)
			}
			var urls []string
			consented, err := c.Authorize(ctx, api.ConsentRequest{Account: api.Account{Address: "a@b"}, Device: true}, func(p api.Prompt) { urls = append(urls, p.URL) })
			if !consented || err != nil || !reflect.DeepEqual(urls, []string{"https://login.corp.example/"}) {
				t.Errorf("Authorize: %t, %v, shown %q", consented, err, urls)
			}
			if err := c.CancelSignIn(ctx, "a@b"); err != nil {
				t.Errorf("CancelSignIn: %v", err)
			}
			var checks []api.Check
			failed, err := c.Doctor(ctx, func(ch api.Check) { checks = append(checks, ch) })
			if failed != 1 || err != nil || len(checks) != 1 || checks[0].Problem.Cure.String() != "unlock it" {
				t.Errorf("Doctor: %d, %v, %+v", failed, err, checks)
			}
			if err := c.SendTest(ctx, "a@b", "c@d", func(ch api.Check) { checks = append(checks, ch) }); err != nil || len(checks) != 2 {
				t.Errorf("SendTest: %v, %+v", err, checks)
			}
			if err := c.ReadTest(ctx, "a@b", api.IMAP, func(ch api.Check) { checks = append(checks, ch) }); err != nil || len(checks) != 3 {
				t.Errorf("ReadTest: %v, %+v", err, checks)
			}
			want := []string{"preflight a@b", "add a@b corp 3 s", "read client {}", "client a@b i s", "import", "import [ini] map[a@b:pw]", "remove a@b", "reload", "authorize a@b true", "cancel sign-in a@b", "doctor", "send a@b c@d", "read a@b imap"}
			if !reflect.DeepEqual(b.asked, want) {
				t.Errorf("asked %q, want %q", b.asked, want)
			}
		})
	}
}

func TestErrorsKeepTheirTextAndCure(t *testing.T) {
	for name, dial := range clients {
		t.Run(name, func(t *testing.T) {
			err := fmt.Errorf("password of a@b: %w", keystore.ErrLocked)
			c := dial(t, &fake{err: err})
			defer c.Close()
			_, grown := c.Authorize(t.Context(), api.ConsentRequest{Account: api.Account{Address: "a@b"}}, func(api.Prompt) {})
			_, once := c.Remove(t.Context(), "a@b")
			for _, got := range []error{once, grown} {
				var answered *Error
				if !errors.As(got, &answered) || answered.Text != err.Error() || answered.Cure != keystore.Cure(err) {
					t.Errorf("got %#v, want the text %q and the cure %q", got, err, keystore.Cure(err))
				}
			}
		})
	}
}

func TestWatch(t *testing.T) {
	for name, dial := range clients {
		t.Run(name, func(t *testing.T) {
			b := &fake{snapshot: everything(), watched: make(chan struct{})}
			c := dial(t, b)
			defer c.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var seen []int64
			for s, err := range c.Watch(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				if seen = append(seen, s.Connections); len(seen) == 2 {
					cancel() // ends the loop without an error
				}
			}
			if !reflect.DeepEqual(seen, []int64{0, 1}) {
				t.Errorf("saw %v, want 0 and 1", seen)
			}
			<-b.watched // a client that leaves ends the backend's Watch
		})
	}
}

// When the instance ends while it is watched, the watcher is told, and the
// instance does not wait for the watcher.
func TestWatchSeesTheEnd(t *testing.T) {
	b := &fake{snapshot: everything(), watched: make(chan struct{})}
	path := filepath.Join(folder(t), "config.toml")
	_, stop := serveAt(t, path, b)
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var last error
	for s, err := range c.Watch(t.Context()) {
		if last = err; s.Connections == 1 {
			stop()
		}
	}
	if !errors.Is(last, ErrNotRunning) || errors.Is(last, ErrDied) {
		t.Errorf("Watch ended with %v, want ErrNotRunning", last)
	}
}

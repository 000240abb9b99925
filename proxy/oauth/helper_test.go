package oauth

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/breaker"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(victimVariable); path != "" {
		victim(path, os.Getenv(victimVariable+"_URL"))
	}
	goleak.VerifyTestMain(m)
}

// fakeEndpoint is a real HTTP server over pipes, so that it works under synctest as well as outside.
type fakeEndpoint struct {
	client *http.Client

	mu     sync.Mutex
	forms  []url.Values
	times  []time.Time
	answer http.HandlerFunc
}

const endpointHost = "login.example"

var clientKey = ClientKey("https://"+endpointHost+"/token", clientID)

// newFakeEndpoint answers request N with the access token "access-N", until told otherwise.
func newFakeEndpoint(t testing.TB) *fakeEndpoint {
	e := &fakeEndpoint{}
	ln := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: e}
	srv.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	var serving sync.WaitGroup
	serving.Go(func() { srv.Serve(ln) })
	e.client = HTTPClient(nil, nil)
	e.client.Transport.(*http.Transport).DialContext = ln.dial
	t.Cleanup(func() {
		e.client.CloseIdleConnections()
		srv.Close()
		serving.Wait()
	})
	return e
}

func (e *fakeEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	e.mu.Lock()
	e.forms = append(e.forms, r.PostForm)
	e.times = append(e.times, time.Now())
	n, answer := len(e.forms), e.answer
	e.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	writeToken(w, fmt.Sprint("access-", n), "", 3600)
}

// says makes the endpoint answer in this way from now on.
func (e *fakeEndpoint) says(answer http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *fakeEndpoint) requests() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.forms)
}

// last is the form of the latest request.
func (e *fakeEndpoint) last() url.Values {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.forms[len(e.forms)-1]
}

func (e *fakeEndpoint) wantRequests(t testing.TB, n int) {
	t.Helper()
	if got := e.requests(); got != n {
		t.Fatalf("%d HTTP requests, want %d", got, n)
	}
}

func writeToken(w io.Writer, access, refresh string, seconds int) {
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d`, access, seconds)
	if refresh != "" {
		fmt.Fprintf(w, `,"refresh_token":%q`, refresh)
	}
	fmt.Fprint(w, "}")
}

// answers gives a fixed answer.
func answers(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func hang(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func drop(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }

type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

const (
	me       = "me@corp.example"
	clientID = "client-1"
)

// rig is a Grant and everything around it.
type rig struct {
	*Grant
	endpoint *fakeEndpoint
	secrets  *keystore.Store
	breaker  *breaker.Breaker
	results  func() string // what OnRefresh heard, in order
}

// newRig gives an account that has signed in, with the refresh token "refresh-1".
func newRig(t testing.TB) *rig {
	r := &rig{endpoint: newFakeEndpoint(t), secrets: keystore.Memory(), breaker: breaker.New(endpointHost, breaker.Settings{})}
	r.put(t, "refresh/"+me, "refresh-1")
	r.Grant, r.results = r.grant(t, me)
	return r
}

// grant makes another Grant in the same place.
func (r *rig) grant(t testing.TB, account string) (*Grant, func() string) {
	return r.grantWith(t, account, func(*Config) {})
}

// grantWith is grant with another configuration.
func (r *rig) grantWith(t testing.TB, account string, edit func(*Config)) (*Grant, func() string) {
	var mu sync.Mutex
	var results []string
	var g *Grant
	cfg := Config{Provider: "corp", ClientID: clientID, TokenURL: "http://" + endpointHost + "/token"}
	edit(&cfg)
	g = New(cfg, account, Deps{
		Secrets: r.secrets, HTTP: r.endpoint.client, Breaker: r.breaker,
		OnRefresh: func(result string) {
			g.Status() // must not hang
			mu.Lock()
			defer mu.Unlock()
			results = append(results, result)
		},
		OnChange: func() { g.Status() },
	})
	t.Cleanup(func() { g.Close(context.Background()) })
	return g, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(results, " ")
	}
}

func (r *rig) put(t testing.TB, key, secret string) {
	t.Helper()
	if err := r.secrets.Set(context.Background(), key, secret); err != nil {
		t.Fatal(err)
	}
}

// kept is the refresh token in the keystore, without its origin.
func (r *rig) kept(t testing.TB) string {
	t.Helper()
	s, err := r.secrets.Get(context.Background(), "refresh/"+me)
	if err != nil {
		return err.Error()
	}
	return parseStored(s).value
}

func (r *rig) wantKept(t testing.TB, token string) {
	t.Helper()
	if got := r.kept(t); got != token {
		t.Fatalf("the keystore holds %q, want %q", got, token)
	}
}

func wantToken(t testing.TB, g *Grant, value string) {
	t.Helper()
	token, err := g.Token(t.Context())
	if err != nil || token.Value != value {
		t.Fatalf("Token = %q, %v; want %q", token.Value, err, value)
	}
}

func wantState(t testing.TB, g *Grant, state, about string) {
	t.Helper()
	s := g.Status()
	if s.State != state || !strings.Contains(s.Err, about) || (about == "") != (s.Err == "") {
		t.Fatalf("Status = %+v, want %s and %q", s, state, cmp.Or(about, "no error"))
	}
}

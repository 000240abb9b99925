package control

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

// Everything but our own client is turned away before the backend is asked.
func TestStrangersAreRefused(t *testing.T) {
	body := `{"address":"a@b"}`
	for name, tc := range map[string]struct {
		change func(*http.Request)
		body   string
		status int
	}{
		"our own":           {func(*http.Request) {}, body, 200},
		"another host":      {func(r *http.Request) { r.Host = "evil.example" }, body, 403},
		"rebound to us":     {func(r *http.Request) { r.Host = "127.0.0.1:40000" }, body, 403},
		"a page":            {func(r *http.Request) { r.Header.Set("Origin", "null") }, body, 403},
		"a navigation":      {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") }, body, 403},
		"a form":            {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, body, 415},
		"no token":          {func(r *http.Request) { r.Header.Del("Authorization") }, body, 401},
		"wrong token":       {func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, body, 401},
		"unknown field":     {func(*http.Request) {}, `{"adress":"a@b"}`, 400},
		"not JSON":          {func(*http.Request) {}, `address=a@b`, 400},
		"too long":          {func(*http.Request) {}, `{"address":"` + strings.Repeat("a", maxBody) + `"}`, 400},
		"reading by a page": {func(r *http.Request) { r.Method = "GET"; r.Header.Set("Origin", "http://x") }, "", 403},
	} {
		t.Run(name, func(t *testing.T) {
			b := &fake{}
			r := httptest.NewRequest("POST", "http://waxseal/remove", strings.NewReader(tc.body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer right")
			tc.change(r)
			w := httptest.NewRecorder()
			newHandler(context.Background(), b, Desktop{}, "right").ServeHTTP(w, r)
			if w.Code != tc.status {
				t.Errorf("status %d, want %d: %s", w.Code, tc.status, w.Body)
			}
			if asked := len(b.asked) > 0; asked != (tc.status == 200) {
				t.Errorf("asked the backend: %t", asked)
			}
		})
	}
}

// The loopback port takes the place of the socket on systems without unix sockets.
func TestLoopbackPort(t *testing.T) {
	p := place{dir: folder(t), name: "config"}
	lock, err := p.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.listenTCP()
	if err != nil {
		t.Fatal(err)
	}
	l.lock = lock
	if len(l.token) < 52 { // 256 bits in base32
		t.Errorf("the token has only %d characters", len(l.token))
	}
	info, err := os.Stat(p.path(".port"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o077 != 0 && filepath.Separator == '/' {
		t.Errorf("config.port has mode %o", info.Mode().Perm())
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- Serve(ctx, l, &fake{snapshot: api.Snapshot{PID: 9}}, Desktop{}) }()

	c, h, err := p.dial(t.Context())
	if err != nil || h.PID != 9 {
		t.Fatalf("dial: %+v, %v", h, err)
	}
	c.Close()
	req, _ := http.NewRequest("GET", "http://"+l.inner.Addr().String()+"/status", nil)
	req.Host = host
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: %s", resp.Status)
	}

	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	l.Close()
	if _, err := os.Stat(p.path(".port")); err == nil {
		t.Error("config.port is still there")
	}
}

// After a crash the port may belong to another program, which must get nothing
// from us.
func TestStalePortIsNotAsked(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	p := place{dir: folder(t), name: "config"}
	left := `{"address":"` + other.Listener.Addr().String() + `","token":"t"}`
	if err := os.WriteFile(p.path(".port"), []byte(left), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), p.path(".toml")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Dial: %v, want ErrNotRunning", err)
	}
	release, err := Hold(t.Context(), p.path(".toml"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := Dial(t.Context(), p.path(".toml")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Dial while a command holds the lock: %v, want ErrNotRunning", err)
	}
	if asked {
		t.Error("the other program was asked")
	}
}

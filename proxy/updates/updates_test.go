package updates

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aead.dev/minisign"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const page = "https://example.com/releases/1.2.0"

// signer makes feeds.
type signer struct {
	key    string
	secret minisign.PrivateKey
}

func newSigner(t testing.TB) signer {
	t.Helper()
	public, secret, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{public.String(), secret}
}

func (s signer) feed(line string) string {
	return line + string(minisign.Sign(s.secret, []byte(line)))
}

// prehashed is a feed as `minisign -S` signs it.
func (s signer) prehashed(line string) string {
	r := minisign.NewReader(strings.NewReader(line))
	io.Copy(io.Discard, r)
	return line + string(r.Sign(s.secret))
}

func release(version string) string {
	return `{"version":"` + version + `","page":"` + page + `"}` + "\n"
}

func TestParse(t *testing.T) {
	owner, other := newSigner(t), newSigner(t)
	good := owner.feed(release("1.2.0"))
	for name, tt := range map[string]struct{ feed, key, wrong string }{
		"good":               {good, owner.key, ""},
		"signed by minisign": {owner.prehashed(release("1.2.0")), owner.key, ""},
		"another's":          {other.feed(release("1.2.0")), owner.key, "signature"},
		"changed":            {strings.Replace(good, "1.2.0", "1.3.0", 1), owner.key, "signature"},
		"changed comment":    {strings.Replace(good, "timestamp:", "timestamp:9", 1), owner.key, "signature"},
		"no signature":       {release("1.2.0"), owner.key, "signature"},
		"empty":              {"", owner.key, "signature"},
		"a web page":         {"<html>\n<body>Sign in to this hotel's network</body>", owner.key, "signature"},
		"too large":          {good + strings.Repeat("\n", maxFeed), owner.key, "larger"},
		"not a version":      {owner.feed(release("newest")), owner.key, "version"},
		"not a page":         {owner.feed(`{"version":"1.2.0","page":"file:///etc/passwd"}` + "\n"), owner.key, "page"},
		"not JSON":           {owner.feed("1.2.0\n"), owner.key, "feed"},
		"a wrong key":        {good, "RW", "built with"},
	} {
		f, err := Parse([]byte(tt.feed), tt.key)
		if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s: %v", name, err)
		}
		if want := (Feed{"1.2.0", page}); tt.wrong == "" && f != want {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestNewer(t *testing.T) {
	for _, tt := range []struct {
		offered, than string
		newer         bool
	}{
		{"1.2.0", "v1.1.9", true}, {"1.2.0", "1.2.0", false}, {"v1.2.0", "1.2.0", false}, {"1.2.0", "1.3.0", false},
		{"1.10.0", "1.9.0", true}, {"1.0.0", "1.0.0-rc.1", true}, {"1.0.0-rc.1", "1.0.0", false}, {"1.0.0-rc.10", "1.0.0-rc.9", true},
		{"1.0.0-rc.1", "1.0.0-1", true}, {"1.0.0-1", "1.0.0-rc", false}, {"1.0.0-rc.1", "1.0.0-rc", true}, {"1.0.0+b2", "1.0.0+b1", false},
		{"0.9.0", "v0.9.0-3-gabcdef0", false}, {"0.9.1", "v0.9.0-3-gabcdef0-dirty", true}, {"0.9.0", "v0.9.0-dirty", false},
		{"1.0.0", "dev", false}, {"1.0.0", "6b2508f", false}, {"", "1.0.0", false}, {"99999999999.0.0", "1.0.0", false},
	} {
		if Newer(tt.offered, tt.than) != tt.newer {
			t.Errorf("%s newer than %s: %t", tt.offered, tt.than, !tt.newer)
		}
	}
}

// served starts a server of a feed.
func served(t *testing.T, answer http.HandlerFunc) string {
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL + "/latest"
}

func (s signer) checker(t *testing.T, url string) *Checker {
	return &Checker{Key: s.key, Version: "v1.1.0", File: filepath.Join(t.TempDir(), "updates.json"), URL: func() string { return url },
		HTTP: &http.Client{Transport: &http.Transport{}}, Online: func() bool { return true }, Log: slog.New(slog.DiscardHandler), Changed: func() {}}
}

// The request says nothing about who asks, and what it learns is there at the next start, until the program
// is as new as that.
func TestAsks(t *testing.T) {
	owner := newSigner(t)
	asked := 0
	url := served(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		for name, values := range r.Header {
			if !(name == "Accept-Encoding" && values[0] == "identity" || name == "Connection" && values[0] == "close") {
				t.Errorf("the request has %s: %q", name, values)
			}
		}
		if r.URL.RawQuery != "" || r.Method != http.MethodGet || r.ContentLength != 0 {
			t.Errorf("the request is %s %s with %d bytes", r.Method, r.URL, r.ContentLength)
		}
		io.WriteString(w, owner.feed(release("1.2.0")))
	})
	c := owner.checker(t, url)
	for range 3 { // only the first is due
		c.turn(t.Context())
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	if n := c.Newer(); n == nil || n.Version != "1.2.0" || n.Page != page || n.Found.IsZero() {
		t.Errorf("newer: %+v", n)
	}
	if Known(c.File, "1.1.0") == nil || Known(c.File, "1.2.0") != nil || Known(c.File, "1.3.0") != nil || Known(filepath.Join(t.TempDir(), "none"), "1.0.0") != nil {
		t.Error("what another program reads from the file")
	}
	c.URL = func() string { return "" }
	if c.Newer() != nil {
		t.Error("it is switched off and still told")
	}
}

// What goes wrong is not told as news, and is not tried again before the next day.
func TestFaults(t *testing.T) {
	owner := newSigner(t)
	good := owner.feed(release("1.2.0"))
	elsewhere := served(t, func(w http.ResponseWriter, _ *http.Request) {
		t.Error("another server was asked")
		io.WriteString(w, good)
	})
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string // of the error; "" for none
	}{
		"same version": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, owner.feed(release("1.1.0"))) }, ""},
		"older":        {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, owner.feed(release("1.0.9"))) }, ""},
		"bad signature": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Replace(good, "1.2", "9.2", 1))
		}, "signature"},
		"missing": {http.NotFound, "404"},
		"huge": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil { // without end
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		}, "larger"},
		"redirect to elsewhere": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) }, "another server"},
		"redirect in circles":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "too often"},
		"hangs up":              {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		c := owner.checker(t, served(t, tt.answer))
		_, err := c.ask(t.Context(), c.URL())
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		c.turn(t.Context())
		if n := c.Newer(); n != nil {
			t.Errorf("%s is told as %+v", name, n)
		}
		if r, _ := read(c.File); time.Until(r.Next) < period-time.Minute {
			t.Errorf("%s: asks again at %v", name, r.Next)
		}
	}
}

// countingTransport refuses all connections.
type countingTransport struct{ asked []time.Time }

func (c *countingTransport) RoundTrip(*http.Request) (*http.Response, error) {
	c.asked = append(c.asked, time.Now())
	return nil, errors.New("no route")
}

// TestOnceADay: over a month with failures, restarts and nights without a network, there are never two
// requests within a day.
func TestOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport, online := &countingTransport{}, true
		c := newSigner(t).checker(t, "http://feed.test/latest")
		c.HTTP, c.Online = &http.Client{Transport: transport}, func() bool { return online }
		for range 120 { // starts, six hours apart
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); c.Run(ctx) }()
			time.Sleep(6 * time.Hour)
			cancel()
			<-done
			online = !online
		}
		for i := 1; i < len(transport.asked); i++ {
			if d := transport.asked[i].Sub(transport.asked[i-1]); d < period {
				t.Errorf("asked again after %v", d)
			}
		}
		if n := len(transport.asked); n < 15 || n > 30 {
			t.Errorf("asked %d times in 30 days", n)
		}
	})
}

// A clock that was years ahead when the last request was made does not end the checks.
func TestClockThatWasWrong(t *testing.T) {
	transport := &countingTransport{}
	c := newSigner(t).checker(t, "http://feed.test/latest")
	c.HTTP = &http.Client{Transport: transport}
	c.known.Next = time.Now().AddDate(20, 0, 0)
	c.turn(t.Context())
	if len(transport.asked) != 1 {
		t.Error("it waits for 20 years")
	}
}

// Without a key, nothing is asked and nothing is told.
func TestWithoutKey(t *testing.T) {
	c := newSigner(t).checker(t, "http://feed.test/latest")
	c.Key, c.known.Version = "", "9.9.9"
	c.Run(t.Context()) // returns
	if c.Newer() != nil {
		t.Error("told without a key")
	}
}

func FuzzParse(f *testing.F) {
	owner := newSigner(f)
	good := owner.feed(release("1.2.0"))
	f.Add([]byte(good))
	f.Add([]byte(release("1.2.0")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := Parse(data, owner.key); err == nil && (got != Feed{"1.2.0", page}) {
			t.Errorf("%q is taken for %+v", data, got)
		}
	})
}

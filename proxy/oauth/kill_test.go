package oauth

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gofrs/flock"

	"github.com/waxseal/waxseal/keystore"
)

// victimVariable names the keystore file of a process that asks for a token, or for consent with
// victimVariable_CONSENT, and is killed on the way.
const victimVariable = "WAXSEAL_TEST_VICTIM"

// victim says which steps it has taken, and does not end by itself while its input is open.
func victim(path, url string) {
	secrets := fileStore(path)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	g := New(Config{ClientID: clientID, AuthURL: url, TokenURL: url}, me, Deps{Secrets: secrets, HTTP: &http.Client{Transport: telling{transport}}})
	var err error
	if os.Getenv(victimVariable+"_CONSENT") == "" {
		_, err = g.Token(context.Background())
	} else {
		err = g.Consent(context.Background(), func(url string) error {
			fmt.Println("open " + url)
			return nil
		}, nil)
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("used")
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func fileStore(path string) *keystore.Store {
	s, err := keystore.File(path, []byte("passphrase"))
	if err != nil {
		panic(err)
	}
	return s
}

// telling says when an answer has been read to its end.
type telling struct{ inner http.RoundTripper }

func (t telling) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.inner.RoundTrip(r)
	if err == nil {
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println("answered")
		resp.Body = io.NopCloser(bytes.NewReader(data))
	}
	return resp, err
}

// rotating is a token endpoint that rotates, and stops at a step so that somebody can be killed there.
type rotating struct {
	strict bool // a spent token is refused, and revokes all that came of it
	killed chan struct{}
	at     chan struct{}

	mu      sync.Mutex
	stop    string // the step; "" once it has been reached
	newest  int
	revoked bool
}

// reach returns false once somebody has been killed at the step.
func (e *rotating) reach(step string) bool {
	e.mu.Lock()
	here := e.stop == step
	if here {
		e.stop = ""
	}
	e.mu.Unlock()
	if here {
		close(e.at)
		<-e.killed
	}
	return !here
}

func (e *rotating) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	if !e.reach("asked") {
		return
	}
	e.mu.Lock()
	if e.strict && r.PostForm.Get("refresh_token") != fmt.Sprint("refresh-", e.newest) {
		e.revoked = true
	}
	if !e.revoked {
		e.newest++
	}
	newest, revoked, half := e.newest, e.revoked, e.stop == "half answered"
	e.mu.Unlock()
	if revoked {
		answers(400, `{"error":"invalid_grant"}`)(w, r)
		return
	}
	e.reach("rotated")
	if half {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, `{"access_token":"acc`)
		http.NewResponseController(w).Flush()
		e.reach("half answered")
		return
	}
	writeToken(w, fmt.Sprint("access-", newest), fmt.Sprint("refresh-", newest), 3600)
}

// kill -9 between any two steps of a rotation loses no account where a token stays good until the next
// one was used, as with Microsoft. Where the provider takes any second use for theft, nothing helps
// from the moment it has rotated until the new token is stored: only the provider knows that token.
// There the account says that it needs consent, and nothing else is wrong.
//
// The steps of writing the file itself are covered by keystore's tests.
func TestKilledInRotation(t *testing.T) {
	for _, strict := range []bool{false, true} {
		for _, step := range []string{"asked", "rotated", "half answered", "answered", "used"} {
			t.Run(fmt.Sprintf("strict=%t/%s", strict, step), func(t *testing.T) {
				t.Parallel()
				lost := strict && step != "asked" && step != "used"
				killAt(t, strict, step, lost, false)
			})
		}
	}
}

// kill -9 in the middle of a consent leaves an account that worked before as it was, until the new
// token is stored.
func TestKilledInConsent(t *testing.T) {
	for _, step := range []string{"asked", "rotated", "half answered", "answered", "used"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			killAt(t, false, step, false, true)
		})
	}
}

func killAt(t *testing.T, strict bool, step string, lost, consent bool) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "secrets")
	secrets := fileStore(path)
	defer secrets.Close()
	if err := secrets.Set(ctx, "refresh/"+me, "refresh-1"); err != nil {
		t.Fatal(err)
	}
	e := &rotating{strict: strict, stop: step, newest: 1, at: make(chan struct{}), killed: make(chan struct{})}
	srv := httptest.NewServer(e)
	defer srv.Close()
	lock := flock.New(path + ".lock")
	if step == "answered" { // what keeps it from being stored
		if err := lock.Lock(); err != nil {
			t.Fatal(err)
		}
	}

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimVariable+"="+path, victimVariable+"_URL="+srv.URL)
	if consent {
		cmd.Env = append(cmd.Env, victimVariable+"_CONSENT=1")
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	var browser sync.WaitGroup
	defer browser.Wait()
	if consent {
		lines.Scan()
		asked, err := url.Parse(strings.TrimPrefix(lines.Text(), "open "))
		if err != nil {
			t.Fatal(err)
		}
		back := asked.Query().Get("redirect_uri") + "?code=c&state=" + asked.Query().Get("state")
		browser.Go(func() {
			if resp, err := http.Get(back); err == nil { // else it was killed before it answered
				resp.Body.Close()
			}
		})
	}
	switch step {
	case "answered", "used":
		for lines.Scan() && lines.Text() != step {
		}
		if lines.Text() != step {
			t.Error("it ended before")
		}
	default:
		<-e.at
	}
	cmd.Process.Kill()
	cmd.Wait()
	close(e.killed)
	lock.Close()
	if left, err := secrets.Get(ctx, "refresh/"+me); consent && (left == "refresh-1") == (step == "used") {
		t.Errorf("left in the keystore: %q, %v", left, err)
	}

	g := New(Config{ClientID: clientID, TokenURL: srv.URL}, me, Deps{Secrets: secrets, HTTP: srv.Client()})
	defer g.Close(ctx)
	_, err = g.Token(ctx)
	if lost != errors.Is(err, ErrConsent) || !lost && err != nil {
		t.Errorf("the next start: %v", err)
	}
	kept, err := secrets.Get(ctx, "refresh/"+me)
	if err != nil || kept == "" {
		t.Errorf("the keystore: %q, %v", kept, err)
	}
}

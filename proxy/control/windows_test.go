package control

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

func TestWindowsRequests(t *testing.T) {
	for name, dial := range clients {
		t.Run(name, func(t *testing.T) {
			b := &fake{snapshot: everything()}
			c, ctx := dial(t, b), t.Context()
			defer c.Close()
			if a, err := c.Activity(ctx, 6); err != nil || !reflect.DeepEqual(a, b.Activity(6)) {
				t.Errorf("Activity: %+v, %v", a, err)
			}
			if err := c.SetPaused(ctx, true); err != nil {
				t.Errorf("SetPaused: %v", err)
			}
			if err := c.UnlockKeystore(ctx); err != nil {
				t.Errorf("UnlockKeystore: %v", err)
			}
			s, err := c.MailSettings(ctx, "a@b", true)
			if err != nil || s.User != "a@b" || s.Password != "secret" || len(s.Servers) != 1 || s.Servers[0].Port != 1587 {
				t.Errorf("MailSettings: %+v, %v", s, err)
			}
			settings, err := c.Settings(ctx)
			if err != nil || !reflect.DeepEqual(settings, b.Settings()) {
				t.Errorf("Settings: %+v, %v", settings, err)
			}
			changed := settings
			changed.Listen, changed.Metrics, changed.Notifications = nil, "", false
			if notes, err := c.Configure(ctx, settings.Change(changed)); err != nil || !reflect.DeepEqual(notes, []string{"later"}) {
				t.Errorf("Configure: %q, %v", notes, err)
			}
			if i, err := c.Certificate(ctx); err != nil || i.Fingerprint != "AB:CD" {
				t.Errorf("Certificate: %+v, %v", i, err)
			}
			want := []string{"pause true", "unlock", "mail settings a@b true", `configure {"listen":[],"metrics":"","notifications":false}`}
			if !reflect.DeepEqual(b.asked, want) {
				t.Errorf("asked %q, want %q", b.asked, want)
			}
		})
	}
}

func TestWithoutWindows(t *testing.T) {
	c := Local(&fake{})
	if err := c.Show(t.Context(), "add", ""); err == nil || !strings.Contains(err.Error(), "no window") {
		t.Errorf("Show: %v", err)
	}
	if err := c.Quit(t.Context()); err == nil {
		t.Error("Quit reports success")
	}
}

// desktop runs an instance with windows, and records which one was opened.
func desktop(t *testing.T) (c *Client, opened *atomic.Pointer[Page], stop func()) {
	t.Helper()
	elsewhere(t)
	path := filepath.Join(folder(t), "config.toml")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	opened = &atomic.Pointer[Page]{}
	ctx, cancel := context.WithCancel(context.Background())
	d := Desktop{Quit: cancel, Show: func(page, account string) error {
		opened.Store(&Page{page, account})
		return nil
	}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := Serve(ctx, l, &fake{watched: make(chan struct{})}, d); err != nil {
			t.Error(err)
		}
		l.Close()
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	if c, err = Dial(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, opened, stop
}

// A window that listens is told which page to show. If none listens, one is opened.
func TestShow(t *testing.T) {
	c, opened, stop := desktop(t)
	if err := c.Show(t.Context(), "setup", "a@b"); err != nil {
		t.Fatal(err)
	}
	if got := opened.Load(); got == nil || *got != (Page{"setup", "a@b"}) {
		t.Fatalf("opened %v", got)
	}
	ctx, closeWindow := context.WithCancel(t.Context())
	pages, ended := make(chan Page, 100), make(chan error, 1)
	window := func(ctx context.Context) {
		var last error
		for p, err := range c.Pages(ctx) {
			if last = err; err == nil {
				pages <- p
			}
		}
		ended <- last
	}
	go window(ctx)
	told(t, c, pages, Page{"activity", ""}) // repeated until the window listens
	opened.Store(nil)
	if err := c.Show(t.Context(), "add", "c@d"); err != nil {
		t.Fatal(err)
	}
	got := <-pages
	for got == (Page{"activity", ""}) { // it was asked for several times
		got = <-pages
	}
	if got != (Page{"add", "c@d"}) || opened.Load() != nil {
		t.Errorf("the window was told %v, and %v was opened", got, opened.Load())
	}
	closeWindow()
	if err := <-ended; err != nil {
		t.Errorf("a closed window's end: %v", err)
	}
	for deadline := time.After(10 * time.Second); opened.Load() == nil; {
		if err := c.Show(t.Context(), "overview", ""); err != nil {
			t.Fatal(err)
		}
		select {
		case <-deadline:
			t.Fatal("no window is opened after the other one closed")
		default:
		}
	}
	go window(t.Context())
	told(t, c, pages, Page{"settings", ""})
	stop()
	if err := <-ended; !errors.Is(err, ErrNotRunning) {
		t.Errorf("the end of the instance: %v, want ErrNotRunning", err)
	}
}

// told asks for a page until a window has been told.
func told(t *testing.T, c *Client, pages <-chan Page, page Page) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		if err := c.Show(t.Context(), page.Page, page.Account); err != nil {
			t.Fatal(err)
		}
		select {
		case <-pages:
			return
		case <-deadline:
			t.Fatal("the window is not told")
		default:
		}
	}
}

// A window that hangs does not swallow the page it is asked to show.
func TestShowPassesByAWindowThatHangs(t *testing.T) {
	opened := 0
	w := windows{open: func(string, string) error { opened++; return nil }}
	_, leave := w.listen()
	defer leave()
	for range 5 {
		if err := w.show(Page{Page: "add"}); err != nil {
			t.Fatal(err)
		}
	}
	if opened != 1 {
		t.Errorf("%d windows opened, want 1 for the page that the hanging one had no room for", opened)
	}
}

func TestQuit(t *testing.T) {
	c, _, stop := desktop(t)
	if err := c.Quit(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, err := range c.Watch(t.Context()) {
		if err != nil {
			return
		}
	}
}

func TestPortTakenSurvivesTheSocket(t *testing.T) {
	for name, dial := range clients {
		t.Run(name, func(t *testing.T) {
			taken := &api.PortTakenError{Address: "127.0.0.1:1587", Owner: "other", Free: "127.0.0.1:1588"}
			c := dial(t, &fake{err: taken})
			defer c.Close()
			_, err := c.Preflight(t.Context(), api.Account{Address: "a@b"})
			var got *api.PortTakenError
			if !errors.As(err, &got) || *got != *taken || err.Error() != taken.Error() {
				t.Errorf("got %v", err)
			}
			_, err = dial(t, &fake{err: errors.New("else")}).Preflight(t.Context(), api.Account{Address: "a@b"})
			if errors.As(err, &got) {
				t.Errorf("%v is about a port", err)
			}
		})
	}
}

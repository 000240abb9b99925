package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore"
)

// bringing gives what a browser sees that follows one address, and the status.
func bringing(t *testing.T, address string) (int, string) {
	t.Helper()
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body := make([]byte, 64<<10)
	n, _ := res.Body.Read(body)
	return res.StatusCode, string(body[:n])
}

// TestTooLateGetsAPage: a browser that came back from a sign-in that had been cancelled found no server.
func TestTooLateGetsAPage(t *testing.T) {
	p := newConsentProvider(t)
	g := p.grant(t, me, keystore.Memory())
	g.deps.LatePages = NewLatePages()
	ctx, cancel := context.WithCancelCause(t.Context())
	errCancelled := errors.New("cancelled")
	var page string
	err := g.Consent(ctx, func(address string) error {
		page = address
		cancel(errCancelled)
		return nil
	}, nil)
	if !errors.Is(err, errCancelled) {
		t.Fatalf("Consent = %v", err)
	}
	callback := callbackOf(t, page)
	if status, seen := bringing(t, callback); status != http.StatusGone || !strings.Contains(seen, "This sign-in has ended") {
		t.Errorf("the browser shows %d %s", status, seen)
	}
	if next := callbackOf(t, callback); next != donePath {
		t.Errorf("the code stays in the address: %q", next)
	}
	if err := Paste(t.Context(), page, callback); err == nil || !strings.Contains(err.Error(), "nothing waits") {
		t.Errorf("Paste = %v", err)
	}
	if p.tokens != 0 {
		t.Error("a code that came too late was traded")
	}
	g.deps.LatePages.Close()
	wantClosed(t, redirectOf(t, page))
}

// TestPageTellsWhetherMailCanBeSent: the page said that Waxseal may send before that was tried.
func TestPageTellsWhetherMailCanBeSent(t *testing.T) {
	for _, tt := range []struct {
		trouble error
		title   string
	}{
		{nil, "Signed in"},
		{errors.New("The mail server says no. Ask an administrator."), "Signed in, but not ready"},
	} {
		p, b := newConsentProvider(t), newBrowser(t)
		g := p.grant(t, me, keystore.Memory())
		g.deps.LatePages = NewLatePages()
		var done string
		err := g.Consent(t.Context(), func(address string) error {
			done = "http://" + redirectOf(t, address).Host + donePath
			return b.open(address)
		}, func(context.Context) error {
			wantToken(t, g, "access of "+me) // the account has it already
			if page := <-b.pages; !strings.Contains(page, "<h1>Approved</h1>") || !strings.Contains(page, `http-equiv="refresh"`) {
				t.Errorf("while it is checked, the browser shows %s", page)
			}
			return tt.trouble
		})
		if err != nil {
			t.Errorf("Consent = %v", err)
		}
		for range 2 { // people reload
			_, page := bringing(t, done)
			if !strings.Contains(page, "<h1>"+tt.title+"</h1>") || strings.Contains(page, `http-equiv="refresh"`) ||
				tt.trouble != nil && !strings.Contains(page, tt.trouble.Error()) {
				t.Errorf("in the end it shows %s", page)
			}
		}
		g.deps.LatePages.Close()
	}
}

// Only the last few pages are kept.
func TestLatePagesAreFew(t *testing.T) {
	p := newConsentProvider(t)
	late := NewLatePages()
	var first string
	for range maxLate + 1 {
		g := p.grant(t, me, keystore.Memory())
		g.deps.LatePages = late
		err := g.Consent(t.Context(), func(address string) error {
			if first == "" {
				first = address
			}
			return errors.New("no browser")
		}, nil)
		if err == nil {
			t.Fatal("a consent without a browser")
		}
	}
	late.mu.Lock()
	kept := len(late.list)
	late.mu.Unlock()
	if kept != maxLate {
		t.Errorf("%d pages are kept", kept)
	}
	late.Close()
	wantClosed(t, redirectOf(t, first))
}

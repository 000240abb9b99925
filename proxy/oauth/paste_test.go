package oauth

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/keystore"
)

// TestPaste brings a redirect home that a browser elsewhere could not deliver, in whatever form people
// copy it.
func TestPaste(t *testing.T) {
	for name, form := range map[string]func(string) string{
		"as it is":           func(a string) string { return a },
		"with blanks":        func(a string) string { return " " + a + "\n" },
		"quoted":             func(a string) string { return `"` + a + `"` },
		"by https":           func(a string) string { return strings.Replace(a, "http:", "https:", 1) },
		"without scheme":     func(a string) string { return strings.TrimPrefix(a, "http://") },
		"another port":       func(a string) string { return "http://127.0.0.1:1/callback?" + after(a, "?") },
		"another path":       func(a string) string { return strings.Replace(a, "/callback", "/other", 1) },
		"another host":       func(a string) string { return strings.Replace(a, "127.0.0.1", "localhost", 1) },
		"with a fragment":    func(a string) string { return a + "#_=_" },
		"in a fragment":      func(a string) string { return strings.Replace(a, "?", "#", 1) },
		"the query":          func(a string) string { return "?" + after(a, "?") },
		"the query, bare":    func(a string) string { return after(a, "?") },
		"with more in it":    func(a string) string { return a + "&session_state=x" },
		"a scheme of theirs": func(a string) string { return "com.example.mail:/oauth?" + after(a, "?") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newConsentProvider(t)
			g := p.grant(t, me, keystore.Memory())
			var pasting sync.WaitGroup
			err := g.Consent(t.Context(), func(page string) error {
				address := form(callbackOf(t, page))
				pasting.Go(func() {
					if err := Paste(t.Context(), page, address); err != nil {
						t.Errorf("%s: %v", address, err)
					}
				})
				return nil
			})
			pasting.Wait()
			if err != nil {
				t.Fatal(err)
			}
			wantToken(t, g, "access of "+me)
		})
	}
}

func TestPasteOfSomethingElse(t *testing.T) {
	p := newConsentProvider(t)
	g := p.grant(t, me, keystore.Memory())
	var page, address string
	var pasting sync.WaitGroup
	err := g.Consent(t.Context(), func(url string) error {
		page, address = url, callbackOf(t, url)
		for name, wrong := range map[string]string{
			"nothing":        "",
			"words":          "what do I paste?",
			"the page":       url,
			"another state":  strings.Replace(address, "state=", "state=x", 1),
			"no state":       "http://127.0.0.1:1/callback?code=x",
			"no answer":      strings.Split(address, "?")[0],
			"the code alone": "4/0AbCdEf",
		} {
			if err := Paste(t.Context(), url, wrong); !errors.Is(err, ErrNotCallback) || strings.Contains(err.Error(), "code=x") {
				t.Errorf("%s: %v", name, err)
			}
		}
		pasting.Go(func() {
			if err := Paste(t.Context(), url, address); err != nil {
				t.Error(err)
			}
		})
		return nil
	})
	pasting.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := Paste(t.Context(), page, address); err == nil || strings.Contains(err.Error(), "code=") {
		t.Errorf("when nobody waits any more: %v", err)
	}
	if err := Paste(t.Context(), "https://login.example/", address); !errors.Is(err, ErrNotCallback) {
		t.Errorf("a page without redirect: %v", err)
	}
}

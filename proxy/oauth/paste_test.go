package oauth

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore"
)

// TestPaste brings a redirect home that a browser elsewhere could not deliver,
// and nothing but that.
func TestPaste(t *testing.T) {
	p := newConsentProvider(t)
	g := p.grant(t, me, keystore.Memory())
	var page, address string
	b := newBrowser(t)
	err := g.Consent(t.Context(), func(url string) error {
		page = url
		away := &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		res, err := away.Get(url)
		if err != nil {
			return err
		}
		res.Body.Close()
		address = res.Header.Get("Location")
		for name, wrong := range map[string]string{
			"nothing":        "",
			"words":          "what do I paste?",
			"the page":       url,
			"another port":   "http://127.0.0.1:1/callback?code=x",
			"another path":   strings.Replace(address, "/callback", "/other", 1),
			"another scheme": strings.Replace(address, "http:", "https:", 1),
			"another host":   strings.Replace(address, "127.0.0.1", "evil.example", 1),
			"another state":  strings.Replace(address, "state=", "state=x", 1),
			"no answer":      strings.Split(address, "?")[0],
		} {
			if err := Paste(t.Context(), url, wrong); !errors.Is(err, ErrNotCallback) || strings.Contains(err.Error(), "code=") {
				t.Errorf("%s: %v", name, err)
			}
		}
		b.all.Go(func() {
			if err := Paste(t.Context(), url, " "+address+"\n"); err != nil {
				t.Errorf("the right one: %v", err)
			}
		})
		return nil
	})
	b.all.Wait() // t.Context ends before it would be waited for
	if err != nil {
		t.Fatal(err)
	}
	wantToken(t, g, "access of "+me)
	if err := Paste(t.Context(), page, address); err == nil || strings.Contains(err.Error(), "code=") {
		t.Errorf("when nobody waits any more: %v", err)
	}
	if err := Paste(t.Context(), "https://login.example/", address); !errors.Is(err, ErrNotCallback) {
		t.Errorf("a page without redirect: %v", err)
	}
}

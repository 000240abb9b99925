package dial

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestProxies(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://environment.test:3128")
	t.Setenv("NO_PROXY", "inside.test")
	for _, tc := range []struct{ configured, to, want string }{
		{"", "https://smtp.corp.test:587", "http://environment.test:3128"},
		{"http://own.test:8080", "https://smtp.corp.test:587", "http://own.test:8080"},
		{"http://own.test:8080", "https://mail.inside.test:587", ""},
		{"http://own.test:8080", "https://127.0.0.1:587", ""},
		{"http://own.test:8080", "https://[::1]:587", ""},
		{"http://own.test:8080", "http://localhost:9400/token", ""},
	} {
		var p Proxies
		p.Set(tc.configured)
		to, err := url.Parse(tc.to)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if via, err := p.For(to); err != nil {
			t.Error(err)
		} else if via != nil {
			got = via.String()
		}
		if got != tc.want {
			t.Errorf("with %q, %s goes through %q, want %q", tc.configured, tc.to, got, tc.want)
		}
	}
}

// TestHTTPSProxyThatCannotBeRead: httpproxy treats such a value as no proxy, and mail and tokens
// bypassed the proxy that somebody wanted.
func TestHTTPSProxyThatCannotBeRead(t *testing.T) {
	t.Setenv("NO_PROXY", "inside.test")
	for value, good := range map[string]bool{
		"": true, "proxy.corp.test:3128": true, "proxy.corp.test": true, "http://proxy.corp.test:3128/": true, "socks5://proxy.corp.test:1080": true,
		"http://user:secret%20word@proxy.corp.test:3128": true, "http://user:secret%zzword@proxy.corp.test:3128": false,
		"http://user:secret/word@proxy.corp.test:3128": false, "http://user:1234#secret@proxy.corp.test:3128": false,
		" http://proxy.corp.test:3128": false, "http://": false, "http:proxy.corp.test:3128": false, "http//proxy.corp.test:3128": false,
	} {
		t.Setenv("HTTPS_PROXY", value)
		var p Proxies
		p.Set("")
		to := func(target string) (*url.URL, error) {
			r, err := http.NewRequest(http.MethodPost, target, nil)
			if err != nil {
				t.Fatal(err)
			}
			return p.ForRequest(r)
		}
		via, err := to("https://login.corp.test/token")
		if (err == nil) != good || (via != nil) != (good && value != "") {
			t.Errorf("%q: through %v, %v", value, via, err)
		}
		for _, near := range []string{"https://mail.inside.test/token", "https://127.0.0.1:9400/token", "http://localhost:9400/token"} {
			if via, err := to(near); via != nil || err != nil {
				t.Errorf("%q: %s goes through %v, %v", value, near, via, err)
			}
		}
		if good {
			continue
		}
		_, err = TCP(t.Context(), p.For, "smtp.corp.test:587")
		if text := fmt.Sprint(err); !strings.Contains(text, "the proxy in HTTPS_PROXY") || strings.Contains(text, "secret") || strings.Contains(text, "1234") {
			t.Errorf("%q: mail answers %v", value, err)
		}
		p.Set("http://own.test:8080") // the configuration's proxy does not depend on it
		if via, err := to("https://login.corp.test/token"); err != nil || via == nil || via.Host != "own.test:8080" {
			t.Errorf("%q with http_proxy set: through %v, %v", value, via, err)
		}
	}
}

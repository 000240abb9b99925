package proxy

import (
	"bufio"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// connectProxy is an HTTP proxy with its own addresses for host names.
type connectProxy struct {
	url   string
	to    map[string]string // host:port -> address
	mu    sync.Mutex
	asked []string
}

func startConnectProxy(t *testing.T, to map[string]string) *connectProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &connectProxy{url: "http://" + l.Addr().String(), to: to}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); work.Wait() })
	return p
}

func (p *connectProxy) serve(c net.Conn) {
	defer c.Close()
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil || r.Method != http.MethodConnect {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, r.RequestURI)
	p.mu.Unlock()
	up, err := net.Dial("tcp", p.to[r.RequestURI])
	if err != nil {
		io.WriteString(c, "HTTP/1.1 403 Forbidden\r\n\r\n")
		return
	}
	io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	var down sync.WaitGroup
	down.Go(func() { io.Copy(c, up); c.Close() })
	io.Copy(up, c)
	up.Close()
	down.Wait()
}

func (p *connectProxy) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// TestHTTPProxy: tokens and mail go through the proxy, which is changed while the server runs.
// Only the proxy knows the addresses of the provider's names.
func TestHTTPProxy(t *testing.T) {
	const smtp, login = "smtp.corp.test:587", "example.com:443" // the name in httptest's certificate
	to := map[string]string{}
	first, second := startConnectProxy(t, to), startConnectProxy(t, to)
	closed := startConnectProxy(t, nil)
	r := newRig(t, rigOptions{noAccount: true, provider: providertest.Options{Hosts: []string{"smtp.corp.test", "127.0.0.1"}}, config: func(c *config.Config) {
		c.HTTPProxy = first.url
	}})
	origin, err := url.Parse(r.provider.URL)
	if err != nil {
		t.Fatal(err)
	}
	tokens := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(origin))
	defer tokens.Close()
	to[smtp], to[login] = r.provider.SMTPAddr, tokens.Listener.Addr().String()

	ca := r.server.config().Providers[0].CAFile
	both := readText(t, ca) + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tokens.Certificate().Raw}))
	if err := os.WriteFile(ca, []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(r.provider.TokenURL(), "https://example.com"+strings.TrimPrefix(r.provider.TokenURL(), r.provider.URL),
		r.provider.SMTPAddr, smtp).Replace("http_proxy = \"" + first.url + "\"\n" + readText(t, r.config))
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.add(me)

	p := r.login(me)
	p.message(me, "you@there.test", "hello\r\n")
	if got := first.names(); !slices.Contains(got, smtp) || !slices.Contains(got, login) {
		t.Errorf("the proxy was asked for %q", got)
	}
	if _, err := r.configure(func(s *api.Settings) { s.HTTPProxy = second.url }); err != nil {
		t.Fatal(err)
	}
	p.message(me, "you@there.test", "hello\r\n") // must not use the old warm connection
	if got := second.names(); !slices.Contains(got, smtp) {
		t.Errorf("the second proxy was asked for %q", got)
	}
	if n := len(r.provider.Messages()); n != 2 {
		t.Errorf("%d messages arrived", n)
	}
	if _, err := r.configure(func(s *api.Settings) { s.HTTPProxy = closed.url }); err != nil {
		t.Fatal(err)
	}
	if got := p.do("MAIL FROM:<"+me+">", "451"); !strings.Contains(got, "through the proxy "+strings.TrimPrefix(closed.url, "http://")) {
		t.Errorf("got %q", got)
	}
	if _, err := r.server.reach(t.Context(), smtp); err == nil || !strings.Contains(err.Error(), "403 Forbidden") {
		t.Errorf("doctor says %v", err)
	}
}

func TestOutbound(t *testing.T) {
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
		var o outbound
		o.set(tc.configured)
		to, err := url.Parse(tc.to)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if via, err := o.proxy(to); err != nil {
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
		var o outbound
		o.set("")
		to := func(target string) (*url.URL, error) {
			r, err := http.NewRequest(http.MethodPost, target, nil)
			if err != nil {
				t.Fatal(err)
			}
			return o.forRequest(r)
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
		_, err = upstream.Dial(t.Context(), &net.Dialer{}, o.proxy, "smtp.corp.test:587")
		if text := fmt.Sprint(err); !strings.Contains(text, "the proxy in HTTPS_PROXY") || strings.Contains(text, "secret") || strings.Contains(text, "1234") {
			t.Errorf("%q: mail answers %v", value, err)
		}
		o.set("http://own.test:8080") // the configuration's proxy does not depend on it
		if via, err := to("https://login.corp.test/token"); err != nil || via == nil || via.Host != "own.test:8080" {
			t.Errorf("%q with http_proxy set: through %v, %v", value, via, err)
		}
	}
}

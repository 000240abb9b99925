package proxy

import (
	"bufio"
	"encoding/pem"
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

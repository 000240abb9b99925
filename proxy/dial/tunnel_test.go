package dial

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// httpProxy answers each connection with what answer gives for its request. After a 200 and nothing more
// it connects to to.
type httpProxy struct {
	ln     net.Listener
	answer func(r *http.Request) string
	to     string
	work   sync.WaitGroup
}

func startProxy(t *testing.T, p *httpProxy) *url.URL {
	t.Helper()
	var err error
	if p.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.work.Go(func() {
		for {
			c, err := p.ln.Accept()
			if err != nil {
				return
			}
			p.work.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() { p.ln.Close(); p.work.Wait() })
	return &url.URL{Scheme: "http", Host: p.ln.Addr().String()}
}

func (p *httpProxy) serve(c net.Conn) {
	defer c.Close()
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	if text := p.answer(r); text != "" {
		io.WriteString(c, text)
		if !strings.HasSuffix(text, "\r\n\r\n") || !strings.HasPrefix(text, "HTTP/1.1 200") {
			return
		}
	} else {
		io.Copy(io.Discard, c) // silent until the client leaves
		return
	}
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer up.Close()
	var other sync.WaitGroup
	other.Go(func() { io.Copy(c, up); c.Close() })
	io.Copy(up, c)
	up.Close()
	other.Wait()
}

// TestThroughAnHTTPProxy: the proxy is asked for the server's name, and TLS is with the server of that
// name.
func TestThroughAnHTTPProxy(t *testing.T) {
	server, roots := certificate(t, "smtp.corp.test")
	asked := make(chan string, 9)
	u := startProxy(t, &httpProxy{to: startTLSServer(t, server), answer: func(r *http.Request) string {
		asked <- r.Method + " " + r.RequestURI + " " + r.Host + " " + r.Header.Get("Proxy-Authorization")
		return "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"
	}})
	u.User = url.UserPassword("user", "pass word")
	s := &Server{Addr: "smtp.corp.test:465", TLS: Implicit, Roots: roots, Proxy: func(to *url.URL) (*url.URL, error) {
		if to.String() != "https://smtp.corp.test:465" {
			return nil, errors.New("asked about " + to.String())
		}
		return u, nil
	}}
	mustGreet(t, s, nil)
	if want := "CONNECT smtp.corp.test:465 smtp.corp.test:465 Basic " + b64("user:pass word"); len(asked) != 1 {
		t.Errorf("asked %d times, want once", len(asked))
	} else if got := <-asked; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestProxiesThatDoNotConnect(t *testing.T) {
	for name, tc := range map[string]struct{ answer, want string }{
		"forbidden": {"HTTP/1.1 403 \x1b[2Jgo away\r\n\r\n", "it answered 403 Forbidden"},
		"password":  {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n", "it answered 407 Proxy Authentication Required"},
		"no proxy":  {"220 smtp.corp.test ESMTP\r\n\r\n", "is not HTTP"},
		"endless":   {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxTunnelAnswer), "too long"},
		"hangs up":  {"HTTP/1.1 200 OK\r\n", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			u := startProxy(t, &httpProxy{answer: func(*http.Request) string { return tc.answer }})
			u.User = url.UserPassword("user", "secret")
			_, err := TCP(t.Context(), func(*url.URL) (*url.URL, error) { return u, nil }, "smtp.corp.test:587")
			var via *ProxyError
			if !errors.As(err, &via) || via.Proxy != u.Host || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

// A proxy that says nothing is given up when the context ends.
func TestSilentProxy(t *testing.T) {
	asked := make(chan struct{})
	u := startProxy(t, &httpProxy{answer: func(*http.Request) string { close(asked); return "" }})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err := TCP(ctx, func(*url.URL) (*url.URL, error) { return u, nil }, "smtp.corp.test:587")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
}

// Not a byte after the proxy's answer is lost: the server may greet in the same packet.
func TestGreetingBehindTheProxysAnswer(t *testing.T) {
	u := startProxy(t, &httpProxy{answer: func(*http.Request) string { return "HTTP/1.1 200 OK\r\n\r\n220 hello\r\n" }})
	c, err := TCP(t.Context(), func(*url.URL) (*url.URL, error) { return u, nil }, "smtp.corp.test:587")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := io.ReadAll(c); string(got) != "220 hello\r\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestProxiesOfOtherKinds(t *testing.T) {
	socks := &url.URL{Scheme: "socks5", Host: "127.0.0.1:1", User: url.UserPassword("u", "secret")}
	unknown := errors.New("nobody knows the proxy")
	for _, tc := range []struct {
		via  *url.URL
		err  error
		want string
	}{
		{socks, nil, `of the kind "socks5"`},
		{nil, unknown, unknown.Error()}, // and no connection without it
	} {
		_, err := TCP(t.Context(), func(*url.URL) (*url.URL, error) { return tc.via, tc.err }, "127.0.0.1:1")
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

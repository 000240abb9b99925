package proxy

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/breaker"
)

// A balancer's check asked without a Host, or by a service's name, and marked every machine as down.
func TestHealthAnswersBalancers(t *testing.T) {
	r := newRig(t, rigOptions{})
	addr := r.server.Snapshot().Metrics
	ask := func(request string) (int, string) {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, strings.ReplaceAll(request, "\n", "\r\n")+"\r\n\r\n")
		method, _, _ := strings.Cut(request, " ")
		resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	eventually(t, "the accounts are read", func() bool { return r.server.loaded.Load() })
	for request, want := range map[string]int{
		"OPTIONS / HTTP/1.0":                                  200, // HAProxy's `option httpchk`
		"GET /readyz HTTP/1.0":                                200,
		"HEAD /readyz HTTP/1.0":                               200,
		"OPTIONS /readyz HTTP/1.1\nHost: waxseal.mail.svc":    200,
		"GET /healthz HTTP/1.1\nHost: waxseal.mail.svc:9587":  200,
		"GET /healthz HTTP/1.1\nHost: evil.example":           200, // learns nothing
		"POST /readyz HTTP/1.0":                               405,
		"GET / HTTP/1.0":                                      421,
		"GET /metrics HTTP/1.0":                               421,
		"OPTIONS /metrics HTTP/1.0":                           421,
		"GET /metrics HTTP/1.1\nHost: evil.example":           421,
		"GET /readyz/../metrics HTTP/1.1\nHost: evil.example": 421,
		"GET //readyz HTTP/1.1\nHost: evil.example":           421,
	} {
		if code, body := ask(request); code != want || code == 200 && strings.TrimSpace(body) != map[bool]string{true: "", false: "ok"}[strings.HasPrefix(request, "HEAD")] {
			t.Errorf("%q: %d %q, want %d", request, code, body, want)
		}
	}
	r.server.SetPaused(true)
	for _, request := range []string{"OPTIONS / HTTP/1.0", "HEAD /readyz HTTP/1.0", "GET /readyz HTTP/1.0"} {
		if code, _ := ask(request); code != 503 {
			t.Errorf("paused, %q: %d", request, code)
		}
	}
	if code, _ := ask("GET /healthz HTTP/1.0"); code != 200 {
		t.Errorf("paused, but alive: %d", code)
	}
}

// The path of a token endpoint may contain the ID of a tenant, which was in the metrics.
func TestMetricsNameNoTenant(t *testing.T) {
	got := breakersByHost([]breaker.Status{
		{Name: "token login.microsoftonline.com/contoso.example/oauth2/v2.0/token", State: breaker.Open, Transitions: 3},
		{Name: "token login.microsoftonline.com/common/oauth2/v2.0/token", State: breaker.Closed, Transitions: 2},
		{Name: "token oauth2.googleapis.com/token", State: breaker.HalfOpen},
	}, []breaker.Status{{Name: "smtp smtp.office365.com:587", Transitions: 1}})
	want := map[string]breaker.Status{
		"token login.microsoftonline.com": {State: breaker.Open, Transitions: 5},
		"token oauth2.googleapis.com":     {State: breaker.HalfOpen},
		"smtp smtp.office365.com:587":     {Transitions: 1},
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

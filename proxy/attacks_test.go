package proxy

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestCommandInjection: CR, LF and NUL in addresses, parameters and AUTH, raw or encoded, never become
// a command to the provider, another reply to the program or another line of the log.
func TestCommandInjection(t *testing.T) {
	var mu sync.Mutex
	var heard []string // what the provider was told
	r := newRig(t, rigOptions{})
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, e.Line)
		return providertest.Action{}
	}})
	b64 := base64.StdEncoding.EncodeToString
	for _, line := range []string{
		"MAIL FROM:<me@corp.test\rRCPT TO:<victim@there.test>>",
		"MAIL FROM:<me@corp.test> SIZE=1\rRCPT TO:<victim@there.test>",
		"MAIL FROM:<me@corp.test> BODY=8BITMIME\x00",
		"MAIL FROM:<me@corp.test> AUTH=<x+0D+0ARCPT+20TO:<victim@there.test>>",
		"MAIL FROM:<me@corp.test> AUTH=x+0D+0ARCPT+20TO:+3Cvictim@there.test+3E",
		"MAIL FROM:<me@corp.test> ENVID=x+0D+0ARCPT+20TO:+3Cvictim@there.test+3E",
		"MAIL FROM:<\"me\r\"@corp.test>", "MAIL FROM:<\"a\x00b\"@corp.test>", "MAIL FROM:<me@corp.test\x00>",
		"RCPT TO:<victim@there.test>\rDATA", "RCPT TO:<a@b.test> ORCPT=rfc822;a+0D+0ADATA", "RCPT TO:<a@b.test\x00>",
		"RCPT TO:<\"a\rb\"@b.test>", "RCPT TO:<a@b.test> NOTIFY=NEVER\rDATA",
		"AUTH PLAIN " + b64([]byte("\x00me@corp.test\r\nMAIL FROM:<a@b>\x00x")),
		"AUTH PLAIN " + b64([]byte("\x00me@corp.test\x00x\x00"+password)),
		"AUTH PLAIN " + b64([]byte(me+"\r\n\x00"+me+"\x00"+password)), "AUTH PLAIN \x00\r", "AUTH PL\x00AIN",
		"EHLO x\rMAIL FROM:<a@b>", "VRFY a\rb", "\x00", "NO\rOP", "HELP \r",
	} {
		t.Run(fmt.Sprintf("%q", line), func(t *testing.T) {
			p := r.dial()
			p.t = t
			p.do("EHLO x", "250")
			if !strings.HasPrefix(line, "AUTH") {
				p.do("AUTH PLAIN "+plainResponse(me, password), "235")
			}
			if strings.HasPrefix(line, "RCPT") {
				p.do("MAIL FROM:<"+me+">", "250")
			}
			p.send(line + "\r\n")
			got := p.reply()
			if got == "" || strings.ContainsAny(got, "\r\x00") {
				t.Errorf("answered %q", got)
			}
			if strings.HasPrefix(got, "334") {
				p.do("*", "501")
			}
			p.do("RSET", "250") // in step: it was one command
			p.do("NOOP", "250 2.0.0")
		})
	}
	r.login(me).message(me, "you@there.test", "hello\r\n")
	mu.Lock()
	defer mu.Unlock()
	for _, line := range heard {
		if strings.ContainsAny(line, "\r\n\x00") || strings.HasPrefix(line, "RCPT TO:<victim") {
			t.Errorf("the provider heard %q", line)
		}
	}
	if m := r.provider.Messages(); len(m) != 1 || len(m[0].Rcpts) != 1 {
		t.Errorf("%d messages arrived", len(m))
	}
	for line := range strings.Lines(r.log.String()) {
		if !strings.HasPrefix(line, "time=") {
			t.Errorf("a line of the log of its own: %q", line)
		}
	}
}

// TestOversize: what is too long is refused, costs hardly any memory and hurts no other connection.
func TestOversize(t *testing.T) {
	r := newRig(t, rigOptions{})
	long := strings.Repeat("a", 2<<20)
	for name, tc := range map[string]struct {
		login bool
		say   []string
	}{
		"command":          {false, []string{long}},
		"without its end":  {false, []string{"NOOP " + long}},
		"sender":           {true, []string{"MAIL FROM:<" + long + "@corp.test>\r\n"}},
		"recipient":        {true, []string{"MAIL FROM:<" + me + ">\r\n", "RCPT TO:<" + long + "@there.test>\r\n"}},
		"parameter":        {true, []string{"MAIL FROM:<" + me + "> ENVID=" + long + "\r\n"}},
		"initial response": {false, []string{"EHLO x\r\n", "AUTH PLAIN " + long + "\r\n"}},
		"response":         {false, []string{"EHLO x\r\n", "AUTH PLAIN\r\n", long + "\r\n"}},
		"LOGIN user":       {false, []string{"EHLO x\r\n", "AUTH LOGIN\r\n", long + "\r\n"}},
		"chunk size":       {true, []string{"MAIL FROM:<" + me + ">\r\n", "BDAT 5" + strings.Repeat(" ", 5000) + "\r\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.dial()
			p.t = t
			if tc.login {
				p.auth(me, password)
			}
			for i, say := range tc.say {
				if i < len(tc.say)-1 {
					p.send(say)
					p.reply()
					continue
				}
				io.WriteString(p.conn, say) // fails when it has been refused already
			}
			// The answer may be lost to a reset, since the server does not read to the end.
			if got := p.reply(); got != "" && !strings.HasPrefix(got, "5") {
				t.Errorf("answered %q", got)
			}
		})
	}
	eventually(t, "all are gone", func() bool { return r.server.Snapshot().Connections == 0 })
	if got := r.login(me).message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250 2.0.0 OK") {
		t.Errorf("afterwards: %q", got)
	}
	if n := len(r.provider.Messages()); n != 1 {
		t.Errorf("%d messages arrived", n)
	}
}

// TestThousandsOfConnections: those within the limit are served, all others are told or closed, and
// nothing of them is left.
func TestThousandsOfConnections(t *testing.T) {
	const all, limit = 3000, 500
	r := newRig(t, rigOptions{config: func(c *config.Config) { c.MaxConnections = limit }})
	first := r.login(me)
	conns := make([]net.Conn, 0, all)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range all {
		c, err := net.Dial("tcp", r.plain)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	eventually(t, "the rest is refused", func() bool { return r.server.Snapshot().Refused >= all-limit })
	if s := r.server.Snapshot(); s.Connections > limit+mailbox.MaxRejects {
		t.Errorf("%d connections at a time", s.Connections)
	}
	if n := strings.Count(r.log.String(), "too many connections"); n != 1 {
		t.Errorf("the log says %d times within a minute that they are refused", n)
	}
	if got := first.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250 2.0.0 OK") {
		t.Errorf("one who is in: %q", got)
	}
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "they are gone", func() bool { return r.server.Snapshot().Connections == 1 })
	r.login(me)
}

// TestPipelinedBeforeItsTime: commands sent together with one that must be answered first do not run
// as if it had been: a message before AUTH has succeeded, and clear text after STARTTLS.
func TestPipelinedBeforeItsTime(t *testing.T) {
	r := newRig(t, rigOptions{})
	tx := "MAIL FROM:<" + me + ">\r\nRCPT TO:<a@b.test>\r\nBDAT 5 LAST\r\nhello"
	p := r.dial()
	p.send("EHLO x\r\nAUTH PLAIN " + plainResponse(me, "wrong") + "\r\n" + tx + "NOOP\r\n")
	for _, want := range []string{"250-", "535", "530 5.7.0", "503", "503", "250 2.0.0"} {
		if got := p.reply(); !strings.HasPrefix(got, want) {
			t.Errorf("after a wrong password: %q, want %s", got, want)
		}
	}
	p = r.dial()
	p.send("EHLO x\r\nSTARTTLS\r\nAUTH PLAIN " + plainResponse(me, password) + "\r\n" + tx)
	p.expect("250")
	p.expect("220")
	p.startTLS()
	p.do("NOOP", "250 2.0.0") // not the answer to anything before
	p.do("MAIL FROM:<"+me+">", "5")
	if n := len(r.provider.Messages()); n != 0 {
		t.Errorf("%d messages arrived", n)
	}
}

// TestPagesAndMetrics: no web page can read the metrics, neither under a name of its own (DNS
// rebinding) nor across sites.
func TestPagesAndMetrics(t *testing.T) {
	r := newRig(t, rigOptions{idle: true})
	open := newRig(t, rigOptions{idle: true, config: func(c *config.Config) { c.Metrics, c.AllowRemote = ":0", true }})
	for host, want := range map[string]int{"waxseal:9587": 200, "": 421} { // in a container
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://x/metrics", nil)
		req.Host = host
		open.server.Handler().ServeHTTP(w, req)
		if w.Code != want {
			t.Errorf("open to the network, asked as %q: %d, want %d", host, w.Code, want)
		}
		if series := `waxseal_token_refreshes_total{provider="corp",result="error"} 0`; want == 200 && !strings.Contains(w.Body.String(), series) {
			t.Errorf("the metrics do not begin with %s", series)
		}
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/"} {
		health := strings.HasSuffix(path, "z") // tells nothing, so any name will do
		for _, tc := range []struct {
			host, site string
			status     []int
		}{
			{"127.0.0.1:9587", "", []int{200, 503}}, {"localhost:9587", "", []int{200, 503}}, {"[::1]:9587", "none", []int{200, 503}},
			{"evil.example:9587", "", []int{421}}, {"127.0.0.1.evil.example", "", []int{421}}, {"", "", []int{421}},
			{"localhost:9587", "cross-site", []int{403}}, {"127.0.0.1:9587", "same-site", []int{403}},
		} {
			req := httptest.NewRequest(http.MethodGet, "http://x"+path, nil)
			req.Host = tc.host
			if tc.site != "" {
				req.Header.Set("Sec-Fetch-Site", tc.site)
			}
			w := httptest.NewRecorder()
			r.server.Handler().ServeHTTP(w, req)
			switch {
			case health && tc.site == "":
				tc.status = []int{200, 503}
			case path == "/" && tc.status[0] == 200:
				tc.status = []int{404}
			}
			if !slices.Contains(tc.status, w.Code) {
				t.Errorf("%s as %q from %q: %d, want %v", path, tc.host, tc.site, w.Code, tc.status)
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s lets other sites read it", path)
			}
		}
	}
}

// TestPanicInAMessage: a session that panics in the middle of a message takes down its own connection
// and no other; the gauges return to 0 (rig.stop checks) and the connection to the provider is free
// again.
func TestPanicInAMessage(t *testing.T) {
	for _, where := range []string{"RCPT", "DATA", "BDAT"} {
		t.Run(where, func(t *testing.T) {
			r := newRig(t, rigOptions{
				provider: providertest.Options{},
				config:   func(c *config.Config) { c.Providers[0].MaxConnections = 2 },
				prepare: func(s *Server) {
					s.hall.Log = slog.New(breakingLog{s.hall.Log.Handler()})
					if where != "RCPT" {
						s.hall.Stats.Seconds = &breakingHistogram{Histogram: s.hall.Stats.Seconds, where: where}
					}
				},
			})
			other := r.login(me)
			other.do("MAIL FROM:<"+me+">", "250")
			other.do("RCPT TO:<fine@there.test>", "250")
			p := r.login(me)
			p.do("MAIL FROM:<"+me+">", "250")
			if where == "RCPT" {
				p.send("RCPT TO:<break there.test>\r\n")
			} else {
				p.do("RCPT TO:<break@there.test>", "250")
			}
			switch where {
			case "DATA":
				p.do("DATA", "354")
				p.send("a message\r\n.\r\n")
			case "BDAT":
				p.send("BDAT 5 LAST\r\nhello")
			}
			p.expect("421 4.3.0")
			if got := p.reply(); got != "" {
				t.Errorf("the connection goes on with %q", got)
			}
			eventually(t, "one message, one connection", func() bool {
				s := r.server.Snapshot()
				return s.Connections == 1 && s.Messages == 1 && s.Upstream.Busy == 1
			})
			other.do("DATA", "354")
			other.send("hello\r\n.\r\n")
			other.expect("250 2.0.0 OK")
			want := 1
			if where != "RCPT" {
				want = 2 // it breaks after the provider's answer
			}
			if n := len(r.provider.Messages()); n != want {
				t.Errorf("%d messages arrived", n)
			}
			// go-smtp writes it when the connection is closed.
			eventually(t, "it is in the log, with its session", func() bool {
				return heard(sessionsSaid(t, r.log.String())["2"], `"panic in a session; it ends, the others continue"`, "broken at "+where, "stack=")
			})
		})
	}
}

// breakingLog panics where a recipient's refusal is logged.
type breakingLog struct{ slog.Handler }

func (h breakingLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return breakingLog{h.Handler.WithAttrs(attrs)}
}

func (h breakingLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "recipient refused" {
		panic("broken at RCPT")
	}
	return h.Handler.Handle(ctx, r)
}

// breakingHistogram panics at the first message's answer.
type breakingHistogram struct {
	prometheus.Histogram
	where string
	once  sync.Once
}

func (h *breakingHistogram) Observe(seconds float64) {
	h.once.Do(func() { panic("broken at " + h.where) })
	h.Histogram.Observe(seconds)
}

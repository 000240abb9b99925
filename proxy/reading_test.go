package proxy

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

// TestReadsWhatItSends is one message's whole journey: out by SMTP, back by IMAP and POP, on each kind of port.
func TestReadsWhatItSends(t *testing.T) {
	r := newRig(t, rigOptions{reads: both})
	const body = "Subject: there and back\r\n\r\n.dot\r\nhello\r\n"
	if got := r.login(me).message(me, me, strings.Replace(body, "\r\n.", "\r\n..", 1)); !strings.HasPrefix(got, "250") {
		t.Fatal(got)
	}
	sent := r.provider.Messages()[0]
	for _, implicit := range []bool{false, true} {
		x := r.readRaw(api.IMAP, implicit)
		x.line()
		x.login(me, password)
		x.do("SELECT INBOX")
		answer, lines := x.ask("FETCH 1 BODY.PEEK[]")
		if len(lines) < 2 {
			t.Fatalf("FETCH: %q, %q", lines, answer)
		}
		if got := strings.Join(lines[1:len(lines)-1], "\r\n") + "\r\n"; got != string(sent.Body) {
			t.Errorf("fetched %q of %q", got, sent.Body)
		}
		if got := x.do("LOGOUT"); !strings.HasPrefix(got, "OK") {
			t.Errorf("LOGOUT: %q", got)
		}
		x.ended()

		x = r.readRaw(api.POP, implicit)
		x.line()
		x.login(me, password)
		if got := x.do("RETR 1"); !x.ok(got) {
			t.Error(got)
		}
		if got := strings.Join(x.lines(), "\r\n") + "\r\n"; strings.Replace(got, "\r\n..", "\r\n.", 1) != string(sent.Body) {
			t.Errorf("retrieved %q of %q", got, sent.Body)
		}
		x.do("QUIT")
		x.ended()
	}
	bothWays(t, func(t *testing.T, p api.Protocol) {
		eventually(t, "two sessions are listed", func() bool { return r.gauges(p).Ended[api.ByProgram] == 2 && r.gauges(p).Sessions == 0 })
		if g := r.gauges(p); g.Logins != 2 || g.Down < 2*int64(len(body)) || g.Up == 0 || g.Spares != 0 && p == api.POP {
			t.Errorf("%+v", g)
		}
		st, account := r.readStatus(p)
		if st.State != api.Ready || st.Logins != 2 || st.Down != r.gauges(p).Down || st.LastLogin.IsZero() || account.State != api.Ready {
			t.Errorf("%+v, account %s", st, account.State)
		}
	})
	recorded := httptest.NewRecorder()
	r.server.Handler().ServeHTTP(recorded, httptest.NewRequest("GET", "http://127.0.0.1/metrics", nil))
	g := r.gauges(api.IMAP)
	for _, want := range []string{
		`waxseal_read_connections_active{protocol="imap"} 0`, `waxseal_read_sessions_active{protocol="pop"} 0`, `waxseal_read_logins_total{protocol="imap"} 2`,
		`waxseal_read_sessions_ended_total{by="program",protocol="pop"} 2`, `waxseal_smtp_connections_active 1`,
		fmt.Sprintf(`waxseal_read_bytes_total{direction="down",protocol="imap"} %d`, g.Down),
	} {
		if !strings.Contains(recorded.Body.String(), want+"\n") {
			t.Errorf("no %s in the metrics", want)
		}
	}
	for _, a := range r.events(api.Reading) {
		if a.Account != me || a.Ended != api.ByProgram || a.Down == 0 || a.Up == 0 || a.Failed() {
			t.Errorf("%+v", a)
		}
	}
}

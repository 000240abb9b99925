package proxy

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// sessionsSaid are the messages of a log's lines by session, without those of the server and of an
// account, whose sessions share a token.
func sessionsSaid(t *testing.T, log string) map[string][]string {
	t.Helper()
	said := map[string][]string{}
	for line := range strings.Lines(log) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "msg=")
		if strings.HasPrefix(rest, "serving ") || strings.HasPrefix(rest, `"account added"`) || strings.HasPrefix(rest, `"token refreshed"`) {
			continue
		}
		_, id, found := strings.Cut(rest, " session=")
		if !found || strings.Count(rest, " session=") != 1 {
			t.Errorf("not with one session: %s", line)
			continue
		}
		id, _, _ = strings.Cut(id, " ")
		said[id] = append(said[id], rest)
	}
	return said
}

// heard looks for a line that begins with msg and holds all of the other texts.
func heard(lines []string, msg string, holding ...string) bool {
	for _, l := range lines {
		all := strings.HasPrefix(l, msg+" ")
		for _, h := range holding {
			all = all && strings.Contains(l, h)
		}
		if all {
			return true
		}
	}
	return false
}

// TestEachLineHasItsSession: every log line about a message, from its connection to its end, names the
// session.
func TestEachLineHasItsSession(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.dial()
	p.do("EHLO x", "250")
	p.do("AUTH PLAIN "+plainResponse(me, "wrong"), "535")
	p.do("AUTH PLAIN "+plainResponse(me, password), "235")
	p.message(me, "you@there.test", "hello\r\n")
	p.do("MAIL FROM:<"+me+">", "250")
	p.do("RCPT TO:<you@there.test>", "250")
	p.do("RSET", "250")
	p.do("QUIT", "221")
	eventually(t, "it is gone", func() bool { return r.server.Snapshot().Connections == 0 })
	lines := sessionsSaid(t, r.log.String())["1"]
	for _, msg := range []string{"connected", `"login refused"`, "authenticated", "message", "disconnected"} {
		if !heard(lines, msg) {
			t.Errorf("the log does not say %s: %q", msg, lines)
		}
	}
	if !heard(lines, "message", "result=aborted") {
		t.Errorf("the log does not say that one was taken back: %q", lines)
	}
}

// TestEveryEndIsCountedAndLogged: a message refused before its body, by the provider, by Waxseal or for
// lack of a connection, is counted, and logged under its session.
func TestEveryEndIsCountedAndLogged(t *testing.T) {
	mail := providertest.Action{Code: 550, Text: "5.7.60 not as that sender"}
	rcpt := providertest.Action{Code: 450, Text: "4.2.1 mailbox asleep"}
	for _, tt := range []struct {
		name   string
		fault  map[string]providertest.Action // by step
		paused bool
		rcpts  []string
		result string
		msg    string
		holds  []string
	}{
		{"MAIL refused", map[string]providertest.Action{providertest.StepMail: mail}, false, []string{"a@b.test"}, "refused", "message", []string{"5.7.60 not as that sender"}},
		{"every RCPT refused", map[string]providertest.Action{providertest.StepRcpt: rcpt}, false, []string{"a@b.test", "c@b.test"}, "deferred", "message", []string{"4.2.1 mailbox asleep"}},
		{"connection lost at MAIL", map[string]providertest.Action{providertest.StepMail: {Drop: true}}, false, []string{"a@b.test"}, "failed", `"message failed"`, []string{"err=\"RCPT: "}},
		{"paused", nil, true, nil, "deferred", "message", []string{"Waxseal is paused"}},
		{"taken back", nil, false, []string{"a@b.test"}, "aborted", "message", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action { return tt.fault[e.Step] }})
			p := r.login(me)
			r.server.SetPaused(tt.paused)
			p.do("MAIL FROM:<"+me+">", map[bool]string{false: "250", true: "451"}[tt.paused])
			for _, to := range tt.rcpts {
				p.do("RCPT TO:<"+to+">", "")
			}
			p.do("RSET", "250")
			if s := r.server.Snapshot(); s.Totals[api.Result(tt.result)] != 1 {
				t.Errorf("counted %v, want one %s", s.Totals, tt.result)
			}
			p.do("QUIT", "221")
			eventually(t, "it is gone", func() bool { return r.server.Snapshot().Connections == 0 })
			log := strings.ReplaceAll(r.log.String(), "msg=paused", "msg=serving ")
			if lines := sessionsSaid(t, log)["1"]; !heard(lines, tt.msg, append(tt.holds, "result="+tt.result, "account="+me)...) {
				t.Errorf("the log says %q", lines)
			}
		})
	}
}

// TestDeeperLinesHaveTheirSession: what the connection pool and go-smtp log during a session names it.
func TestDeeperLinesHaveTheirSession(t *testing.T) {
	r := newRig(t, rigOptions{})
	var dead atomic.Bool
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action {
		return providertest.Action{Drop: e.Step == providertest.StepMail && !dead.Swap(true)}
	}})
	p := r.login(me)
	p.message(me, "you@there.test", "hello\r\n") // on a warm connection that dies
	p.conn.(*net.TCPConn).SetLinger(0)
	p.conn.Close()
	eventually(t, "it is gone", func() bool { return r.server.Snapshot().Connections == 0 })
	lines := sessionsSaid(t, r.log.String())["1"]
	if !heard(lines, `"replacing a warm connection that was dead"`) || !heard(lines, `"the connection broke"`, "client=127.0.0.1:") {
		t.Errorf("the log says %q", lines)
	}
}

// TestGoodbyeIsLogged: the log says which client was disconnected, and what it was told.
func TestGoodbyeIsLogged(t *testing.T) {
	r := newRig(t, rigOptions{config: func(c *config.Config) { c.IdleTimeout = config.Duration(100 * time.Millisecond) }})
	if got := r.dial().reply(); !strings.HasPrefix(got, "421 4.4.2 No login within") {
		t.Fatalf("got %q", got)
	}
	if lines := sessionsSaid(t, r.log.String())["1"]; !heard(lines, "closing", "client=127.0.0.1:", "No login within") {
		t.Errorf("the log says %q", lines)
	}
}

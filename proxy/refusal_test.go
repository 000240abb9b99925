package proxy

import (
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// refusesBodies is a provider without CHUNKING that answers 552 to DATA, which it is sent with the
// first part of a body.
func refusesBodies(t *testing.T) *rig {
	r := newRig(t, rigOptions{provider: providertest.Options{NoChunking: true}})
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) (a providertest.Action) {
		if e.Step == providertest.StepData {
			a.Code, a.Text = 552, "5.3.4 Your message exceeded\n5.3.4 our size limits"
		}
		return a
	}})
	return r
}

// part is more of a body than upstream reads before it says DATA, without the body's end.
var part = strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 1024)

// A body that was refused half-way left its client in silence until idle_timeout, with the connection
// to the provider leased, while the log said what it had never been told.
func TestRefusedHalfWay(t *testing.T) {
	for _, by := range []string{"DATA", "BDAT"} {
		t.Run(by, func(t *testing.T) {
			r := refusesBodies(t)
			p := r.login(me)
			p.do("MAIL FROM:<"+me+">", "250")
			p.do("RCPT TO:<you@there.test>", "250")
			if by == "DATA" {
				p.do("DATA", "354")
				p.send(part)
			} else {
				p.send("BDAT 1000000 LAST\r\n" + part)
			}
			// The client waits, and is told in the middle of the body.
			if got := p.expect("552"); got != "552-5.3.4 Your message exceeded\n552 5.3.4 our size limits" {
				t.Errorf("it was told %q", got)
			}
			if s := r.server.Snapshot(); s.Upstream.Busy != 0 {
				t.Errorf("%d connections to the provider are in use", s.Upstream.Busy)
			}
			// It goes on all the same, and finds that answer to be the one to its message.
			if by == "DATA" {
				p.send(part + ".\r\n")
			} else {
				p.send(strings.Repeat("x", 1_000_000-len(part)))
			}
			p.do("NOOP", "250 2.0.0")
			a := r.server.Activity(0)
			if len(a) != 1 || a[0].Result != "refused" || a[0].Reply != "552 5.3.4 Your message exceeded 5.3.4 our size limits" {
				t.Errorf("the list of messages has %+v", a)
			}
		})
	}
}

// TestRefusedBodyIsReadToItsEnd where the client comes to it by itself: the answer is in its place.
func TestRefusedBodyIsReadToItsEnd(t *testing.T) {
	r := refusesBodies(t)
	p := r.login(me)
	for range 2 {
		if got := p.message(me, "you@there.test", strings.Repeat(part, 20)); !strings.HasPrefix(got, "552-5.3.4") {
			t.Errorf("got %q", got)
		}
	}
	p.do("NOOP", "250 2.0.0")
}

// The log stated 451 for a client that had been told 421, and for one that had left.
func TestWhatWasToldIsRecorded(t *testing.T) {
	for name, tc := range map[string]struct {
		leave func(p *program)
		told  string
	}{
		"silence":     {func(p *program) { p.expect("421 4.4.2 Nothing received for 1s; closing") }, "421 4.4.2 Nothing received for 1s; closing"},
		"half closed": {func(p *program) { p.conn.(*net.TCPConn).CloseWrite(); p.expect("451 4.4.2") }, "451 4.4.2 The message was cut off; nothing was sent."},
		"reset":       {func(p *program) { p.conn.(*net.TCPConn).SetLinger(0); p.conn.Close() }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "reset" && runtime.GOOS == "windows" {
				t.Skip("under wine a reset may arrive as an end, after which a reply can still be sent")
			}
			r := newRig(t, rigOptions{config: func(c *config.Config) {
				if name == "silence" { // the others must not meet the end of it on a busy machine
					c.IdleTimeout = config.Duration(time.Second)
				}
			}})
			p := r.login(me)
			p.do("MAIL FROM:<"+me+">", "250")
			p.do("RCPT TO:<you@there.test>", "250")
			p.do("DATA", "354")
			p.send("half a mess")
			tc.leave(p)
			eventually(t, "it is recorded", func() bool { return len(r.server.Activity(0)) == 1 })
			if a := r.server.Activity(0)[0]; a.Result != "aborted" || a.Reply != tc.told {
				t.Errorf("recorded as %+v, want %q", a, tc.told)
			}
			if log := r.log.String(); name != "half closed" && strings.Contains(log, "451 4.4.2") {
				t.Errorf("the log states a reply that was never sent: %s", log)
			}
		})
	}
}

// Devices whose lines end in LF or CR CR LF waited until idle_timeout, and heard that nothing was heard.
func TestWrongLineEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		end, body string
		after     time.Duration
	}{
		"LF":              {"\n", "Subject: alarm\n\nmotion\n.\n", 0},
		"LF in the body":  {"\r\n", "Subject: alarm\n\nmotion\n.\n", 0},
		"LF before .CRLF": {"\r\n", "Subject: alarm\n\nmotion\n.\r\n", 0},
		"CR":              {"\r\n", "Subject: alarm\r\rmotion\r.\r", 0},
		"CR CR LF":        {"\r\r\n", "Subject: alarm\r\r\n\r\r\nmotion\r\r\n.\r\r\n", 0},
		"CR before .CRLF": {"\r\n", "Subject: alarm\r\rmotion\r.\r\n", 0},
		"LF before .CR":   {"\r\n", "Subject: alarm\n\nmotion\n.\r", 0},
		"LF of the dot":   {"\r\n", "Subject: alarm\r\n\r\nmotion\r\n.\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rigOptions{config: func(c *config.Config) { c.IdleTimeout = config.Duration(time.Second) }})
			p := r.dial()
			for _, line := range []string{"EHLO cam", "AUTH PLAIN " + plainResponse(me, password), "MAIL FROM:<" + me + ">", "RCPT TO:<you@there.test>", "DATA"} {
				p.send(line + tc.end)
				if got := p.reply(); got == "" || got[0] != '2' && got[0] != '3' {
					t.Fatalf("%s: %q", line, got)
				}
			}
			p.send(tc.body)
			if got := p.expect("554 5.6.0"); !strings.Contains(got, "line ends must be CRLF") {
				t.Errorf("it was told %q", got)
			}
			p.conn.Close()
			eventually(t, "it is recorded", func() bool { return len(r.server.Activity(0)) == 1 })
			if a := r.server.Activity(0)[0]; a.Result != "refused" || !strings.HasPrefix(a.Reply, "554 5.6.0") || len(r.provider.Messages()) != 0 {
				t.Errorf("recorded as %+v", a)
			}
		})
	}
}

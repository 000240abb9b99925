package proxy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// An account whose sending was switched off went on sending on the connections that it had, and by test messages.
func TestAccountThatNoLongerSends(t *testing.T) {
	r := newRig(t, rigOptions{reads: both})
	p := r.login(me)
	if err := r.server.SetProtocols(t.Context(), me, both); err != nil {
		t.Fatal(err)
	}
	p.do("MAIL FROM:<"+me+">", "5")
	q := r.dial()
	q.do("EHLO x", "250")
	if got := q.do("AUTH PLAIN "+plainResponse(me, password), "535 5.7.8 "); !strings.Contains(got, "set up for SMTP") {
		t.Errorf("told %q", got)
	}
	var problem *api.Problem
	if err := r.server.SendTest(t.Context(), me, "you@there.test", func(api.Check) {}); !errors.As(err, &problem) || !strings.Contains(err.Error(), "set up for SMTP") {
		t.Errorf("a test message: %v", err)
	}
	if n := len(r.provider.Messages()); n != 0 || r.provider.Counts().Connections > 1 {
		t.Errorf("%d messages, %d connections", n, r.provider.Counts().Connections)
	}
	bothWays(t, func(t *testing.T, p api.Protocol) { r.reading(p, me) })
}

// TestIdleReadersMakeRoom: who has not logged in makes room, whatever it speaks.
func TestIdleReadersMakeRoom(t *testing.T) {
	bothWays(t, func(t *testing.T, p api.Protocol) {
		r := newRig(t, rigOptions{reads: both, config: func(c *config.Config) { c.MaxConnections = 2 }})
		stays := r.reading(p, me)
		idle := r.read(p)
		next := r.dial()
		if got, want := idle.line(), map[api.Protocol]string{api.IMAP: "* BYE Too many connections", api.POP: "-ERR [SYS/TEMP] Too many connections"}[p]; !strings.HasPrefix(got, want) {
			t.Errorf("told %q", got)
		}
		idle.ended()
		next.auth(me, password)
		if got := stays.do("NOOP"); !stays.ok(got) {
			t.Errorf("one that is logged in: %q", got)
		}
	})
}

// TestStopDuringALogin: a stop waits for no provider that does not answer, and blames nobody.
func TestStopDuringALogin(t *testing.T) {
	bothWays(t, func(t *testing.T, p api.Protocol) {
		r := newRig(t, rigOptions{reads: both})
		hang := at(providertest.StepAuth, providertest.Action{Hang: true})
		r.provider.SetFaults(providertest.Faults{IMAP: hang, POP: hang})
		x := r.read(p)
		x.send(map[api.Protocol]string{api.IMAP: "a LOGIN " + me + " " + password + "\r\n", api.POP: "USER " + me + "\r\nPASS " + password + "\r\n"}[p])
		eventually(t, "it asks the provider", func() bool { n := r.provider.Counts(); return n.IMAP.Handshakes+n.POP.Handshakes == 1 })
		go func() { // a mail program closes when it is told goodbye
			for line := x.line(); line != gone; line = x.line() {
			}
			x.conn.Close()
		}()
		if took, err := r.stopSoon(t.Context()); err != nil || took > 1500*time.Millisecond {
			t.Errorf("the stop took %v, %v", took, err)
		}
		if logins := r.events(api.Login); len(logins) != 0 {
			t.Errorf("listed: %+v", logins)
		}
	})
}

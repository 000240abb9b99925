package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// With idle connections up to max_connections any local user shut everybody else out.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	const limit = 4
	r := newRig(t, rigOptions{config: func(c *config.Config) { c.MaxConnections = limit }})
	mine := r.login(me)
	idle := make([]*program, 0, limit)
	for range limit - 1 {
		idle = append(idle, r.dial())
	}
	next := r.dial() // takes the place of the oldest
	idle[0].expect("421 4.3.2 Too many connections; closing one that has not logged in")
	if got := idle[0].reply(); got != "" {
		t.Errorf("it goes on with %q", got)
	}
	next.auth(me, password)
	if got := next.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("got %q", got)
	}
	if got := mine.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("one that is logged in: %q", got)
	}
	for _, p := range idle[1:] {
		p.auth(me, password)
	}
	c, err := net.Dial("tcp", r.plain) // nobody is left to make room
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if said, _ := io.ReadAll(c); !strings.HasPrefix(string(said), "421 4.3.2 Waxseal has reached its limit of 4 connections") {
		t.Errorf("told %q", said)
	}
}

// TestSilentHandshakesMakeRoom: a connection on the TLS port that has sent nothing cannot be told why,
// and is closed all the same.
func TestSilentHandshakesMakeRoom(t *testing.T) {
	r := newRig(t, rigOptions{config: func(c *config.Config) { c.MaxConnections = 1 }})
	var silent []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", r.tls)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	for _, c := range silent[:2] { // the first two are closed when the last has been accepted
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a silent connection still stands: %v", err)
		}
	}
	r.login(me)
}

// At its end, a stop waited without a limit for whatever held a connection that had been cut off.
func TestStopDoesNotWaitAfterItsKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{Config: config.Default()})
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe() // a connection that does not end
		defer theirs.Close()
		stays := s.hall.Admit(ours, api.SMTP, false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := s.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "did not end") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != time.Minute+killTimeout {
			t.Errorf("it took %v", took)
		}
		stays.Leave()
		synctest.Wait()
	})
}

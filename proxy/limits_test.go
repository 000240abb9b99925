package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/localuser"
	"github.com/waxseal/waxseal/proxy/machine"
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

// TestRoomIsMadeInTime: a connection whose goroutine does not notice, since it waits for something
// else, is cut off after lastWords.
func TestRoomIsMadeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := pipe(t)
		c.srv.strangers.add(c)
		if !c.srv.strangers.makeRoom(nil, 1) || c.srv.strangers.makeRoom(nil, 1) {
			t.Error("one connection has to make room, once")
		}
		<-c.ctx.Done()
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("its client reads %v", err)
		}
		c.Close()
		if c.srv.strangers.leaving != 0 {
			t.Errorf("%d are leaving", c.srv.strangers.leaving)
		}
	})
}

// TestWhoMakesRoom: who has most connections without a login makes room, and Waxseal's own user counts
// for less by its reserve. Others need not wait until those who have most have gone.
func TestWhoMakesRoom(t *testing.T) {
	mallory, bob := caller{localhost, "54321"}, caller{localhost, "54322"}
	self, unknown := caller{localhost, "54320"}, caller{host: localhost}
	if localuser.Me() != localuser.Unknown {
		self.user = localuser.Me()
	}
	for _, tc := range []struct {
		name    string
		waiting []caller // the oldest first
		limit   int64
		want    []int // who makes room first, next, …
	}{
		{"one caller", []caller{self, self, self}, 12, []int{0, 1, 2}},
		{"nobody is known", []caller{unknown, unknown}, 12, []int{0, 1}},
		{"a flood after one", []caller{bob, mallory, mallory, mallory}, 4, []int{1, 2, 0, 3}},
		{"the owner has a reserve", []caller{self, self, mallory, mallory}, 8, []int{2, 3, 0, 1}},
		{"the owner's reserve ends", []caller{self, self, self, self, mallory}, 4, []int{0, 1, 2, 4, 3}},
		{"the owner's come first", append(slices.Repeat([]caller{self}, 2*askedAtOnce+1), mallory), 4096, []int{2*askedAtOnce + 1}},
		{"a flood is seen in its first connections", append([]caller{bob}, slices.Repeat([]caller{mallory}, 3*askedAtOnce)...), 4096, []int{1, 2, 3}},
		{"somebody elsewhere", []caller{{host: "192.0.2.1"}, mallory, {host: "192.0.2.1"}}, 4, []int{0, 1, 2}},
	} {
		if strings.HasPrefix(tc.name, "the owner") && !self.isOwner() {
			t.Logf("NOT TESTED: %s; this system does not name users", tc.name)
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			var s strangers
			srv := &Server{stats: newStats(), conns: map[*conn]struct{}{}}
			srv.hard, srv.kill = context.WithCancel(t.Context())
			defer srv.kill()
			all := make([]*conn, 0, len(tc.waiting))
			for i, who := range tc.waiting {
				ours, theirs := net.Pipe()
				defer theirs.Close()
				c := newConn(ours, srv, "1", false)
				c.asked.Do(func() { c.who = who })
				c.pace.opened = time.Unix(int64(i), 0)
				all = append(all, c)
				s.add(c)
			}
			for _, want := range tc.want {
				if !s.makeRoom(nil, tc.limit) {
					t.Fatal("nobody makes room")
				}
				for i, c := range all {
					if c.evicted.Load() != (i == want) {
						t.Errorf("%d of %v makes room: %t", i, tc.want, c.evicted.Load())
					}
					c.evicted.Store(false)
				}
			}
			if len(tc.want) == len(tc.waiting) && (s.makeRoom(nil, tc.limit) || len(s.byCaller) != 0) {
				t.Errorf("after the last one: %d callers are left", len(s.byCaller))
			}
		})
	}
}

// A descriptor limit below max_connections stopped mail, status and health checks without a word.
func TestRoom(t *testing.T) {
	for _, tc := range []struct{ files, upstream, want int }{
		{1 << 20, 30, 1<<20 - reservedFiles - 30}, {1024, 30, 1024 - reservedFiles - 30}, {1024, 5000, 1024 - reservedFiles - 256}, {256, 10, 128}, {64, 10, 32}, {1, 0, 1},
	} {
		if got := room(tc.files, tc.upstream); got != tc.want {
			t.Errorf("room(%d, %d) = %d, want %d", tc.files, tc.upstream, got, tc.want)
		}
	}
	if machine.OpenFiles < 64 {
		t.Errorf("this process may have %d files open", machine.OpenFiles)
	}
}

// At its end, a stop waited without a limit for whatever held a connection that had been cut off.
func TestStopDoesNotWaitAfterItsKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{Config: config.Default()})
		if err != nil {
			t.Fatal(err)
		}
		s.live.Add(1) // a connection that does not end
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := s.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "did not end") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != time.Minute+killTimeout {
			t.Errorf("it took %v", took)
		}
		s.live.Done()
		synctest.Wait()
	})
}

// From 1,500 addresses of 127.0.0.0/8 as many sources guessed, none of them slowed; an IPv6 host can
// take any address of its /64.
func TestOneHostIsOneSource(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:1": "localhost", "127.200.3.4:5": "localhost", "[::1]:7": "localhost", "[::ffff:127.0.0.1]:8": "localhost",
		"192.0.2.9:1": "192.0.2.9", "[::ffff:192.0.2.9]:1": "192.0.2.9", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[2001:db8:1:2::1]:1": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1": "fe80::/64",
	} {
		if got := clientHost(peer{Addr: textAddr(address)}); got != want {
			t.Errorf("%s is %q, want %q", address, got, want)
		}
	}
}

type textAddr string

func (textAddr) Network() string  { return "tcp" }
func (a textAddr) String() string { return string(a) }

package mailbox

import (
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/localuser"
	"github.com/waxseal/waxseal/proxy/machine"
)

// TestWhoMakesRoom: who has most connections without a login makes room, and Waxseal's own user counts
// for less by its reserve. Others need not wait until those who have most have gone.
func TestWhoMakesRoom(t *testing.T) {
	mallory, bob := Caller{localhost, "54321"}, Caller{localhost, "54322"}
	self, unknown := Caller{localhost, "54320"}, Caller{host: localhost}
	if localuser.Me() != localuser.Unknown {
		self.user = localuser.Me()
	}
	for _, tc := range []struct {
		name    string
		waiting []Caller // the oldest first
		limit   int64
		want    []int // who makes room first, next, …
	}{
		{"one caller", []Caller{self, self, self}, 12, []int{0, 1, 2}},
		{"nobody is known", []Caller{unknown, unknown}, 12, []int{0, 1}},
		{"a flood after one", []Caller{bob, mallory, mallory, mallory}, 4, []int{1, 2, 0, 3}},
		{"the owner has a reserve", []Caller{self, self, mallory, mallory}, 8, []int{2, 3, 0, 1}},
		{"the owner's reserve ends", []Caller{self, self, self, self, mallory}, 4, []int{0, 1, 2, 4, 3}},
		{"the owner's come first", append(slices.Repeat([]Caller{self}, 2*askedAtOnce+1), mallory), 4096, []int{2*askedAtOnce + 1}},
		{"a flood is seen in its first connections", append([]Caller{bob}, slices.Repeat([]Caller{mallory}, 3*askedAtOnce)...), 4096, []int{1, 2, 3}},
		{"somebody elsewhere", []Caller{{host: "192.0.2.1"}, mallory, {host: "192.0.2.1"}}, 4, []int{0, 1, 2}},
	} {
		if strings.HasPrefix(tc.name, "the owner") && !self.isOwner() {
			t.Logf("NOT TESTED: %s; this system does not name users", tc.name)
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			var s strangers
			h := NewHall()
			defer h.Kill()
			all := make([]*Client, 0, len(tc.waiting))
			for i, who := range tc.waiting {
				ours, theirs := net.Pipe()
				defer theirs.Close()
				c := newClient(h, ours, api.SMTP, false)
				c.asked.Do(func() { c.who = who })
				c.Opened = time.Unix(int64(i), 0)
				all = append(all, c)
				s.add(c)
			}
			for _, want := range tc.want {
				if !s.makeRoom(nil, tc.limit) {
					t.Fatal("nobody makes room")
				}
				for i, c := range all {
					if c.Evicted() != (i == want) {
						t.Errorf("%d of %v makes room: %t", i, tc.want, c.Evicted())
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

// From 1,500 addresses of 127.0.0.0/8 as many sources guessed, none of them slowed; an IPv6 host can
// take any address of its /64.
func TestOneHostIsOneSource(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:1": "localhost", "127.200.3.4:5": "localhost", "[::1]:7": "localhost", "[::ffff:127.0.0.1]:8": "localhost",
		"192.0.2.9:1": "192.0.2.9", "[::ffff:192.0.2.9]:1": "192.0.2.9", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[2001:db8:1:2::1]:1": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1": "fe80::/64",
	} {
		if got := clientHost(textAddr(address)); got != want {
			t.Errorf("%s is %q, want %q", address, got, want)
		}
	}
}

type textAddr string

func (textAddr) Network() string  { return "tcp" }
func (a textAddr) String() string { return string(a) }

// A name in the log could turn the direction of the rest of its line.
func TestNamesInTheLog(t *testing.T) {
	for name, want := range map[string]string{
		"me@corp.test": "me@corp.test", "m\u202ee@corp.test": "m?e@corp.test", "mü@bücher.test": "mü@bücher.test",
		"letmein": "a name that is not an address", "a@b": "a name that is not an address", "a@b\u0085c.test": "a name that is not an address",
	} {
		if got := namable(name); got != want {
			t.Errorf("%q is logged as %q, want %q", name, got, want)
		}
	}
}

// TestRoomIsMadeInTime: a connection whose goroutine does not notice, since it waits for something
// else, is cut off after LastWords.
func TestRoomIsMadeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHall()
		h.Config = func() *config.Config { return new(config.Default()) }
		defer h.Kill()
		ours, client := net.Pipe()
		c := h.Admit(ours, api.SMTP, false)
		if !h.strangers.makeRoom(nil, 1) || h.strangers.makeRoom(nil, 1) {
			t.Error("one connection has to make room, once")
		}
		<-c.Ctx.Done()
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("its client reads %v", err)
		}
		c.Leave()
		if h.strangers.leaving != 0 {
			t.Errorf("%d are leaving", h.strangers.leaving)
		}
	})
}

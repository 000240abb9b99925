package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/machine"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/providertest"
)

func addresses(cidrs ...string) []net.Addr {
	var all []net.Addr
	for _, c := range cidrs {
		ip, n, err := net.ParseCIDR(c)
		if err != nil {
			panic(err)
		}
		all = append(all, &net.IPNet{IP: ip, Mask: n.Mask})
	}
	return all
}

// told stands for a system that reports sleep when the test says so.
func told(says <-chan bool) func(context.Context, *slog.Logger, chan<- bool) {
	return func(ctx context.Context, _ *slog.Logger, tell chan<- bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case asleep := <-says:
				select {
				case tell <- asleep:
				case <-ctx.Done():
				}
			}
		}
	}
}

// A server notices a sleep or a new network by itself and once, and closes an open breaker.
func TestWatchNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		s, err := New(Options{Config: config.Default(), Secrets: keystore.Memory(), Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		var slept, moved atomic.Int64
		s.watch.Now = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		s.watch.Addresses = func() ([]net.Addr, error) {
			return addresses([]string{"10.0.0.1/8", "10.0.0.2/8"}[moved.Load()]), nil
		}
		says := make(chan bool)
		s.watch.TellOfSleep = told(says)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.watchNetwork(ctx) }()

		b := s.serverBreakers.Get("smtp x")
		for name, tc := range map[string]struct {
			happens func()
			at      time.Duration // how soon the server notices
		}{
			"sleep":                  {func() { slept.Add(int64(time.Hour)) }, machine.LookEvery},
			"move":                   {func() { moved.Add(1) }, machine.LookEvery},
			"sleep, and being told":  {func() { slept.Add(int64(time.Hour)); says <- true; says <- false }, 0},
			"being told and nothing": {func() { says <- false }, 0},
		} {
			openBreaker(b)
			<-time.After(2 * machine.LookEvery)
			if b.Check() == nil {
				t.Fatalf("before the %s the breaker lets calls through", name)
			}
			synctest.Wait() // until the current look is over
			before := strings.Count(log.String(), "reconnecting to providers")
			tc.happens()
			if tc.at > 0 {
				<-time.After(tc.at)
			}
			synctest.Wait()
			if err := b.Check(); err != nil {
				t.Errorf("after the %s: %v", name, err)
			}
			<-time.After(2 * machine.LookEvery)
			if n := strings.Count(log.String(), "reconnecting to providers") - before; n != 1 {
				t.Errorf("the %s was noticed %d times", name, n)
			}
		}
		cancel()
		<-done
	})
}

// Before a machine sleeps, idle connections are closed. Breakers stay open, because nothing
// has improved.
func TestBeforeSleep(t *testing.T) {
	says := make(chan bool)
	r := newRig(t, rigOptions{prepare: func(s *Server) { s.watch.TellOfSleep = told(says) }})
	p := r.login(me)
	if got := p.message(me, "a@there.test", "before\r\n"); got[:3] != "250" {
		t.Fatal(got)
	}
	if st := r.server.Snapshot(); st.Upstream.Warm != 1 {
		t.Fatalf("no warm connection: %+v", st.Upstream)
	}
	b := r.server.serverBreakers.Get("smtp x")
	openBreaker(b)
	says <- true
	eventually(t, "no connection is warm", func() bool { return r.server.Snapshot().Upstream.Warm == 0 })
	if b.Check() == nil {
		t.Error("the breaker lets calls through")
	}
	if got := p.message(me, "a@there.test", "still awake\r\n"); got[:3] != "250" {
		t.Error(got)
	}
}

func openBreaker(b *breaker.Breaker) {
	for b.Check() == nil {
		b.Do(func() error { return errors.New("down") })
	}
}

// The first message after a sleep is sent, although the old connections no longer answer and
// the breaker was open.
func TestFirstMessageAfterWaking(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	if got := p.message(me, "a@there.test", "before\r\n"); got[:3] != "250" {
		t.Fatal(got)
	}
	before := r.provider.Counts().Connections
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action {
		return providertest.Action{Hang: int64(e.Conn) <= before && e.Step != providertest.StepQuit}
	}})
	openBreaker(r.server.serverBreakers.Get("smtp " + r.provider.SMTPAddr))
	openBreaker(r.server.tokenBreakers.Get(mailbox.TokenBreaker(config.Provider{TokenURL: r.provider.TokenURL()})))

	r.server.Wake("test")
	if got := p.message(me, "a@there.test", "after\r\n"); got[:3] != "250" {
		t.Errorf("the first message after waking: %s", got)
	}
	if st := r.server.Snapshot(); st.Upstream.Warm != 1 {
		t.Errorf("old connections are kept: %+v", st.Upstream)
	}
}

// closeCounter counts how often idle connections are closed.
type closeCounter struct {
	http.RoundTripper
	times atomic.Int64
}

func (c *closeCounter) CloseIdleConnections() { c.times.Add(1) }

// After a reload there are new HTTP clients, but the accounts that stay keep theirs: Wake must
// reach those too.
func TestWakeReachesAccountsThatAReloadKept(t *testing.T) {
	r := newRig(t, rigOptions{})
	box := r.server.hall.Mailbox(me)
	transport := &closeCounter{RoundTripper: box.HTTP.Transport}
	box.HTTP.Transport = transport
	if _, err := r.server.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.server.hall.Mailbox(me) != box {
		t.Fatal("the account has a new mailbox")
	}
	before := transport.times.Load()
	r.server.Wake("test")
	if transport.times.Load() == before {
		t.Error("old connections to the token endpoint are kept")
	}
}

// TestRetryNow: somebody who asks does not have to wait until a breaker tries again by itself.
func TestRetryNow(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.provider.SetFaults(providertest.Faults{SMTP: at(providertest.StepAuth, providertest.Action{Code: 454, Text: "4.7.0 try again later"})})
	r.server.Doctor(t.Context(), func(api.Check) {})
	if state := r.server.Snapshot().Accounts[0].State; state.Severity() != api.Passing {
		t.Fatalf("the account is %q", state)
	}
	r.provider.SetFaults(providertest.Faults{})
	r.server.RetryNow(t.Context())
	if state := r.server.Snapshot().Accounts[0].State; state != api.Ready {
		t.Errorf("the account is %q", state)
	}
}

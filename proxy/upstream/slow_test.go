package upstream

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/dial"
)

// holding makes a fake that keeps lines that start with prefix waiting for d, by the bubble's clock.
func holding(prefix string, d time.Duration) *fake {
	return &fake{on: func(_ int, line string) string {
		if strings.HasPrefix(line, prefix) {
			time.Sleep(d)
		}
		return ""
	}}
}

// wantTimeout checks that f fails after exactly d: the bubble's clock is exact.
func wantTimeout(t *testing.T, d time.Duration, f func() error) {
	t.Helper()
	began := time.Now()
	err := f()
	took := time.Since(began)
	var lost *ConnError
	var netErr net.Error
	if !errors.As(err, &lost) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &netErr) || !netErr.Timeout() {
		t.Errorf("%v", err)
	}
	if took != d {
		t.Errorf("gave up after %v, want %v: %v", took, d, err)
	}
	if !strings.HasSuffix(err.Error(), "no answer within "+d.String()) {
		t.Errorf("%q does not say how long it waited", err)
	}
}

// RFC 5321 section 4.5.3.2 says how long to wait, unless the configuration says less.
func TestTimeouts(t *testing.T) {
	const minute = time.Minute
	for _, c := range []struct {
		at           string
		reply, final time.Duration // as configured
		want         time.Duration
	}{
		{"CONNECT", 0, 0, 5 * minute}, {"EHLO", 0, 0, 5 * minute}, {"AUTH", 0, 0, 5 * minute}, {"MAIL", 0, 0, 5 * minute},
		{"RCPT", 0, 0, 5 * minute}, {"DATA", 0, 0, 2 * minute}, {"END", 0, 0, 10 * minute},
		{"CONNECT", minute, 0, minute}, {"RCPT", minute, 0, minute}, {"DATA", minute, 0, minute}, {"END", minute, 0, 10 * minute},
		{"DATA", 4 * minute, 0, 2 * minute}, {"END", 0, minute, minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := holding(c.at, time.Hour)
			f.ext = without("CHUNKING")
			t.Cleanup(f.stop)
			p := newPool(t, f, func(cfg *Config) { cfg.ReplyTimeout, cfg.FinalTimeout = c.reply, c.final })
			wantTimeout(t, c.want, func() error {
				_, err := send(p, strings.NewReader("x\r\n"), "you@there.example")
				return err
			})
		})
	}
}

// A server that reads no further is given up after three minutes.
func TestServerReadsNoFurther(t *testing.T) {
	for _, ext := range [][]string{nil, without("CHUNKING")} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{ext: ext}
			f.on = func(n int, line string) string {
				if line == "DATA" {
					f.conn(n).Write([]byte("354 go\r\n"))
				}
				if line == "DATA" || strings.HasPrefix(line, "BDAT") {
					time.Sleep(time.Hour)
				}
				return ""
			}
			t.Cleanup(f.stop)
			p := newPool(t, f)
			began := time.Now()
			_, err := send(p, strings.NewReader(long), "you@there.example")
			var lost *ConnError
			if !errors.As(err, &lost) || !lost.Started || lost.Unknown || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			if took := time.Since(began); took != blockTimeout+goodbye {
				t.Errorf("gave up after %v", took)
			}
		})
	}
}

// Connecting, and a TLS handshake, get 20 s each: mail programs wait for a minute.
func TestConnectingTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, &fake{})
		p.server.Open = func(ctx context.Context, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		wantTimeout(t, 20*time.Second, func() error { return p.Check(t.Context()) })
		p = newPool(t, &fake{}, func(c *Config) { c.TLS = dial.Implicit })
		p.server.Open = func(context.Context, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { theirs.Close() })
			return ours, nil
		}
		wantTimeout(t, 20*time.Second, func() error { return p.Check(t.Context()) })
	})
}

// A server that greets late is waited for, even when the mail program that asked has left: the next
// one finds the connection.
func TestLateGreeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := holding("CONNECT", 4*time.Minute)
		t.Cleanup(f.stop)
		p := newPool(t, f, func(c *Config) { c.Breaker = breaker.New("smtp", breaker.Settings{Failures: 1}) })
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if err := p.Check(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
		}
		if err := p.Check(t.Context()); err != nil || f.connections() != 1 {
			t.Errorf("%v over %d connections", err, f.connections())
		}
		mustSend(t, p, "x\r\n")
	})
}

// A server that holds every MAIL for a while is not taken for dead: neither on the connection of the
// login just before, which nobody has used, nor later.
func TestSlowMailIsSaidOnce(t *testing.T) {
	for _, idle := range []time.Duration{0, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := holding("MAIL", 20*time.Second)
			t.Cleanup(f.stop)
			p := newPool(t, f)
			if err := p.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				time.Sleep(idle)
				mustSend(t, p, "x\r\n")
			}
			if n := f.connections(); n != 1 || len(f.delivered()) != 3 {
				t.Errorf("idle for %v: %d connections", idle, n)
			}
		})
	}
}

// A connection of the login just before that hears nothing for all of the five minutes is not replaced
// by another: MAIL was said once.
func TestMailIsNeverAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := holding("MAIL", time.Hour)
		t.Cleanup(f.stop)
		p := newPool(t, f)
		if err := p.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTimeout(t, replyTimeout, func() error {
			_, err := send(p, strings.NewReader("x\r\n"), "you@there.example")
			return err
		})
		if f.connections() != 1 {
			t.Errorf("%d connections", f.connections())
		}
	})
}

// After a suspend a connection may hear nothing at all. It gets less patience than a new one.
func TestWarmConnectionThatHearsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		second := secondMessage("MAIL", "deaf")
		f.on = func(n int, line string) string {
			if second(n, line) == "deaf" {
				time.Sleep(time.Hour)
				return "drop"
			}
			return ""
		}
		t.Cleanup(f.stop)
		p := newPool(t, f)
		mustSend(t, p, "first\r\n")
		began := time.Now()
		mustSend(t, p, "second\r\n")
		if waited := time.Since(began); waited != patience { // the bubble's clock is exact
			t.Errorf("waited %v", waited)
		}
	})
}

// One slow reply does not make a pool patient for ever.
func TestPatienceComesBack(t *testing.T) {
	p := newPool(t, &fake{})
	c := &conn{timeout: replyTimeout}
	if got := p.patience(c); got != replyTimeout {
		t.Errorf("a new connection gets %v", got)
	}
	c.served = true
	p.noteLag(time.Minute)
	if got := p.patience(c); got != 2*time.Minute {
		t.Errorf("after a reply that took a minute: %v", got)
	}
	p.noteLag(4 * time.Minute)
	if got := p.patience(c); got != replyTimeout {
		t.Errorf("after a reply that took four: %v", got)
	}
	for range 10 {
		p.noteLag(time.Millisecond)
	}
	if got := p.patience(c); got != patience {
		t.Errorf("after ten quick ones: %v", got)
	}
}

// The caller's own deadline is no failure of the host.
func TestCallersDeadlineDoesNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := holding("CONNECT", 25*time.Second)
		t.Cleanup(f.stop)
		p := newPool(t, f, func(c *Config) { c.Breaker = breaker.New("smtp", breaker.Settings{Failures: 1}) })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var lost *ConnError
		if _, err := p.Begin(ctx, "me@corp.example", nil); !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &lost) {
			t.Error(err)
		}
		mustSend(t, p, "x\r\n")
	})
}

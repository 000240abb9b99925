package proxy

import (
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// paced is a rig whose minute is short, with these limits of the provider.
func paced(t *testing.T, perMinute, recipients int, minute time.Duration) *rig {
	return newRig(t, rigOptions{
		provider: providertest.Options{MaxPerMinute: perMinute, MaxRecipientsPerDay: recipients, Minute: minute},
		timeouts: mailbox.Timeouts{Minute: minute, Turn: 3 * minute / 2}, // as 90 s are to a minute
		config: func(c *config.Config) {
			c.Providers[0].MaxPerMinute, c.Providers[0].MaxRecipients = &perMinute, &recipients
		},
	})
}

// shortMinute is a minute for tests, or a real one.
func shortMinute() time.Duration {
	if os.Getenv("WAXSEAL_REAL_MINUTE") != "" {
		return time.Minute
	}
	return 500 * time.Millisecond
}

// TestHundredAtOnce: a hundred programs send at once to a provider that takes 30 messages a minute and refuses the rest.
// Those that have to wait too long are told for how long, and come again. All messages arrive, and the provider
// refuses none. With WAXSEAL_REAL_MINUTE=1 the minute is a real one.
func TestHundredAtOnce(t *testing.T) {
	minute := shortMinute()
	r := paced(t, 30, 0, minute)
	var all sync.WaitGroup
	var later, longest atomic.Int64
	start := time.Now()
	for range 100 {
		all.Go(func() {
			p := r.login(me)
			p.conn.SetDeadline(time.Now().Add(patience + 5*minute))
			for {
				asked := time.Now()
				p.send("MAIL FROM:<" + me + ">\r\n")
				said := p.reply()
				for was, took := longest.Load(), int64(time.Since(asked)); took > was && !longest.CompareAndSwap(was, took); was = longest.Load() {
				}
				if strings.HasPrefix(said, "250") {
					break
				}
				_, rest, _ := strings.Cut(said, "Try again in ")
				seconds, _, _ := strings.Cut(rest, " ")
				n, err := strconv.Atoi(seconds)
				if !strings.HasPrefix(said, "451 4.4.5 Corp Mail allows "+me+" 30 messages per minute") || err != nil || n < 1 {
					t.Errorf("told %q", said)
					return
				}
				later.Add(1)
				<-time.After(time.Duration(n) * time.Second)
			}
			p.do("RCPT TO:<you@there.test>", "250")
			p.do("DATA", "354")
			p.send("hello\r\n.\r\n")
			p.expect("250 2.0.0 OK")
		})
	}
	all.Wait()
	t.Logf("100 messages in %v; the longest reply to MAIL took %v; told to come later: %d times", time.Since(start), time.Duration(longest.Load()), later.Load())
	s := r.server.Snapshot()
	if n := r.provider.OverLimit(); n != 0 || len(r.provider.Messages()) != 100 || s.Totals[api.Sent] != 100 {
		t.Errorf("%d arrived, the provider refused %d: %v", len(r.provider.Messages()), n, s.Totals)
	}
	if s.Totals[api.Deferred] != later.Load() || s.Accounts[0].Upstream.Waiting != 0 {
		t.Errorf("%d were told to come later: %v, %+v", later.Load(), s.Totals, s.Accounts[0].Upstream)
	}
}

// TestOneAfterTheOther: a program that sends a hundred messages one after the other, as a mail merge does, is only
// slowed down.
func TestOneAfterTheOther(t *testing.T) {
	minute := shortMinute()
	r := paced(t, 30, 0, minute)
	p := r.login(me)
	p.conn.SetDeadline(time.Now().Add(patience + 5*minute))
	start, longest := time.Now(), time.Duration(0)
	for range 100 {
		asked := time.Now()
		if said := p.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(said, "250") {
			t.Fatalf("told %q", said)
		}
		longest = max(longest, time.Since(asked))
	}
	t.Logf("100 messages in %v; the slowest took %v", time.Since(start), longest)
	if n := r.provider.OverLimit(); n != 0 || len(r.provider.Messages()) != 100 {
		t.Errorf("%d arrived, the provider refused %d", len(r.provider.Messages()), n)
	}
}

// TestDailyLimit: at the limit 452 says when it ends, recipient by recipient; the account's state says so too, and a
// restart, a changed account and a changed limit forget nothing.
func TestDailyLimit(t *testing.T) {
	r := paced(t, 0, 3, time.Minute)
	p := r.login(me)
	p.do("MAIL FROM:<"+me+">", "250")
	for range 2 {
		p.do("RCPT TO:<you@there.test>", "250")
	}
	p.do("DATA", "354")
	p.send("hello\r\n.\r\n")
	p.expect("250 2.0.0 OK")
	const full = "452 4.4.5 Corp Mail allows " + me + " 3 recipients within 24 hours, and they are used up. It can send again from 2"
	p.do("MAIL FROM:<"+me+">", "250")
	p.do("RCPT TO:<you@there.test>", "250")
	p.do("RCPT TO:<too@there.test>", full)
	p.do("DATA", "354")
	p.send("hello\r\n.\r\n")
	p.expect("250 2.0.0 OK")
	p.do("MAIL FROM:<"+me+">", full)
	if a := r.server.Snapshot().Accounts[0]; a.State != api.LimitReached || !strings.Contains(a.Problem.Error(), "t can send again from") || a.SentToday > 2 {
		t.Errorf("the account: %s, %v", a.State, a.Problem)
	} else if u, _ := a.Limit(api.RecipientsPerDay); u.Used != 3 || u.Limit != 3 || u.Until.Before(time.Now()) {
		t.Errorf("%+v", u)
	}
	for _, want := range []string{`waxseal_sending_used{limit="recipients_per_day",provider="corp"} 3`, `waxseal_sending_limit{limit="recipients_per_day",provider="corp"} 3`,
		`waxseal_messages_over_limit_total{limit="recipients_per_day",provider="corp"} 2`, `waxseal_messages_waiting{provider="corp"} 0`, `waxseal_messages_delayed_total{provider="corp"} 0`} {
		if text := metricsOf(r); !strings.Contains(text, want) || strings.Contains(text, me) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	list := r.server.Activity(0)
	if last := list[len(list)-1]; last.Result != api.Deferred || !last.Own || last.Problem == nil || !strings.HasPrefix(last.Reply, "452 4.4.5") {
		t.Errorf("%+v", last)
	}

	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	limit := func(n string) string {
		return strings.Replace(string(text), "max_connections = 10", "max_connections = 10\nmax_recipients_per_day = "+n, 1)
	}
	if err := os.WriteFile(r.config, []byte(limit("4")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.do("MAIL FROM:<"+me+">", "250") // follows the account
	p.do("RCPT TO:<you@there.test>", "250")
	p.do("RSET", "250")
	r.stop()

	cfg, err := config.Load(r.config)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Providers[0].MaxRecipients = new(3)
	again, err := New(Options{Config: cfg, ConfigPath: r.config, Secrets: r.secrets})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Shutdown(t.Context())
	if a := again.Snapshot().Accounts[0]; a.State != api.LimitReached {
		t.Errorf("after a restart: %s, %+v", a.State, a.Limits)
	}
}

func metricsOf(r *rig) string {
	w := httptest.NewRecorder()
	r.server.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/metrics", nil))
	return w.Body.String()
}

// TestStopDoesNotWaitForATurn: a message that waits for the provider's minute is told to come later when Waxseal stops.
func TestStopDoesNotWaitForATurn(t *testing.T) {
	r := paced(t, 1, 0, time.Hour)
	p := r.login(me)
	p.message(me, "you@there.test", "hello\r\n")
	p.send("MAIL FROM:<" + me + ">\r\n")
	eventually(t, "it waits", func() bool { return r.server.Snapshot().Accounts[0].Upstream.Waiting == 1 })
	start := time.Now()
	r.stop()
	p.expect("451 4.4.5 Corp Mail allows")
	p.expect("421 4.3.2")
	if took := time.Since(start); took > patience {
		t.Errorf("the stop took %v", took)
	}
}

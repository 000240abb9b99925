package upstream

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/pace"
)

// TestWhatCounts: a message counts in the minute as soon as the provider has heard of it, and in the day if it was
// accepted or may have been.
func TestWhatCounts(t *testing.T) {
	for name, c := range map[string]struct {
		at, reply  string // "" accepts everything
		to         []string
		minute     int64
		recipients int64
	}{
		"sent":             {"", "", []string{"you@there.example", "too@there.example"}, 1, 2},
		"one refused":      {"RCPT TO:<bad", "550 5.1.1 nobody", []string{"bad@there.example", "you@there.example"}, 1, 1},
		"all refused":      {"RCPT", "550 5.1.1 nobody", []string{"you@there.example"}, 1, 0},
		"refused at MAIL":  {"MAIL", "550 5.4.5 limit", []string{"you@there.example"}, 1, 0},
		"refused":          {"END", "554 5.2.0 limit", []string{"you@there.example"}, 1, 0},
		"lost":             {"END", "", []string{"you@there.example"}, 1, 1},
		"bad address":      {"", "", []string{"you\r\n@there.example"}, 0, 0},
		"without anything": {"", "", nil, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, &fake{on: func(_ int, line string) string {
				if c.at == "" || !strings.HasPrefix(line, c.at) {
					return ""
				}
				if c.reply == "" {
					return "drop"
				}
				return c.reply
			}})
			pacer := pace.New(pace.Config{Limits: pace.Limits{PerMinute: 10, Messages: 10, Recipients: 10}})
			p := newPool(t, f, func(cfg *Config) { cfg.Pace = pacer })
			send(p, strings.NewReader("x\r\n"), c.to...)
			s, messages := pacer.Status().Uses, min(c.recipients, 1)
			if s[0].Used != c.minute || s[1].Used != messages || s[2].Used != c.recipients {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestLimitsHold: a message waits for its turn before it leases a connection, both together at most as long as the pool
// waits; recipients beyond the day's limit are refused alone.
func TestLimitsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		pacer := pace.New(pace.Config{Limits: pace.Limits{PerMinute: 2, Recipients: 3}})
		p := newPool(t, f, func(cfg *Config) { cfg.Pace = pacer })
		start := time.Now()
		for range 2 {
			mustSend(t, p, "x\r\n")
		}
		tx, err := p.Begin(t.Context(), "me@corp.example", nil)
		if waited := time.Since(start); err != nil || waited < time.Minute || waited > 61*time.Second {
			t.Fatalf("%v after %v", err, waited)
		}
		if r, err := tx.Rcpt(t.Context(), recipients(1)); err != nil || !r[0].ok() {
			t.Fatal(r, err)
		}
		_, err = tx.Rcpt(t.Context(), recipients(1))
		if e, ok := errors.AsType[*pace.Error](err); !ok || e.Kind != pace.RecipientsPerDay {
			t.Errorf("beyond the limit: %v", err)
		}
		busy := make(chan error)
		start = time.Now()
		pacer.SetLimits(pace.Limits{PerMinute: 4}, nil)
		go func() { // its turn comes at once, a connection does not
			_, err := p.Begin(t.Context(), "me@corp.example", nil)
			busy <- err
		}()
		if err := <-busy; !errors.Is(err, ErrBusy) || time.Since(start) != p.cfg.WaitTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if s := pacer.Status().Uses[0]; s.Used > 3 {
			t.Errorf("a message without a connection has a place: %+v", s)
		}
		if r, err := tx.Data(t.Context(), strings.NewReader("x\r\n")); err != nil || !r.ok() {
			t.Error(r, err)
		}
		tx.Close()
		p.Close(t.Context())
	})
}

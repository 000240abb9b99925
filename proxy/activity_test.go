package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/providertest"
)

func TestRecentMessages(t *testing.T) {
	var r recent
	if list := r.after(0); list == nil || len(list) != 0 {
		t.Errorf("no messages yet: %v", list) // JSON must have an empty list, not null
	}
	var writers sync.WaitGroup
	for range 10 {
		writers.Go(func() {
			for range 2 * recentKept / 10 {
				r.add(&api.Activity{})
			}
		})
	}
	seen := uint64(0)
	for seen < 2*recentKept {
		for _, a := range r.after(seen) {
			if a.Seq <= seen {
				t.Fatalf("%d comes after %d", a.Seq, seen)
			}
			seen = a.Seq
		}
	}
	writers.Wait()
	if list := r.after(0); len(list) != recentKept || list[0].Seq != recentKept+1 || list[recentKept-1].Seq != 2*recentKept {
		t.Errorf("%d are kept", len(list))
	}
	if list := r.after(2*recentKept - 2); len(list) != 2 || list[1].Seq != 2*recentKept {
		t.Errorf("after all but two: %v", list)
	}
	if list := r.after(1 << 40); len(list) != 0 {
		t.Errorf("after a message that is still to come: %v", list)
	}
}

// TestRecentMessagesLeaveNoneOut: a message that has its number but is not in its slot yet
// holds back those after it.
func TestRecentMessagesLeaveNoneOut(t *testing.T) {
	var r recent
	r.add(&api.Activity{})
	r.last.Add(1) // the second is on its way
	third := &api.Activity{Seq: r.last.Add(1)}
	r.slots[3].Store(third)
	if list := r.after(0); len(list) != 1 {
		t.Errorf("%d are listed though the second is missing", len(list))
	}
	r.slots[2].Store(&api.Activity{Seq: 2})
	if list := r.after(1); len(list) != 2 {
		t.Errorf("%d are listed after the first, want 2", len(list))
	}
}

func TestMinutes(t *testing.T) {
	var m minutes
	at := time.Date(2026, 3, 4, 5, 6, 30, 0, time.UTC)
	m.count(at.Add(-2 * time.Hour)) // too old to be seen
	m.count(at.Add(-59 * time.Minute))
	m.count(at)
	m.count(at)
	got := m.last60(at)
	if len(got) != 60 || got[0] != 1 || got[59] != 2 {
		t.Errorf("got %v", got)
	}
	if got = m.last60(at.Add(time.Minute)); got[0] != 0 || got[58] != 2 || got[59] != 0 {
		t.Errorf("a minute later %v", got)
	}
	if got = m.last60(at.Add(24 * time.Hour)); strings.Trim(fmt.Sprint(got), "[0 ]") != "" {
		t.Errorf("a day later %v", got)
	}
}

func TestDays(t *testing.T) {
	var today tally
	late := time.Date(2026, 12, 31, 23, 59, 0, 0, time.Local)
	today.count(dayOf(late))
	today.count(dayOf(late.Add(-23 * time.Hour)))
	if got := today.of(dayOf(late)); got != 2 {
		t.Errorf("%d on the last day of the year, want 2", got)
	}
	if got := today.of(dayOf(late.Add(2 * time.Minute))); got != 0 {
		t.Errorf("%d on the first day of the next, want 0", got)
	}
}

func TestDiscreet(t *testing.T) {
	for reply, want := range map[string]string{
		"250 2.0.0 OK queued as 17":                           "250 2.0.0 OK queued as 17",
		"550 5.1.1 <you@there.test>: no such user":            "550 5.1.1 <…>: no such user",
		"550 5.1.10 Recipient You@there.test not found.":      "550 5.1.10 Recipient … not found.",
		`550 <"quoted local"@there.test> no`:                  "550 <…> no",
		"250 OK <17@host.there.test> [Hostname=x.there.test]": "250 OK <…> [Hostname=x.there.test]",
		"550 5.7.60 ME@corp.test may not":                     "550 5.7.60 ME@corp.test may not",
	} {
		if got := discreet(reply, me); got != want {
			t.Errorf("%s\n got %s\nwant %s", reply, got, want)
		}
	}
	if got := discreet(strings.Repeat("ü", 70_000), me); len(got) > longestReply+len("…") || !strings.HasSuffix(got, "ü…") {
		t.Errorf("a long one is %d bytes", len(got))
	}
}

// TestActivity: each message is listed and counted once, however it ended.
func TestActivity(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) (a providertest.Action) {
		if e.Step == providertest.StepRcpt && strings.Contains(e.Line, "nobody@") {
			a.Code, a.Text = 550, "5.1.1 <nobody@there.test>: no such user"
		}
		return a
	}})
	p := r.login(me)
	p.message(me, "you@there.test", "Subject: secret words\r\n\r\nhello\r\n")

	p.do("MAIL FROM:<"+me+">", "250")
	p.do("RCPT TO:<\x01@there.test>", "501")
	p.do("RCPT TO:<nobody@there.test>", "550")
	p.do("RSET", "250")

	p.do("MAIL FROM:<"+me+">", "250")
	p.do("RCPT TO:<nobody@there.test>", "550")
	p.do("RCPT TO:<you@there.test>", "250")
	p.do("RSET", "250")

	p.do("MAIL FROM:<"+me+">", "250") // has no recipient, so it is not a message
	p.do("RSET", "250")
	p.do("EHLO again.test", "250")
	p.message(me, "you@there.test", "hello\r\n")

	list := r.server.Activity(0)
	results := []api.Result{"sent", "refused", "aborted", "sent"}
	if len(list) != len(results) {
		t.Fatalf("got %+v", list)
	}
	for i, a := range list {
		if a.Result != results[i] || a.Seq != uint64(i+1) || a.Account != me || a.Session == "" || a.Time.IsZero() {
			t.Errorf("message %d: %+v", i, a)
		}
	}
	if a := list[0]; a.Recipients != 1 || a.Bytes != 32 || a.Took <= 0 || !strings.HasPrefix(a.Reply, "250 2.0.0 OK") {
		t.Errorf("the first message: %+v", a)
	}
	if a := list[1]; a.Recipients != 0 || a.Reply != "550 5.1.1 <…>: no such user" || a.Problem == nil {
		t.Errorf("the refused message: %+v", a)
	}
	s := r.server.Snapshot()
	if s.Totals["refused"] != 1 || s.Totals["aborted"] != 1 || s.Totals["sent"] != 2 || s.LastActivity != 4 || s.PerMinute[59]+s.PerMinute[58] != 2 {
		t.Errorf("totals %v, last %d, %v a minute", s.Totals, s.LastActivity, s.PerMinute)
	}
	if a := s.Accounts[0]; a.Sent != 2 || a.Failed != 2 || a.SentToday < 1 || a.LastResult != "sent" || a.LastMessage != list[3].Time {
		t.Errorf("the account: %+v", a)
	}
	text, err := json.Marshal(list)
	if err != nil || strings.Contains(string(text), "there.test") || strings.Contains(string(text), "secret") {
		t.Errorf("the list reveals too much: %s", text)
	}
	if list = r.server.Activity(3); len(list) != 1 || list[0].Seq != 4 {
		t.Errorf("after the third: %+v", list)
	}
}

// TestRefusedAtMail: when the provider refuses MAIL, the recipients get its reply, and that
// counts as one refused message.
func TestRefusedAtMail(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) (a providertest.Action) {
		if e.Step == providertest.StepMail {
			a.Code, a.Text = 550, "5.4.5 Daily user sending limit exceeded"
		}
		return a
	}})
	p.do("MAIL FROM:<"+me+">", "250")
	p.do("RCPT TO:<you@there.test>", "550 5.4.5")
	p.do("RCPT TO:<you2@there.test>", "550 5.4.5")
	p.do("QUIT", "221")
	eventually(t, "the message is counted", func() bool { return r.server.Snapshot().Totals["refused"] == 1 })
	list := r.server.Activity(0)
	if len(list) != 1 || !strings.HasPrefix(list[0].Reply, "550 5.4.5 Daily") || !strings.Contains(list[0].Problem.Error(), "tomorrow") {
		t.Errorf("got %+v", list)
	}
}

// TestPause: mail programs are told to try again later and keep their connections, and a
// message in flight finishes.
func TestPause(t *testing.T) {
	r := newRig(t, rigOptions{})
	p, other := r.login(me), r.dial()
	p.do("MAIL FROM:<"+me+">", "250")
	p.do("RCPT TO:<you@there.test>", "250")
	r.server.SetPaused(true)
	p.do("DATA", "354")
	p.send("hello\r\n.\r\n")
	p.expect("250 2.0.0 OK")
	p.do("MAIL FROM:<"+me+">", "451 4.3.2 Waxseal is paused")
	if a := r.server.Activity(1); len(a) != 1 || a[0].Result != "deferred" || a[0].Problem != nil {
		t.Errorf("the refused message: %+v", a)
	}
	other.do("EHLO x", "250")
	other.do("AUTH PLAIN "+plainResponse(me, password), "454 4.3.2 Waxseal is paused")
	s := r.server.Snapshot()
	if s.State != "paused" || s.Totals["deferred"] != 1 || s.AuthFailures != 0 {
		t.Errorf("state %s, totals %v, %d failed logins", s.State, s.Totals, s.AuthFailures)
	}
	w := httptest.NewRecorder()
	r.server.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/readyz", nil))
	if w.Code != 503 || w.Body.String() != "paused\n" {
		t.Errorf("/readyz: %d %q", w.Code, w.Body)
	}
	r.server.SetPaused(false)
	other.do("AUTH PLAIN "+plainResponse(me, password), "235")
	p.message(me, "you@there.test", "hello\r\n")
	if s := r.server.Snapshot(); s.State != "serving" || s.Totals["sent"] != 2 {
		t.Errorf("state %s, totals %v", s.State, s.Totals)
	}
}

func TestPauseWakesWatchers(t *testing.T) {
	r := newRig(t, rigOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for s := range r.server.Watch(ctx, 0) {
		if s.State == "paused" {
			return
		}
		r.server.SetPaused(true)
	}
	t.Error("the watcher was not told of the pause")
}

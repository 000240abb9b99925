package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

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
	if a := s.Accounts[0]; a.Sent != 2 || a.Failed != 2 || a.SentToday < 1 || a.Recipients != a.SentToday || a.LastResult != "sent" || a.LastMessage != list[3].Time {
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

// kinds are the events that a server lists, each as its kind, result, account and what happened.
func kinds(s *Server) (list []string) {
	for _, a := range s.Activity(0) {
		text := strings.TrimSpace(fmt.Sprintf("%s %s %s", a.Kind, a.Result, a.Account))
		if a.Times > 0 {
			text += fmt.Sprintf(" %d times", a.Times)
		}
		if a.Problem != nil {
			text += ": " + a.Problem.What.String()
		}
		list = append(list, text)
	}
	return list
}

// TestFailedLoginsAreListed: each failed login is in the list with the program's host, the account
// and the cure, and a repeated one counts there. A password in the field of the name is not shown.
func TestFailedLoginsAreListed(t *testing.T) {
	r := newRig(t, rigOptions{accounts: []string{"revoked@corp.test", "barred@corp.test"}})
	r.provider.Revoke("revoked@corp.test")
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) (a providertest.Action) {
		if e.Step == providertest.StepAuth && e.Account == "barred@corp.test" {
			a = providertest.Action{Code: 535, Text: "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox of friend@there.test."}
		}
		return a
	}})
	for _, login := range []struct{ name, password, reply string }{
		{me, "old-password", "535"}, {me, "old-password", "535"}, {"nobody@corp.test", password, "535"}, {"my-secret-password", password, "535"},
		{"revoked@corp.test", password, "535"}, {"barred@corp.test", password, "535"}, {me, "old-password", "535"},
	} {
		p := r.dial()
		p.do("EHLO x", "250")
		p.do("AUTH PLAIN "+plainResponse(login.name, login.password), login.reply)
	}
	got := strings.Join(kinds(r.server), "\n")
	for _, want := range []string{
		"login refused nobody@corp.test: Unknown user name.",
		"login refused: The user name is not an address.",
		"login refused revoked@corp.test: ", "login refused barred@corp.test: Sending by SMTP is switched off",
		"login refused me@corp.test 3 times: Wrong local password.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	list := r.server.Activity(0)
	for _, a := range list {
		if a.Client != "127.0.0.1" || a.Problem.Remedy() == "" || a.Session == "" || a.Reply == "" || !a.Own {
			t.Errorf("%+v", a)
		}
	}
	text, _ := json.Marshal(list)
	for _, secret := range []string{"my-secret-password", "old-password", password, "friend@there.test"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the list has %q: %s", secret, text)
		}
	}
	s := r.server.Snapshot()
	if len(list) != 5 || s.AuthFailures != 7 || len(s.Failures) != 5 || s.Failures[0].Times != 3 || s.Totals["refused"] != 0 {
		t.Errorf("%d listed, %d counted, in the snapshot %+v", len(list), s.AuthFailures, s.Failures)
	}
}

// TestTestsAreListed: a test message went past the list and the counts.
func TestTestsAreListed(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) (a providertest.Action) {
		if e.Step == providertest.StepRcpt && strings.Contains(e.Line, "nobody@") {
			a.Code, a.Text = 550, "5.1.1 <nobody@there.test>: no such user"
		}
		return a
	}})
	test := func(to string, ctx context.Context) { r.server.SendTest(ctx, me, to, func(api.Check) {}) }
	test("you@there.test", t.Context())
	test("nobody@there.test", t.Context())
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	test("you@there.test", cancelled)
	r.provider.SetFaults(providertest.Faults{SMTP: at(providertest.StepMail, providertest.Action{Drop: true})})
	test("you@there.test", t.Context())
	want := []string{"test sent me@corp.test", "test refused me@corp.test: There is no such recipient.", "test aborted me@corp.test"}
	got := kinds(r.server)
	if len(got) != 4 || strings.Join(got[:3], "|") != strings.Join(want, "|") || !strings.HasPrefix(got[3], "test failed me@corp.test: ") {
		t.Errorf("got %q", got)
	}
	list := r.server.Activity(0)
	if a := list[0]; a.Recipients != 1 || a.Bytes < 100 || a.Took <= 0 || !strings.HasPrefix(a.Reply, "250 ") || a.Session == "" || a.Own {
		t.Errorf("the first: %+v", a)
	}
	if text, _ := json.Marshal(list); strings.Contains(string(text), "there.test") {
		t.Errorf("the list names recipients: %s", text)
	}
	s := r.server.Snapshot()
	if a := s.Accounts[0]; s.Totals["sent"] != 1 || s.Totals["refused"] != 1 || s.PerMinute[59]+s.PerMinute[58] != 1 || a.Sent != 1 || a.SentToday > 1 || a.Messages != 0 || s.Messages != 0 {
		t.Errorf("totals %v, account %+v", s.Totals, a)
	}
}

// TestHistoryOutlivesTheServer: the list, the day's counts and the last result are there after a
// restart, and the file names nobody else.
func TestHistoryOutlivesTheServer(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	p.message(me, "you@there.test", "Subject: secret words\r\n\r\nhello\r\n")
	p.do("QUIT", "221")
	q := r.dial()
	q.do("EHLO x", "250")
	q.do("AUTH PLAIN "+plainResponse("who@corp.test", password), "535")
	eventually(t, "both are listed", func() bool { return len(r.server.Activity(0)) == 2 })
	before := r.server.Snapshot().Accounts[0]
	if err := r.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := readText(t, historyPath(r.config))
	for _, word := range []string{"there.test", "secret", "hello", password} {
		if strings.Contains(file, word) {
			t.Errorf("the file has %q: %s", word, file)
		}
	}
	cfg, err := config.Load(r.config)
	if err != nil {
		t.Fatal(err)
	}
	next, err := New(Options{Config: cfg, ConfigPath: r.config, Secrets: r.secrets})
	if err != nil {
		t.Fatal(err)
	}
	after := next.Snapshot().Accounts[0]
	if got := strings.Join(kinds(next), "|"); got != "message sent me@corp.test|login refused who@corp.test: Unknown user name." {
		t.Errorf("the list is %s", got)
	}
	if after.SentToday != before.SentToday || after.Recipients != before.Recipients || !after.LastMessage.Equal(before.LastMessage) || after.LastResult != api.Sent {
		t.Errorf("got %+v, was %+v", after, before)
	}

	if _, err := next.Configure(t.Context(), api.SettingsChange{History: new(false)}); err != nil {
		t.Fatal(err)
	}
	if err := next.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(historyPath(r.config)); err == nil || !strings.Contains(readText(t, r.config), "history = false") {
		t.Error("the history was switched off, and its file is still there")
	}
}

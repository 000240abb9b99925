package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestTokenFaults checks what a mail program is told, and that no fault stops the server.
func TestTokenFaults(t *testing.T) {
	t.Run("revoked", func(t *testing.T) {
		r := newRig(t, rigOptions{accounts: []string{"fine@corp.test"}})
		r.provider.Revoke(me)
		p := r.dial()
		p.do("EHLO x", "250")
		got := p.do("AUTH PLAIN "+plainResponse(me, password), "535 5.7.8 ")
		if !strings.Contains(got, "waxseal account reauthorize "+me) {
			t.Errorf("no cure in %q", got)
		}
		before := r.provider.Counts().TokenRequests
		p.do("AUTH PLAIN "+plainResponse(me, password), "535 5.7.8 ")
		if n := r.provider.Counts().TokenRequests; n != before || before != 1 {
			t.Errorf("%d token requests, then %d; want 1 in all", before, n)
		}
		if s := r.server.Snapshot(); s.Breakers[0].State != api.Closed || s.Breakers[0].Failures != 0 {
			t.Errorf("a revoked account counts against the endpoint: %+v", s.Breakers[0])
		}
		r.login("fine@corp.test")
		r.add(me) // gives consent again
		r.login(me)
	})
	t.Run("endpoint down", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		var requests int
		var mu sync.Mutex
		r.provider.SetFaults(providertest.Faults{Token: func(*http.Request) providertest.TokenFault {
			mu.Lock()
			defer mu.Unlock()
			requests++
			return providertest.TokenFault{Status: 503, Header: http.Header{"Retry-After": {"0"}}}
		}})
		p := r.dial()
		p.do("EHLO x", "250")
		for range 5 {
			p.do("AUTH PLAIN "+plainResponse(me, password), "454 4.7.0 ")
		}
		mu.Lock()
		asked := requests
		mu.Unlock()
		got := p.do("AUTH PLAIN "+plainResponse(me, password), "454 4.7.0 ")
		if !strings.Contains(got, " seconds") {
			t.Errorf("no time left in %q", got)
		}
		mu.Lock()
		defer mu.Unlock()
		if requests != asked {
			t.Error("an open breaker let a request through")
		}
		if s := r.server.Snapshot(); s.Breakers[0].State != api.Open {
			t.Errorf("breaker: %+v", s.Breakers[0])
		}
	})
	t.Run("wrong password touches no token", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		p := r.dial()
		p.do("EHLO x", "250")
		p.do("AUTH PLAIN "+plainResponse(me, "wrong"), "535 5.7.8 ")
		p.do("AUTH PLAIN "+plainResponse("nobody@corp.test", password), "535 5.7.8 ")
		if n := r.provider.Counts().TokenRequests; n != 0 {
			t.Errorf("%d token requests", n)
		}
		p.do("AUTH PLAIN "+plainResponse(me, password), "235")
	})
	t.Run("refused by the mail server once", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		p := r.login(me)
		r.provider.ExpireAccess(me)
		r.server.hall.Mailbox(me).Pool.Drop()
		if got := p.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("SMTP AUTH switched off", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action {
			if e.Step == providertest.StepAuth {
				return providertest.Action{Code: 535, Text: "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."}
			}
			return providertest.Action{}
		}})
		p := r.dial()
		p.do("EHLO x", "250")
		got := p.do("AUTH PLAIN "+plainResponse(me, password), "535 5.7.139 ")
		if !strings.Contains(got, "administrator") {
			t.Errorf("no cure in %q", got)
		}
		if s := r.server.Accounts()[0]; s.State != "smtp_disabled" {
			t.Errorf("state %q", s.State)
		}
	})
}

// TestKeystoreAway: while the keystore cannot be read, logins get a 454 and nothing is
// forgotten. Once it can be read again, it is used again.
func TestKeystoreAway(t *testing.T) {
	r := newRig(t, rigOptions{})
	if err := r.server.SetLogin(t.Context(), me, me); err != nil { // the password is not in memory then, as after a start
		t.Fatal(err)
	}
	r.secrets.Fail(keystore.ErrLocked)
	p := r.dial()
	p.do("EHLO x", "250")
	got := p.do("AUTH PLAIN "+plainResponse(me, password), "454 4.7.0 ")
	if !strings.Contains(got, keystore.Cure(keystore.ErrLocked)) {
		t.Errorf("no cure in %q", got)
	}
	if ks := r.server.Snapshot().Keystore; ks.Problem == nil || ks.Problem.State != api.KeystoreLocked || ks.Problem.Cure.IsZero() {
		t.Errorf("keystore status: %+v", ks)
	}
	r.secrets.Fail(nil)
	p.do("AUTH PLAIN "+plainResponse(me, password), "235")
	if ks := r.server.Snapshot().Keystore; ks.Problem != nil {
		t.Errorf("keystore status: %+v", ks)
	}
	if got := p.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("got %q", got)
	}
}

// TestUpstreamFaults checks the class of the reply for a fault at each step, and that no
// message arrives that was not acknowledged.
func TestUpstreamFaults(t *testing.T) {
	tests := []struct {
		name   string
		fault  func(e providertest.Event) providertest.Action
		want   string
		arrive int
	}{
		{"421 to MAIL", at(providertest.StepMail, providertest.Action{Code: 421, Text: "4.3.2 Later"}), "4", 0},
		{"451 to the body", at(providertest.StepFinal, providertest.Action{Code: 451, Text: "4.3.0 Later"}), "451 4.3.0 Later", 0},
		{"554 to the body", at(providertest.StepFinal, providertest.Action{Code: 554, Text: "5.2.0 Daily limit\n5.2.0 come back tomorrow"}), "554-5.2.0 Daily limit\n554 5.2.0 come back tomorrow", 0},
		{"drop in the body", at(providertest.StepBody, providertest.Action{Drop: true}), "451 4.4.2", 0},
		{"drop after the body", at(providertest.StepFinal, providertest.Action{Drop: true, Deliver: true}), "451 4.4.2", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			p := r.login(me)
			r.provider.SetFaults(providertest.Faults{SMTP: tt.fault})
			p.do("MAIL FROM:<me@corp.test>", "250")
			p.send("RCPT TO:<you@there.test>\r\n")
			got := p.reply()
			if strings.HasPrefix(got, "250") {
				p.do("DATA", "354")
				p.send("hello\r\n.\r\n")
				got = p.reply()
			}
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %s…", got, tt.want)
			}
			if n := len(r.provider.Messages()); n != tt.arrive {
				t.Errorf("%d messages arrived", n)
			}
			r.provider.SetFaults(providertest.Faults{})
			p.do("RSET", "250")
			if got := p.message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
				t.Errorf("afterwards: %q", got)
			}
			if tt.arrive == 1 {
				if s := r.server.Snapshot(); s.Totals["unknown"] != 1 {
					t.Errorf("totals: %v", s.Totals)
				}
			}
		})
	}
}

// A provider's reply that begins like one of go-smtp's was mistaken for one: its 554 became a
// 451 with Waxseal's words, and the mail program sent the message again.
func TestProvidersWordsThatAreGoSMTPsToo(t *testing.T) {
	for _, said := range []string{
		"554 5.0.0 Error: transaction failed: rejected as spam", "501 5.5.2 Bad command", "250 2.0.0 Continue",
		"550-5.7.1 not\there\n550 5.0.0 Error: transaction failed: nor there", "421 4.0.0 Internal server error",
	} {
		var a providertest.Action
		a.Code, _ = strconv.Atoi(said[:3])
		a.Text = strings.ReplaceAll(said[4:], "\n550 ", "\n")
		r := newRig(t, rigOptions{})
		for _, how := range []string{"RCPT", "DATA", "BDAT"} {
			step := providertest.StepFinal
			if how == "RCPT" {
				step = providertest.StepRcpt
			}
			r.provider.SetFaults(providertest.Faults{SMTP: at(step, a)})
			p := r.login(me)
			p.do("MAIL FROM:<me@corp.test>", "250")
			p.send("RCPT TO:<you@there.test>\r\n")
			got := p.reply()
			switch how {
			case "DATA":
				p.do("DATA", "354")
				p.send("hello\r\n.\r\n")
				got = p.reply()
			case "BDAT":
				p.send("BDAT 5 LAST\r\nhello")
				got = p.reply()
			}
			if strings.TrimRight(strings.ReplaceAll(got, "\r", ""), "\n") != said {
				t.Errorf("%s: got %q, want %q", how, got, said)
			}
		}
		for _, m := range r.server.Activity(0) {
			if !strings.HasPrefix(m.Reply, said[:3]+" ") || strings.Contains(m.Reply, "\x00") {
				t.Errorf("the activity says %q", m.Reply)
			}
		}
		if strings.Contains(r.log.String(), `\x00`) {
			t.Errorf("the log has the mark: %s", r.log.String())
		}
	}
}

func at(step string, a providertest.Action) func(providertest.Event) providertest.Action {
	return func(e providertest.Event) providertest.Action {
		if e.Step == step {
			return a
		}
		return providertest.Action{}
	}
}

// TestEvery250ArrivedOnce: 5% of connections are lost in the middle of a body, 10% of messages
// get a 451, 20% of greetings are a 421, and half of the token requests fail. Every message
// that was acknowledged arrives exactly once and unchanged, and no other arrives.
func TestEvery250ArrivedOnce(t *testing.T) {
	const programs, messages = 16, 40
	var accounts []string
	for i := range programs {
		accounts = append(accounts, fmt.Sprintf("user%d@corp.test", i))
	}
	r := newRig(t, rigOptions{accounts: accounts, provider: providertest.Options{Rotate: true}})
	faults := providertest.Odds{Seed: 7, Greeting: .2, Final: .1, DropBody: .05, Token: .5}.Faults()
	r.provider.SetFaults(faults)
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	refusals := 0
	var all sync.WaitGroup
	for i, a := range accounts {
		all.Go(func() {
			for n := range messages {
				body := fmt.Sprintf("Message-ID: <%d.%d@corp.test>\r\n\r\n%s", i, n, strings.Repeat("..storm\r\n", n*20))
				ok := sendOnce(r, a, body)
				mu.Lock()
				if ok {
					acknowledged[sum(body)] = true
				} else {
					refusals++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	arrived := map[string]int{}
	for _, m := range r.provider.Messages() {
		arrived[m.SHA256]++
	}
	for s := range acknowledged {
		if arrived[s] != 1 {
			t.Errorf("an acknowledged message arrived %d times", arrived[s])
		}
	}
	if len(arrived) != len(acknowledged) {
		t.Errorf("%d arrived, %d were acknowledged", len(arrived), len(acknowledged))
	}
	if len(acknowledged) == 0 || refusals == 0 {
		t.Errorf("%d acknowledged, %d refused: that was too easy", len(acknowledged), refusals)
	}
	t.Logf("%d acknowledged, %d refused, seed 7", len(acknowledged), refusals)
}

// sendOnce tries to send one message on one connection, and reports whether it was
// acknowledged.
func sendOnce(r *rig, address, body string) bool {
	p := r.dial()
	defer p.conn.Close()
	steps := []struct{ line, ok string }{
		{"EHLO x", "250"}, {"AUTH PLAIN " + plainResponse(address, password), "235"}, {"MAIL FROM:<" + address + ">", "250"},
		{"RCPT TO:<you@there.test>", "250"}, {"DATA", "354"},
		{stuffed(body) + ".", "250"},
	}
	for _, s := range steps {
		io.WriteString(p.conn, s.line+"\r\n")
		if !strings.HasPrefix(p.reply(), s.ok) {
			return false
		}
	}
	return true
}

// TestStopDoesNotWaitForALogin: a mail program whose AUTH waits for a token or for the mail
// server is told at once that the server is stopping. It has to try again anyway.
func TestStopDoesNotWaitForALogin(t *testing.T) {
	asked := make(chan struct{}, 1)
	for name, faults := range map[string]providertest.Faults{
		"token endpoint hangs": {Token: func(*http.Request) providertest.TokenFault {
			asked <- struct{}{}
			return providertest.TokenFault{Hang: true}
		}},
		"mail server hangs": {SMTP: func(e providertest.Event) providertest.Action {
			if e.Step == providertest.StepAuth {
				asked <- struct{}{}
				return providertest.Action{Hang: true}
			}
			return providertest.Action{}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			r.provider.SetFaults(faults)
			p := r.dial()
			p.do("EHLO x", "250")
			p.send("AUTH PLAIN " + plainResponse(me, password) + "\r\n")
			<-asked
			done := make(chan error, 1)
			go func() { done <- r.server.Shutdown(context.Background()) }() // without a limit
			p.expect("454 4.7.0")
			p.expect("421 4.3.2")
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// stuffed is a body with its dots doubled (RFC 5321 section 4.5.2).
func stuffed(body string) string {
	return strings.TrimPrefix(strings.ReplaceAll("\r\n"+body, "\r\n.", "\r\n.."), "\r\n")
}

package providertest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// at makes a hook that acts at one step.
func at(step string, act Action) Faults {
	return Faults{SMTP: func(e Event) Action {
		if e.Step == step {
			return act
		}
		return Action{}
	}}
}

// conversation is a whole message, as pairs of what is sent and how the reply begins if all is well.
func conversation(t *testing.T, p *Provider) [][2]string {
	return [][2]string{
		{"", "220 "}, {"EHLO c.test\r\n", "250-"}, {"AUTH XOAUTH2 " + xoauth2(me, p.accessToken(t, me)) + "\r\n", "235 "},
		{"RSET\r\n", "250 "}, {"NOOP\r\n", "250 "}, {"MAIL FROM:<a@x.test>\r\n", "250 "}, {"RCPT TO:<b@x.test>\r\n", "250 "},
		{"BDAT 3 LAST\r\nabc", "250 2.0.0 OK"}, {"MAIL FROM:<a@x.test>\r\n", "250 "}, {"RCPT TO:<b@x.test>\r\n", "250 "},
		{"DATA\r\n", "354 "}, {"abc\r\n.\r\n", "250 2.0.0 OK"}, {"QUIT\r\n", "221 "},
	}
}

// TestSteps shows that the hook is called at each step, in order, and with what it needs to know.
func TestSteps(t *testing.T) {
	p := start(t, Options{})
	var got []string
	p.SetFaults(Faults{SMTP: func(e Event) Action {
		if strings.Contains(e.Line, "Bearer") || e.Step == StepAuth && (e.Line != "XOAUTH2" || e.Account != me) {
			t.Errorf("event %+v", e)
		}
		got = append(got, fmt.Sprintf("%d %s %s %d", e.Message, e.Step, e.Line, e.Bytes))
		return Action{}
	}})
	c := dial(t, p.SMTPSAddr, trust(p))
	for _, pair := range conversation(t, p) {
		c.send(pair[0])
		c.expect(pair[1])
	}
	c.ended()
	want := []string{"0 tls  0", "0 greeting  0", "0 ehlo EHLO c.test 0", "0 auth XOAUTH2 0", "0 rset RSET 0", "0 noop NOOP 0",
		"1 mail MAIL FROM:<a@x.test> 0", "1 rcpt RCPT TO:<b@x.test> 0", "1 chunk BDAT 3 LAST 3", "1 body  3", "1 final  3",
		"2 mail MAIL FROM:<a@x.test> 0", "2 rcpt RCPT TO:<b@x.test> 0", "2 data DATA 0", "2 body  5", "2 final  5", "2 quit QUIT 0"}
	if !slices.Equal(got, want) {
		t.Errorf("steps\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestActions does each kind of action at each step of a message.
func TestActions(t *testing.T) {
	steps := map[string]int{StepGreeting: 0, StepEHLO: 1, StepAuth: 2, StepRset: 3, StepNoop: 4, StepMail: 5, StepRcpt: 6,
		StepChunk: 7, StepBody: 7, StepFinal: 7, StepData: 10, StepQuit: 12}
	actions := map[string]Action{
		"451":   {Code: 451, Text: "4.3.0 first line\n4.3.0 second line"},
		"421":   {Code: 421, Text: "4.3.2 going down"},
		"raw":   {Raw: "garbage without end"},
		"drop":  {Drop: true},
		"hang":  {Hang: true},
		"delay": {Delay: time.Nanosecond},
	}
	for step, i := range steps {
		for name, act := range actions {
			t.Run(step+" "+name, func(t *testing.T) {
				p := start(t, Options{})
				lines := conversation(t, p)
				p.SetFaults(at(step, act))
				c := dial(t, p.PlainAddr, nil)
				for _, pair := range lines[:i] {
					c.send(pair[0])
					c.expect(pair[1])
				}
				c.send(lines[i][0])
				switch name {
				case "451":
					if got := c.reply(); got != "451-4.3.0 first line\n451 4.3.0 second line" {
						t.Errorf("reply %q", got)
					}
					if step == StepBody {
						c.ended()
					}
				case "421":
					c.expect("421 4.3.2 going down")
					c.ended()
				case "raw":
					got := make([]byte, len(act.Raw))
					if _, err := io.ReadFull(c.r, got); err != nil || string(got) != act.Raw {
						t.Errorf("read %q, %v", got, err)
					}
				case "drop":
					// The client's unread bytes may turn the end into a reset. Either way there
					// must be no reply.
					if got, _ := io.ReadAll(c.r); len(got) > 0 {
						t.Errorf("said %q", got)
					}
				case "hang":
					c.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
					if got, err := io.ReadAll(c.r); len(got) > 0 || !timedOut(err) {
						t.Errorf("said %q, %v", got, err)
					}
				case "delay":
					c.expect(lines[i][1])
				}
				refused := i <= 7 && name != "delay" && step != StepRset && step != StepNoop
				if n := p.Counts().Messages; refused && n != 0 {
					t.Errorf("%d messages were accepted", n)
				}
			})
		}
	}
}

// TestTLSFault answers a handshake with clear text.
func TestTLSFault(t *testing.T) {
	p := start(t, Options{})
	p.SetFaults(at(StepTLS, Action{Raw: "not TLS\r\n"}))
	c := dial(t, p.SMTPSAddr, nil)
	if got, _ := io.ReadAll(c.r); string(got) != "not TLS\r\n" {
		t.Errorf("read %q", got)
	}
}

// TestKindActions changes the text of replies and lets the commands take effect.
func TestKindActions(t *testing.T) {
	p := start(t, Options{})
	p.SetFaults(Faults{SMTP: func(e Event) Action {
		switch e.Step {
		case StepEHLO:
			return Action{Code: 250, Text: "odd.test\nAUTH XOAUTH2"}
		case StepFinal:
			return Action{Code: 250, Text: "2.6.0 <x> [InternalId=1] Queued mail for delivery"}
		}
		return Action{}
	}})
	token := p.accessToken(t, me)
	c := dial(t, p.PlainAddr, nil)
	c.expect("220 ")
	if got := c.do("EHLO c.test", "250-"); got != "250-odd.test\n250 AUTH XOAUTH2" {
		t.Errorf("EHLO: %s", got)
	}
	c.do("AUTH XOAUTH2 "+xoauth2(me, token), "235 ")
	c.do("MAIL FROM:<a@x.test>", "250 2.1.0")
	c.do("RCPT TO:<b@x.test>", "250 2.1.5")
	c.send("BDAT 0 LAST\r\n")
	c.expect("250 2.6.0 <x> [InternalId=1]")
	if p.Counts().Messages != 1 {
		t.Error("the message must be recorded")
	}
}

// TestReportAction sends the hook's own error report, and 535 after it.
func TestReportAction(t *testing.T) {
	p := start(t, Options{})
	token := p.accessToken(t, me)
	p.SetFaults(at(StepAuth, Action{Code: 334, Text: `{"status":"401"}`}))
	c := dial(t, p.PlainAddr, nil)
	c.expect("220 ")
	c.do("EHLO c.test", "250-")
	c.do("AUTH XOAUTH2 "+xoauth2(me, token), "334 eyJzdGF0dXMiOiI0MDEifQ==")
	c.do("", "535-5.7.8")
}

// TestChunkFault shows that a refused chunk is read before the reply, and that nothing more is
// accepted before RSET.
func TestChunkFault(t *testing.T) {
	p := start(t, Options{})
	c := login(t, p)
	p.SetFaults(Faults{SMTP: func(e Event) Action {
		if e.Step == StepChunk && e.Bytes == 100_000 {
			return Action{Code: 452, Text: "4.3.1 no room"}
		}
		return Action{}
	}})
	c.send("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 2\r\nabBDAT 100000\r\n%sBDAT 3 LAST\r\nabc", strings.Repeat("x", 100_000))
	for _, want := range []string{"250 ", "250 ", "250 2.0.0 2 octets", "452 4.3.1", "503 5.5.1"} {
		c.expect(want)
	}
	c.do("MAIL FROM:<a@x.test>", "503 5.5.1")
	c.send("RSET\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 3 LAST\r\nabc")
	for _, want := range []string{"250 ", "250 ", "250 ", "250 2.0.0 OK"} {
		c.expect(want)
	}
	arrived(t, p, []byte("abc"))
}

// TestLostReply records a message whose reply is lost, so the client cannot know the outcome.
func TestLostReply(t *testing.T) {
	p := start(t, Options{})
	p.SetFaults(at(StepFinal, Action{Drop: true, Deliver: true}))
	c := login(t, p)
	c.do("MAIL FROM:<a@x.test>", "250 ")
	c.do("RCPT TO:<b@x.test>", "250 ")
	c.send("BDAT 3 LAST\r\nabc")
	if got, _ := io.ReadAll(c.r); len(got) > 0 {
		t.Errorf("said %q", got)
	}
	arrived(t, p, []byte("abc"))
}

// TestOdds gets the same faults for the same seed, about as many as the odds say, and other ones
// for another seed.
func TestOdds(t *testing.T) {
	o := Odds{Seed: 1, Greeting: 0.2, Mail: 0.1, Rcpt: 0.3, Final: 0.1, DropBody: 0.05, DropFinal: 0.02}
	other := o
	other.Seed = 2
	first, again, third := o.Faults().SMTP, o.Faults().SMTP, other.Faults().SMTP
	const n = 10000
	for step, odds := range map[string]float64{StepGreeting: 0.2, StepMail: 0.1, StepRcpt: 0.3, StepFinal: 0.118, StepBody: 0.05, StepQuit: 0} {
		hits, differ := 0, 0
		for i := range n {
			e := Event{Conn: i/10 + 1, Message: i%10 + 1, Step: step}
			if first(e) != again(e) {
				t.Fatalf("%+v: %+v, then %+v", e, first(e), again(e))
			}
			if first(e) != (Action{}) {
				hits++
			}
			if first(e) != third(e) {
				differ++
			}
		}
		if d := float64(hits)/n - odds; d > 0.02 || d < -0.02 || (hits == 0) != (differ == 0) {
			t.Errorf("%s: %d of %d, odds %v; %d differ from another seed's", step, hits, n, odds, differ)
		}
	}
}

// TestTokenFaults shows each faulty response of the token endpoint.
func TestTokenFaults(t *testing.T) {
	p := start(t, Options{})
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {p.Grant(me)}, "client_id": {"c"}}
	ask := func(f TokenFault) (*http.Response, string) {
		p.SetFaults(Faults{Token: func(r *http.Request) TokenFault {
			if r.PostForm.Get("grant_type") != "refresh_token" {
				t.Error("the hook must see the form")
			}
			return f
		}})
		resp, err := plain().PostForm(p.TokenURL(), form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	if r, body := ask(TokenFault{Status: 503, Header: http.Header{"Retry-After": {"7"}}}); r.StatusCode != 503 || r.Header.Get("Retry-After") != "7" || body != "" {
		t.Errorf("503: %v %q", r, body)
	}
	if r, body := ask(TokenFault{Status: 200, Header: http.Header{"content-type": {"text/html"}}, Body: "<html>"}); r.Header.Get("Content-Type") != "text/html" || body != "<html>" {
		t.Errorf("HTML: %v %q", r, body)
	}
	if r, _ := ask(TokenFault{Status: 302, Header: http.Header{"Location": {"http://127.0.0.1:1/"}}}); r.StatusCode != 302 || r.Header.Get("Location") == "" {
		t.Errorf("redirect: %v", r)
	}
	if _, body := ask(TokenFault{Status: 200, Body: "{", Pad: 100_000}); len(body) != 100_001 {
		t.Errorf("huge: %d octets", len(body))
	}
	if _, body := ask(TokenFault{ExpiresIn: `"3599"`, Delay: time.Nanosecond}); !strings.Contains(body, `"expires_in":"3599"`) {
		t.Errorf("string: %s", body)
	}
	if _, body := ask(TokenFault{ExpiresIn: "-"}); strings.Contains(body, "expires_in") || !strings.Contains(body, "access_token") {
		t.Errorf("absent: %s", body)
	}
	if n := p.Counts(); n.TokenRequests != 6 || n.Refreshes != 2 {
		t.Errorf("counts %+v", n)
	}
}

// TestTokenSilence shows the two ways to get no response. Close ends the second one.
func TestTokenSilence(t *testing.T) {
	p := start(t, Options{})
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {p.Grant(me)}, "client_id": {"c"}}
	p.SetFaults(Faults{Token: func(*http.Request) TokenFault { return TokenFault{Drop: true} }})
	if resp, err := plain().PostForm(p.TokenURL(), form); err == nil {
		t.Errorf("response %v", resp.Status)
	}
	asked := make(chan bool)
	p.SetFaults(Faults{Token: func(*http.Request) TokenFault { close(asked); return TokenFault{Hang: true} }})
	done := make(chan error)
	go func() {
		_, err := plain().PostForm(p.TokenURL(), form)
		done <- err
	}()
	<-asked
	p.Close()
	if err := <-done; err == nil {
		t.Error("a response came")
	}
	if n := p.Counts().Refreshes; n != 0 {
		t.Errorf("%d refreshes", n)
	}
}

func TestExpiredCertificate(t *testing.T) {
	p := start(t, Options{})
	p.SetFaults(Faults{SMTP: func(e Event) Action { return Action{Expired: e.Step == StepTLS} }})
	_, err := tls.Dial("tcp", p.SMTPSAddr, &tls.Config{RootCAs: p.Pool(), ServerName: "localhost"})
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("got %v, want an expired certificate", err)
	}
}

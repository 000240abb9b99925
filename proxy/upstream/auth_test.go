package upstream

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/dial"
)

const report = `{"status":"401","schemes":"bearer mac","scope":"https://mail.example/"}`

func TestMechanisms(t *testing.T) {
	login := "me=x,y@corp.example"
	for _, c := range []struct {
		offered, mech, response string
	}{
		{"AUTH PLAIN OAUTHBEARER XOAUTH2", "XOAUTH2", "user=" + login + "\x01auth=Bearer token-1\x01\x01"},
		{"auth=login xoauth2", "XOAUTH2", "user=" + login + "\x01auth=Bearer token-1\x01\x01"},
		{"AUTH OAUTHBEARER", "OAUTHBEARER", "n,a=me=3Dx=2Cy@corp.example,\x01host=127.0.0.1\x01port=%s\x01auth=Bearer token-1\x01\x01"},
	} {
		f := start(t, &fake{ext: append(without("AUTH"), c.offered)})
		p := newPool(t, f, func(c *Config) { c.Login = login })
		if err := p.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		said := f.said(1)
		mech, response, _ := strings.Cut(strings.TrimPrefix(said[len(said)-1], "AUTH "), " ")
		got, err := base64.StdEncoding.DecodeString(response)
		want := c.response
		if strings.Contains(want, "%s") {
			want = fmt.Sprintf(want, strings.TrimPrefix(p.cfg.Addr, "127.0.0.1:"))
		}
		if mech != c.mech || string(got) != want || err != nil {
			t.Errorf("%s: %s %q, %v", c.offered, mech, got, err)
		}
	}
	f := start(t, &fake{ext: append(without("AUTH"), "AUTH PLAIN LOGIN")})
	if err := newPool(t, f).Check(t.Context()); !errors.Is(err, dial.ErrNoOAuth) {
		t.Errorf("neither offered: %v", err)
	}
}

// The token goes with the command only if the line stays short.
func TestLongTokensInTwoSteps(t *testing.T) {
	for _, mech := range []string{"XOAUTH2", "OAUTHBEARER"} {
		for _, size := range []int{10, 300, 310, 320, 330, 400, 3000, 9000} {
			f := start(t, &fake{ext: append(without("AUTH"), "AUTH "+mech)})
			p := newPool(t, f, func(c *Config) { c.Tokens = &fakeTokens{values: []string{strings.Repeat("t", size)}} })
			if err := p.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			said := f.said(1)
			last, before := said[len(said)-1], said[len(said)-2]
			response, err := dial.InitialResponse(mech, p.cfg.Login, p.cfg.Addr, strings.Repeat("t", size))
			if err != nil {
				t.Fatal(err)
			}
			if whole := "AUTH " + mech + " " + response; len(whole)+2 <= 500 {
				if last != whole {
					t.Errorf("%s, %d bytes: %q", mech, size, last)
				}
			} else if last != response || before != "AUTH "+mech {
				t.Errorf("%s, %d bytes: %.60q, %.60q", mech, size, before, last)
			}
		}
	}
}

// refusing answers every AUTH with the report, and the answer to that with the refusal.
func refusing(refusal string) func(int, string) string {
	return func(_ int, line string) string {
		switch {
		case strings.HasPrefix(line, "AUTH "):
			return "334 " + b64(report)
		case line == "" || line == "AQ==":
			return refusal
		}
		return ""
	}
}

func TestReportIsReadAndAnswered(t *testing.T) {
	for mech, ack := range map[string]string{"XOAUTH2": "", "OAUTHBEARER": "AQ=="} {
		f := start(t, &fake{ext: append(without("AUTH"), "AUTH "+mech), on: refusing("535-5.7.8 Username and Password not accepted\r\n535 5.7.8 see help")})
		tokens := oneToken()
		p := newPool(t, f, func(c *Config) { c.Tokens = tokens })
		err := p.Check(t.Context())
		var auth *AuthError
		if !errors.As(err, &auth) {
			t.Fatal(err)
		}
		want := &AuthError{
			Reply:  Reply{535, []string{"5.7.8 Username and Password not accepted", "5.7.8 see help"}},
			Report: &dial.Report{Status: "401", Schemes: "bearer mac", Scope: "https://mail.example/"},
		}
		if !reflect.DeepEqual(auth, want) {
			t.Errorf("%s: %+v %+v", mech, auth, auth.Report)
		}
		if said := f.said(1); said[len(said)-1] != ack {
			t.Errorf("%s: the report was answered with %q", mech, said[len(said)-1])
		}
		if strings.Contains(err.Error(), "token-1") || p.Status().LoggedIn || p.Status().LastError != err.Error() {
			t.Errorf("%v, %+v", err, p.Status())
		}
	}
}

// A token that the provider refuses is refreshed once and tried once more.
func TestRefusedTokenIsRefreshedOnce(t *testing.T) {
	good := func(n int, line string) string {
		if strings.HasPrefix(line, "AUTH ") && strings.Contains(line, b64("user=me@corp.example\x01auth=Bearer token-1\x01\x01")) {
			return "535 5.7.8 expired"
		}
		return ""
	}
	f := start(t, &fake{on: good})
	tokens := &fakeTokens{values: []string{"token-1", "token-2", "token-3"}}
	p := newPool(t, f, func(c *Config) { c.Tokens = tokens })
	mustSend(t, p, "hello\r\n")
	if !reflect.DeepEqual(tokens.rejected, []string{"token-1"}) || f.connections() != 2 {
		t.Errorf("rejected %q over %d connections", tokens.rejected, f.connections())
	}

	f = start(t, &fake{on: refusing("535 5.7.8 never")})
	tokens = &fakeTokens{values: []string{"token-1", "token-2", "token-3"}}
	p = newPool(t, f, func(c *Config) { c.Tokens = tokens })
	var auth *AuthError
	if _, err := p.Begin(t.Context(), "me@corp.example", nil); !errors.As(err, &auth) {
		t.Error(err)
	}
	if !reflect.DeepEqual(tokens.rejected, []string{"token-1"}) || f.connections() != 2 {
		t.Errorf("all refused: rejected %q over %d connections", tokens.rejected, f.connections())
	}
}

func TestWhatIsNoTokenFault(t *testing.T) {
	for refusal, tries := range map[string]int{
		"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled": 1,
		"535 5.7.3 Authentication unsuccessful":                                         1,
		"454 4.7.0 later":                                                               1,
		"430 4.2.0 STOREDRV; mailbox logon failure":                                     1,
		"421 4.7.0 too many logins":                                                     1,
		"550 5.7.30 Basic authentication is not supported":                              1,
		"535 5.7.8 bad token":                                                           2,
		"535 nothing more":                                                              2,
	} {
		for _, on := range []func(int, string) string{
			refusing(refusal), // after a report
			func(_ int, line string) string { // at once
				if strings.HasPrefix(line, "AUTH ") {
					return refusal
				}
				return ""
			},
		} {
			f := start(t, &fake{on: on})
			p := newPool(t, f, func(c *Config) { c.Tokens = &fakeTokens{values: []string{"token-1", "token-2", "token-3"}} })
			err := p.Check(t.Context())
			var auth *AuthError
			if !errors.As(err, &auth) || auth.Reply.String() != refusal {
				t.Errorf("%s: %v", refusal, err)
			}
			if n := f.connections(); n != tries {
				t.Errorf("%s: %d tries, want %d", refusal, n, tries)
			}
		}
	}
}

// Exchange says 5.7.3 to an expired token, too: one that was good before is worth a refresh.
func TestTokenThatWasGood(t *testing.T) {
	f := start(t, &fake{on: func(n int, line string) string {
		if n == 2 && strings.HasPrefix(line, "AUTH ") {
			return "535 5.7.3 Authentication unsuccessful"
		}
		return ""
	}})
	tokens := &fakeTokens{values: []string{"token-1", "token-2"}}
	p := newPool(t, f, func(c *Config) { c.Tokens = tokens })
	mustSend(t, p, "one\r\n")
	p.Drop()
	mustSend(t, p, "two\r\n")
	if !reflect.DeepEqual(tokens.rejected, []string{"token-1"}) || f.connections() != 3 {
		t.Errorf("rejected %q over %d connections", tokens.rejected, f.connections())
	}
}

// When the refresh fails, its error is the one that helps.
func TestRefreshFails(t *testing.T) {
	errGone := errors.New("consent is gone")
	f := start(t, &fake{on: refusing("535 5.7.8 no")})
	p := newPool(t, f, func(c *Config) { c.Tokens = &fakeTokens{values: []string{"token-1"}, err: errGone} })
	if err := p.Check(t.Context()); !errors.Is(err, errGone) {
		t.Error(err)
	}
	if err := p.Check(t.Context()); !errors.Is(err, errGone) || f.connections() != 1 {
		t.Errorf("%v over %d connections; without a token there is no reason to connect", err, f.connections())
	}
}

func TestOddAnswersToAuth(t *testing.T) {
	for _, c := range []struct{ auth, ack string }{
		{"334 " + b64(report), "235 in after all?"},
		{"334 " + b64(report), "334 more?"},
		{"334 what?", "drop"},
		{"354 go", ""},
		{"drop", ""},
		{"nonsense", ""},
	} {
		f := start(t, &fake{on: func(_ int, line string) string {
			switch {
			case strings.HasPrefix(line, "AUTH "):
				return c.auth
			case line == "":
				return c.ack
			}
			return ""
		}})
		err := newPool(t, f).Check(t.Context())
		var lost *ConnError
		if !errors.As(err, &lost) || lost.Op != "AUTH" || lost.Started {
			t.Errorf("%q %q: %v", c.auth, c.ack, err)
		}
	}
}

// A server that reports on the token and hangs up has refused it. The report is its words.
func TestHangUpAfterTheReport(t *testing.T) {
	for _, parting := range []string{"drop", "drop 535-5.7.8 no\r\n"} {
		f := start(t, &fake{on: refusing(parting)})
		tokens := &fakeTokens{values: []string{"token-1", "token-2", "token-3"}}
		p := newPool(t, f, func(c *Config) { c.Tokens = tokens })
		want := &AuthError{Reply: Reply{334, []string{report}}, Report: &dial.Report{Status: "401", Schemes: "bearer mac", Scope: "https://mail.example/"}}
		if parting != "drop" {
			want.Reply = Reply{535, []string{"5.7.8 no"}}
		}
		var auth *AuthError
		if err := p.Check(t.Context()); !errors.As(err, &auth) || !reflect.DeepEqual(auth, want) {
			t.Errorf("%q: %v", parting, err)
		}
		if !reflect.DeepEqual(tokens.rejected, []string{"token-1"}) || f.connections() != 2 {
			t.Errorf("%q: rejected %q over %d connections", parting, tokens.rejected, f.connections())
		}
	}
}

// Some servers do not look for the response in the AUTH command, and ask for it with an empty
// challenge (RFC 4954 section 4).
func TestResponseAskedFor(t *testing.T) {
	for _, challenge := range []string{"334", "334 ", "334  ", "334-", "334\t"} {
		f := start(t, &fake{on: at("AUTH ", challenge)})
		p := newPool(t, f)
		mustSend(t, p, "x\r\n")
		response := b64("user=me@corp.example\x01auth=Bearer token-1\x01\x01")
		if said := f.said(1); said[2] != "AUTH XOAUTH2 "+response || said[3] != response {
			t.Errorf("%q: said %q", challenge, said)
		}
	}
}

// A reply to AUTH whose lines have a blank after each code.
func TestRepliesToAuthInLines(t *testing.T) {
	for reply, want := range map[string]string{"235 welcome\r\n235 back": "", "535 5.7.8 no\r\n535 5.7.8 no such user": "535 5.7.8 no / 5.7.8 no such user"} {
		f := start(t, &fake{on: at("AUTH ", reply)})
		p := newPool(t, f)
		if want == "" {
			mustSend(t, p, "x\r\n")
		} else if err := p.Check(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", reply, err)
		}
	}
}

// Exchange has refused AUTH without a response and taken it with one: "504 5.7.4 Unrecognized
// authentication type" to every token that is long. A refusal of the token itself is final.
func TestResponseWantedWithTheCommand(t *testing.T) {
	for refusal, again := range map[string]bool{"504 5.7.4 Unrecognized authentication type": true, "501 5.5.4 Syntax": true, "535 5.7.8 no": false, "454 4.7.0 later": false, "421 4.3.2 bye": false} {
		f := start(t, &fake{on: func(_ int, line string) string {
			if line == "AUTH XOAUTH2" {
				return refusal
			}
			return ""
		}})
		tokens := &fakeTokens{values: []string{strings.Repeat("t", 3000), strings.Repeat("u", 3000)}}
		p := newPool(t, f, func(c *Config) { c.Tokens = tokens })
		err := p.Check(t.Context())
		said := f.said(1)
		whole := strings.HasPrefix(said[len(said)-1], "AUTH XOAUTH2 ")
		if whole != again || (err == nil) != again {
			t.Errorf("%s: %.60q, %v", refusal, said[len(said)-1], err)
		}
	}
	f := start(t, &fake{on: func(_ int, line string) string {
		switch {
		case line == "AUTH XOAUTH2":
			return "504 5.5.4 Unrecognized authentication type"
		case strings.HasPrefix(line, "AUTH XOAUTH2 "):
			return "drop"
		}
		return ""
	}})
	p := newPool(t, f, func(c *Config) { c.Tokens = &fakeTokens{values: []string{strings.Repeat("t", 3000)}} })
	if err := p.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "504 5.5.4") {
		t.Errorf("a line too long for the server: %v", err)
	}
}

// Whatever the code of a refusal, it is the account's: its words come back, the next account on that
// host is let in, and the breaker between them has nothing to do with it.
func TestLoginRefusedWithAnyCode(t *testing.T) {
	hosts := breaker.New("smtp", breaker.Settings{Failures: 2})
	for _, refusal := range []string{
		"421 4.7.0 closing", "432 4.7.12 A password transition is needed", "454 4.7.0 Too many login attempts", "500 5.5.6 Line too long",
		"501 5.5.124 Invalid XOAUTH2 auth data", "503 5.5.1 out of order", "504 5.5.4 Unrecognized authentication type",
		"530 5.7.0 Must issue a STARTTLS command first", "534 5.7.14 Please log in via your web browser", "535 5.7.8 no",
		"538 5.7.11 Encryption required", "550 5.7.1 blocked", "554 5.7.0 Too many bad auth attempts", "570 odd",
	} {
		f := start(t, &fake{on: func(_ int, line string) string {
			if strings.Contains(line, b64("user=bad@corp.example\x01auth=Bearer token-1\x01\x01")) {
				return refusal
			}
			return ""
		}})
		bad := newPool(t, f, func(c *Config) { c.Login, c.Breaker = "bad@corp.example", hosts })
		good := newPool(t, f, func(c *Config) { c.Breaker = hosts })
		for range 3 {
			var auth *AuthError
			if err := bad.Check(t.Context()); !errors.As(err, &auth) || auth.Reply.String() != refusal {
				t.Errorf("%q: %v", refusal, err)
			}
		}
		mustSend(t, good, "x\r\n")
	}
	if s := hosts.Status(); s.Transitions != 0 || s.Failures != 0 {
		t.Errorf("%+v", s)
	}
}

// Check costs one login for each token, however many ask, and leaves the connection warm.
func TestCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		f := &fake{on: func(_ int, line string) string {
			if strings.HasPrefix(line, "AUTH ") {
				<-gate
			}
			return ""
		}}
		t.Cleanup(f.stop)
		tokens := &fakeTokens{values: []string{"token-1", "token-2"}}
		p := newPool(t, f, func(c *Config) { c.Tokens = tokens; c.MaxConnections = 3 })
		errs := make(chan error, 50)
		for range 50 {
			go func() { errs <- p.Check(t.Context()) }()
		}
		synctest.Wait()
		if n := f.connections(); n != 1 {
			t.Errorf("%d connections for 50 callers", n)
		}
		close(gate)
		for range 50 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		for range 3 {
			if err := p.Check(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if s := p.Status(); f.connections() != 1 || s.Warm != 1 || !s.LoggedIn {
			t.Errorf("%d connections, %+v", f.connections(), s)
		}
		// Another token is another question, which the old one's warm connection does not answer.
		tokens.Reject("token-1")
		if err := p.Check(t.Context()); err != nil || f.connections() != 2 || p.Status().Warm != 1 {
			t.Errorf("%v, %d connections, %+v", err, f.connections(), p.Status())
		}
	})
}

// The caller that started a check may leave; the others get their answer.
func TestCheckOutlivesItsStarter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{on: func(_ int, line string) string {
			if line == "CONNECT" {
				time.Sleep(time.Second) // of the bubble's clock
			}
			return ""
		}}
		t.Cleanup(f.stop)
		p := newPool(t, f)
		ctx, cancel := contextWithCancel(t)
		left, stayed := make(chan error, 1), make(chan error, 1)
		go func() { left <- p.Check(ctx) }()
		synctest.Wait()
		go func() { stayed <- p.Check(t.Context()) }()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, errLeft) {
			t.Error(err)
		}
		if err := <-stayed; err != nil || f.connections() != 1 {
			t.Errorf("%v, %d connections", err, f.connections())
		}
	})
}

// Many servers repeat a command that they do not understand. However they do it, the token is not in any
// error, reply, log or status.
func TestRepeatedTokenIsNotShown(t *testing.T) {
	const token = "ya29.marked-secret/of+many~letters_"
	response := b64("user=me@corp.example\x01auth=Bearer " + token + "\x01\x01")
	for _, echo := range []string{
		token, token[:24], strings.ToUpper(token), response, response[:60], b64("x" + token), b64("xy" + token), base64.RawURLEncoding.EncodeToString([]byte(token)),
		url.QueryEscape(token), hex.EncodeToString([]byte(token)), fmt.Sprintf("%q", "auth=Bearer "+token), html.EscapeString(token), strings.Join(strings.Split(token, ""), "\x00"),
	} {
		for at, scripted := range map[string]string{
			"AUTH":     "500 5.5.1 Command unrecognized: %s",
			"AUTH ":    "%s",
			"AUTH  ":   "535-5.7.8 no\r\n535 5.7.8 to %s",
			"AUTH XOA": "535 5.7.8 no\r\n535 to\r\n535 %s",
			"AUTH X":   "334 " + b64(`{"status":"401","scope":"`) + "%s",
			"AUTH XO":  "421 4.7.0 %s",
			"MAIL":     "501 5.5.2 Syntax error: %s",
			"RCPT":     "550-5.1.1 no\r\n550-%s\r\n550 bye",
			"RCPT ":    "%s",
			"DATA":     "451 4.3.0 %s",
			"END":      "554 5.7.1 <%s>",
			"END ":     "drop 554 5.7.1 <%s>",
		} {
			f := start(t, &fake{ext: without("CHUNKING"), on: func(_ int, line string) string {
				if strings.HasPrefix(line, strings.TrimSpace(at)) {
					return strings.ReplaceAll(scripted, "%s", echo)
				}
				return ""
			}})
			var log bytes.Buffer
			p := newPool(t, f, func(c *Config) {
				c.Tokens = &fakeTokens{values: []string{token}}
				c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			reply, replies, err := everyStage(p)
			all := fmt.Sprint(reply, replies, err, p.Status(), log.String())
			for name, secret := range map[string]string{"token": "marked-secret", "upper case": "MARKED-SECRET", "echo": echo} {
				if strings.Contains(all, secret) {
					t.Errorf("at %q %q shows the %s: %q", at, scripted, name, all)
				}
			}
		}
	}
}

// everyStage takes a message as far as it goes, and gives all that was heard.
func everyStage(p *Pool) (reply Reply, replies []Reply, err error) {
	ctx := context.Background()
	if err = p.Check(ctx); err != nil {
		return
	}
	tx, err := p.Begin(ctx, "me@corp.example", nil)
	if err != nil {
		return
	}
	defer tx.Close()
	if replies, err = tx.Rcpt(ctx, recipients(1)); err == nil && replies[0].ok() {
		reply, err = tx.Data(ctx, strings.NewReader("x\r\n"))
	}
	return
}

// What is not the token comes back as it was said. A success may repeat the token, too.
func TestOnlyTheTokenIsTakenOut(t *testing.T) {
	const token = "ya29.marked-secret/of+many~letters_"
	for said, want := range map[string]string{
		"250 2.0.0 OK  1732891234 5b1f17b1804b1-4439c1f2e5bsm48871585e9.11 - gsmtp":      "250 2.0.0 OK  1732891234 5b1f17b1804b1-4439c1f2e5bsm48871585e9.11 - gsmtp",
		"550-5.7.1  two  blanks,\ta tab and an ID 5b1f17b1804b1e5bsm4887\r\n550 bye ":    "550 5.7.1  two  blanks,\ta tab and an ID 5b1f17b1804b1e5bsm4887 / bye",
		"250 2.0.0 OK after AUTH XOAUTH2 " + b64("user=me\x01auth=Bearer "+token):        "250 2.0.0 OK after AUTH XOAUTH2 ***",
		"250-2.0.0 OK after\r\n250 " + token:                                             "250 2.0.0 OK after / ***",
		"250-2.0.0 OK " + token[:9] + "\r\n250-" + token[9:18] + "\r\n250 " + token[18:]: "250 2.0.0 OK *** ***",
		"550-5.7.1 no " + token[:9] + "\r\n550-" + token[9:18] + "\r\n550 " + token[18:]: "550 5.7.1 no *** ***",
	} {
		f := start(t, &fake{on: at("END", said)})
		p := newPool(t, f, func(c *Config) { c.Tokens = &fakeTokens{values: []string{token}} })
		r, err := send(p, strings.NewReader("x\r\n"), "you@there.example")
		wantReply(t, r, err, want)
	}
}

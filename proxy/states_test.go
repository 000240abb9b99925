package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/providertest"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// failureMode is something that goes wrong, and what the account's status says afterwards.
type failureMode struct {
	smtp  func(providertest.Event) providertest.Action
	token providertest.TokenFault
	upset func(*rig) // for what goes wrong in Waxseal itself

	reply   string // to the mail program's AUTH
	state   api.State
	lasting bool
	do      api.Action
	what    string
	cure    string
	said    string
}

// TestFailuresBecomeStates: the account's state, the problem in the window and doctor all say
// the same about a failure, and what to do. The replies are real ones.
func TestFailuresBecomeStates(t *testing.T) {
	authRefused := func(text string) func(providertest.Event) providertest.Action {
		return at(providertest.StepAuth, providertest.Action{Code: 535, Text: text})
	}
	for name, c := range map[string]failureMode{
		"SMTP AUTH switched off": {
			smtp:  authRefused("5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information."),
			reply: "535 5.7.139 The password is correct.", state: api.SMTPDisabled, lasting: true, do: api.RunChecks,
			what: "switched off for me@corp.test", cure: "administrator", said: "disabled for the Tenant",
		},
		"blocked by a policy": {
			smtp:  authRefused("5.7.139 Authentication unsuccessful, the user credentials were incorrect. The request did not meet the criteria to be authenticated successfully. Contact your administrator."),
			reply: "535 5.7.139 The password is correct.", state: api.SMTPDisabled, lasting: true, do: api.RunChecks,
			what: "policy", cure: "Conditional Access", said: "did not meet the criteria",
		},
		"wrong user for the mailbox": {
			smtp:  authRefused("5.7.3 Authentication unsuccessful [AM0PR02CA0101.eurprd02.prod.outlook.com]"),
			reply: "535 5.7.3 The password is correct.", state: api.WrongIdentity, lasting: true, do: api.SignIn,
			what: "may not use the mailbox me@corp.test", cure: "login", said: "5.7.3",
		},
		"client secret expired": {
			token: providertest.TokenFault{Status: 401, Body: `{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys for app '00000000' are expired. Visit the Azure portal to create new keys for your app.","error_codes":[7000222]}`},
			reply: "535 5.7.8 The password is correct.", state: api.RegistrationRefused, lasting: true, do: api.Register,
			what: "secret has expired", cure: "secret",
		},
		"refresh token dead at Yahoo": {
			token: providertest.TokenFault{Status: 400, Body: `{"error":"INVALID_REFRESH_TOKEN","error_description":"Failed to decode/encode refresh token"}`},
			reply: "535 5.7.8 The password is correct.", state: api.NeedsConsent, lasting: true, do: api.SignIn,
			what: "consent", cure: "ign in",
		},
		"greeting 554": {
			smtp:  at(providertest.StepGreeting, providertest.Action{Code: 554, Text: "5.7.1 Connections from your network are blocked"}),
			reply: "535 5.7.0 The password is correct.", state: api.TurnedAway, lasting: true, do: api.RunChecks,
			what: "refuses connections", cure: "words", said: "are blocked",
		},
		"greeting 421": {
			smtp:  at(providertest.StepGreeting, providertest.Action{Code: 421, Text: "4.7.0 Too many connections"}),
			reply: "454 4.7.0 ", state: api.TurnedAway, do: api.RunChecks,
			what: "for now", cure: "few minutes", said: "Too many connections",
		},
		"greeting 250": {
			smtp:  at(providertest.StepGreeting, providertest.Action{Code: 250, Text: "mail filter, please wait"}),
			reply: "454 4.7.0 ", state: api.MailServerDown, do: api.RunChecks,
			what: "does not answer as a mail server should", cure: "virus scanner", said: "250 mail filter",
		},
		"mail server's breaker open": {
			upset: func(r *rig) { openBreaker(r.server.serverBreakers.Get("smtp " + r.provider.SMTPAddr)) },
			reply: "454 4.7.0 ", state: api.MailServerDown, do: api.RunChecks,
			what: "mail server isn’t responding", cure: "tries again in", said: "down",
		},
		"sign-in server's breaker open": {
			upset: func(r *rig) {
				openBreaker(r.server.tokenBreakers.Get(mailbox.TokenBreaker(config.Provider{TokenURL: r.provider.TokenURL()})))
			},
			reply: "454 4.7.0 ", state: api.SignInDown, do: api.RunChecks,
			what: "sign-in server isn’t responding", cure: "tries again in", said: "down",
		},
		"keychain locked": {
			upset: func(r *rig) { r.secrets.Fail(keystore.ErrLocked) },
			reply: "454 4.7.0 ", state: api.KeystoreLocked, do: api.Unlock,
			what: "keychain is locked", cure: "nlock",
		},
	} {
		t.Run(name, func(t *testing.T) { c.play(t) })
	}
}

func (c failureMode) play(t *testing.T) {
	r := newRig(t, rigOptions{})
	if c.smtp != nil || c.token.Status != 0 {
		r.provider.SetFaults(providertest.Faults{SMTP: c.smtp, Token: func(*http.Request) providertest.TokenFault { return c.token }})
	}
	if c.upset != nil {
		c.upset(r)
	}
	p := r.dial()
	p.do("EHLO x", "250")
	p.do("AUTH PLAIN "+plainResponse(me, password), c.reply)

	a := r.server.Snapshot().Accounts[0]
	if a.State != c.state || a.Problem == nil || a.Problem.State != c.state {
		t.Fatalf("state %q, %+v; want %q", a.State, a.Problem, c.state)
	}
	if p := a.Problem; p.Lasting != c.lasting || p.Do != c.do || !strings.Contains(p.What.String(), c.what) ||
		!strings.Contains(p.Remedy(), c.cure) || !strings.Contains(p.Said, c.said) {
		t.Errorf("lasting %t, do %q: %s; want %t, %q", p.Lasting, p.Do, p.Sentences(), c.lasting, c.do)
	}
	failed := map[string]api.Check{}
	r.server.Doctor(t.Context(), failures(failed))
	said := false
	for _, check := range failed {
		said = said || check.Problem.State == c.state && check.Problem.What.String() == a.Problem.What.String()
	}
	if !said {
		t.Errorf("doctor does not say that: %+v", failed)
	}
	r.secrets.Fail(nil)
}

// TestReadyIsTrue: an account was "ready" while its provider's sign-in server did not answer, while
// the keychain was locked, and while each message was refused.
func TestReadyIsTrue(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login(me)
	state := func() api.State { return r.server.Snapshot().Accounts[0].State }
	send := func(reply string) {
		t.Helper()
		p.do("MAIL FROM:<"+me+">", "250")
		p.do("RCPT TO:<you@there.test>", "250")
		p.do("DATA", "354")
		p.send("hello\r\n.\r\n")
		p.expect(reply)
	}
	refuse := func(code int, text string) {
		r.provider.SetFaults(providertest.Faults{SMTP: at(providertest.StepFinal, providertest.Action{Code: code, Text: text})})
	}
	send("250")
	p.do("NOOP", "250")
	if state() != api.Ready {
		t.Fatalf("the state is %s", state())
	}
	for range 3 {
		if state() != api.Ready {
			t.Errorf("a refused message may be its own fault; the state is %s", state())
		}
		refuse(550, "5.7.60 SMTP; Client does not have permissions to send as this sender")
		send("550")
		p.do("NOOP", "250")
	}
	a := r.server.Snapshot().Accounts[0]
	if a.State != api.LastUnsent || !strings.Contains(a.Problem.Error(), "Send As") || !strings.HasPrefix(a.Problem.Said, "550 5.7.60") || a.Problem.Do != api.ShowActivity {
		t.Errorf("after three in a row: %s, %v", a.State, a.Problem)
	}
	refuse(0, "")
	send("250")
	p.do("NOOP", "250")
	if state() != api.Ready {
		t.Errorf("after a message that was sent the state is %s", state())
	}
	refuse(451, "4.3.0 try later")
	send("451")
	p.do("NOOP", "250")
	if a := r.server.Snapshot().Accounts[0]; a.State != api.LastUnsent || a.Problem.Said != "451 4.3.0 try later" {
		t.Errorf("after a deferred message: %s, %v", a.State, a.Problem)
	}
	later := mailbox.Circumstances{Past: r.server.history.Account(me, time.Now()), Now: time.Now().Add(2 * time.Hour)}
	if st := r.server.hall.Mailbox(me).Status(later); st.State != api.Ready {
		t.Error("two hours later it still counts")
	}
	refuse(0, "")
	send("250")
	p.do("NOOP", "250")
	r.server.SetPaused(true)
	p.do("MAIL FROM:<"+me+">", "451")
	r.server.SetPaused(false)
	if state() != api.Ready {
		t.Errorf("after a pause the state is %s", state())
	}

	r.secrets.Fail(keystore.ErrLocked)
	r.secrets.Get(t.Context(), "any")
	if a := r.server.Snapshot().Accounts[0]; a.State != api.KeystoreLocked || a.Problem.Account != me {
		t.Errorf("with a locked keychain: %s, %v", a.State, a.Problem)
	}
	r.secrets.Fail(nil)
	r.secrets.Get(t.Context(), "any")
	openBreaker(r.server.tokenBreakers.Get(mailbox.TokenBreaker(r.server.hall.Mailbox(me).Provider)))
	if state() != api.SignInDown {
		t.Errorf("with an open breaker of the sign-in server: %s", state())
	}
}

// TestNoNetwork: without a network, that is what people are told, whatever could not be reached.
func TestNoNetwork(t *testing.T) {
	unreachable := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
	for name, err := range map[string]error{
		"mail server":    &upstream.ConnError{Op: "connect", Err: unreachable},
		"sign-in server": &oauth.EndpointError{Reason: oauth.Unreachable, Err: unreachable},
		"network down":   &upstream.ConnError{Op: "connect", Err: os.NewSyscallError("connect", syscall.ENETDOWN)},
	} {
		if p := mailbox.Explain(nil, fmt.Errorf("x: %w", err)); p.State != api.Offline || p.Lasting || p.What.String() != "This computer has no network connection." {
			t.Errorf("%s: %s, %s", name, p.State, p.Sentences())
		}
	}
	unknown := &net.DNSError{Err: "no such host", Name: "smtp.corp.test", IsNotFound: true}
	if p := mailbox.Explain(nil, &upstream.ConnError{Op: "connect", Err: unknown}); p.State != api.MailServerDown {
		t.Errorf("a name that does not exist: %s, %s", p.State, p.Sentences())
	}
}

// TestReadyz: the server is ready once it has read its accounts, and stays so while its keystore fails: the
// last call's error was reported until somebody logged in, and a shared keystore's outage took all machines
// away.
func TestReadyz(t *testing.T) {
	r := newRig(t, rigOptions{})
	cfg, err := config.Load(r.config)
	if err != nil {
		t.Fatal(err)
	}
	r.secrets.Fail(keystore.ErrLocked)
	s, err := New(Options{Config: cfg, Secrets: r.secrets}) // as after a start
	if err != nil {
		t.Fatal(err)
	}
	ready := func() string {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/readyz", nil))
		return fmt.Sprint(w.Code, " ", w.Body)
	}
	if got := ready(); got != "503 starting\n" {
		t.Errorf("before it listens: %q", got)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	<-s.Ready()
	if got := ready(); got != "503 starting: the accounts have not been read from the keystore yet\n" {
		t.Errorf("with a locked keychain: %q", got)
	}
	r.secrets.Fail(nil)
	s.readAgain(t.Context())
	if got := ready(); got != "200 ok\n" {
		t.Errorf("unlocked: %q", got)
	}
	r.secrets.Fail(keystore.ErrLocked)
	if _, err := r.secrets.Get(t.Context(), "any"); err == nil || s.keystoreStatus().Problem == nil {
		t.Error("the keystore works")
	}
	if got := ready(); got != "200 ok\n" {
		t.Errorf("in an outage: %q", got)
	}
	r.secrets.Fail(nil)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := ready(); got != "503 stopping\n" {
		t.Errorf("after the stop: %q", got)
	}
	<-served
}

// An account without a local password was answered in other words than one that does not
// exist, and its guesses were not slowed. Its state says what is wrong until it has a password.
func TestNoLocalPassword(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.secrets.Delete(t.Context(), mailbox.PasswordKey(me))
	if err := r.server.SetLogin(t.Context(), me, me); err != nil { // the password is not in memory then, as after a start
		t.Fatal(err)
	}
	p := r.dial()
	p.do("EHLO x", "250")
	unknown := p.do("AUTH PLAIN "+plainResponse("nobody@corp.test", password), "535 5.7.8 ")
	if got := p.do("AUTH PLAIN "+plainResponse(me, password), "535 5.7.8 "); got != unknown {
		t.Errorf("got %q; an account that does not exist gets %q", got, unknown)
	}
	if a := r.server.Snapshot().Accounts[0]; a.State != api.NoPassword || a.Problem == nil || a.Problem.Do != api.NewPassword {
		t.Errorf("state %q, %+v", a.State, a.Problem)
	}
	if slowed := len(r.server.hall.Suspects()); slowed != 2 {
		t.Errorf("the guard counts guesses of %d accounts, want 2", slowed)
	}
	r.secrets.Fail(keystore.ErrLocked) // to ask it again would take time, and tell the accounts apart
	if got := p.do("AUTH PLAIN "+plainResponse(me, password), "535 5.7.8 "); got != unknown {
		t.Errorf("once more: %q", got)
	}
	r.secrets.Fail(nil)
	made, err := r.server.Password(t.Context(), me, true)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.server.Snapshot().Accounts[0]; a.State == api.NoPassword {
		t.Errorf("with a new password the state is still %q", a.State)
	}
	p.do("AUTH PLAIN "+plainResponse(me, made), "235")
}

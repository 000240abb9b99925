package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// worldKey finds a script's world.
type worldKey struct{}

// world is what a script has started.
type world struct {
	provider *providertest.Provider
	serve    *served
	watch    *served
	sent     string // SHA-256 of the last message
	answer   chan error

	held    chan struct{} // gets a value when a message waits for release
	let     chan struct{} // closed by release
	release sync.Once
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

const scriptConfig = `# Written by hand; this comment must stay.
listen     = ["127.0.0.1:0"]
listen_tls = ["127.0.0.1:0"]
metrics    = ""

[[provider]]
id = "corp"
name = "Corp Mail"
domains = ["corp.example"]
auth_url = %q
token_url = %q
scopes = ["mail.send"]
client_id = "waxseal"
smtp = %q
smtp_tls = "starttls"
ca_file = %q
`

func cmdProvider(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	p, err := providertest.Start(providertest.Options{})
	ts.Check(err)
	w.provider, w.held, w.let = p, make(chan struct{}, 16), make(chan struct{})
	ts.Defer(func() {
		w.release.Do(func() { close(w.let) })
		p.Close()
	})
	if len(args) > 0 && args[0] == "hold" {
		p.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) (none providertest.Action) {
			if e.Step == "final" {
				w.held <- struct{}{}
				<-w.let
			}
			return none
		}})
	}
	ca, err := p.WriteCA(ts.MkAbs("."))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("config.toml"), fmt.Appendf(nil, scriptConfig, p.AuthURL(), p.TokenURL(), p.SMTPAddr, ca), 0o600))
	var accounts []map[string]any
	for _, name := range []string{"me", "you"} {
		address := name + "@corp.example"
		accounts = append(accounts, map[string]any{"email": address, "provider": "corp", "client_id": "waxseal", "refresh_token": p.Grant(address)})
	}
	data, err := json.Marshal(accounts)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("accounts.json"), data, 0o600))
}

func cmdRelease(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	w.release.Do(func() { close(w.let) })
}

func cmdRevoke(ts *testscript.TestScript, neg bool, args []string) {
	worldOf(ts).provider.Revoke(args[0])
}

func cmdSend(ts *testscript.TestScript, neg bool, args []string) {
	err := worldOf(ts).send(ts.ReadFile(args[0]))
	expectError(ts, neg, err)
}

func cmdBegin(ts *testscript.TestScript, neg bool, args []string) {
	w, settings := worldOf(ts), ts.ReadFile(args[0])
	w.answer = make(chan error, 1)
	go func() { w.answer <- w.send(settings) }()
	select {
	case <-w.held:
	case err := <-w.answer:
		ts.Fatalf("the message was answered before the provider had it: %v", err)
	}
}

func cmdAnswered(ts *testscript.TestScript, neg bool, args []string) {
	expectError(ts, neg, <-worldOf(ts).answer)
}

func expectError(ts *testscript.TestScript, neg bool, err error) {
	ts.Logf("the mail program got: %v", err)
	if neg != (err != nil) {
		ts.Fatalf("sending: %v", err)
	}
}

// send is a mail program set up with what `account password --json` printed.
func (w *world) send(settings string) error {
	var s api.MailSettings
	if err := json.Unmarshal([]byte(settings), &s); err != nil {
		return err
	}
	c, err := smtp.Dial(net.JoinHostPort(s.Servers[0].Host, strconv.Itoa(s.Servers[0].Port)))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", s.User, s.Password)); err != nil {
		return err
	}
	text := fmt.Sprintf("From: <%s>\r\nSubject: script\r\n\r\n.leading dot\r\n%s\r\n", s.User, strings.Repeat("line\r\n", 1000))
	sum := sha256.Sum256([]byte(text))
	w.sent = hex.EncodeToString(sum[:])
	return c.SendMail(s.User, []string{"friend@elsewhere.example"}, strings.NewReader(text))
}

func cmdArrived(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	ts.Check(w.provider.WaitMessages(ctx, n))
	messages := w.provider.Messages()
	if len(messages) != n {
		ts.Fatalf("%d messages arrived, want %d", len(messages), n)
	}
	want := w.sent
	if len(args) > 1 {
		sum := sha256.Sum256([]byte(strings.ReplaceAll(ts.ReadFile(args[1]), "\n", "\r\n")))
		want = hex.EncodeToString(sum[:])
	}
	if n > 0 && messages[n-1].SHA256 != want {
		ts.Fatalf("the message changed on the way")
	}
}

func cmdTaken(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

package imapd

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// play is a server that follows a dialogue: lines that begin with "S: " are said, others expected. "$" at the
// beginning stands for the tag of the last command, and "^" at the end for a line without its end.
func play(t testing.TB, c net.Conn, dialogue string) {
	in := bufio.NewReader(c)
	tag := ""
	for line := range strings.Lines(dialogue) {
		line = strings.TrimSpace(line)
		if say, ok := strings.CutPrefix(line, "S: "); ok {
			say = strings.ReplaceAll(say, "$", tag)
			if say, ok = strings.CutSuffix(say, "^"); !ok {
				say += "\r\n"
			}
			io.WriteString(c, strings.ReplaceAll(say, `\r\n`, "\r\n"))
			continue
		}
		heard, err := in.ReadString('\n')
		if err != nil {
			t.Errorf("waiting for %q: %v", line, err)
			break
		}
		heard = strings.TrimRight(heard, "\r\n")
		if want, ok := strings.CutPrefix(line, "$ "); ok {
			if tag, heard, _ = strings.Cut(heard, " "); heard != want {
				t.Errorf("heard %q, want %q", heard, want)
			}
		} else if heard != strings.TrimPrefix(line, "=") {
			t.Errorf("heard %q, want %q", heard, line)
		}
	}
	c.Close()
}

func ir(user, token string) string {
	return base64.StdEncoding.EncodeToString([]byte("user=" + user + "\x01auth=Bearer " + token + "\x01\x01"))
}

func bearerIR(user, token string) string {
	return base64.StdEncoding.EncodeToString([]byte("n,a=" + user + ",\x01host=imap.test\x01port=993\x01auth=Bearer " + token + "\x01\x01"))
}

// box is an account for tests.
type box struct {
	dialogues []string // one for each connection
	tokens    []string // the last is good for ever
	users     []string
	forced    string
	expiry    time.Time
	startTLS  bool

	t        testing.TB
	mu       sync.Mutex
	servers  sync.WaitGroup
	dials    int
	rejected []string
	worked   []string
	open     []net.Conn // the servers' ends, of dialogues that leave it open
}

func (b *box) Address() string                                                 { return "me@corp.test" }
func (b *box) Removed() bool                                                   { return false }
func (b *box) Addr(api.Protocol) string                                        { return "imap.test:993" }
func (b *box) Try(_ context.Context, _ api.Protocol, login func() error) error { return login() }
func (b *box) Spare(there bool)                                                {}
func (b *box) Mechanism(api.Protocol) string                                   { return b.forced }
func (b *box) Users(api.Protocol) []string                                     { return b.users }
func (b *box) UserWorked(_ api.Protocol, u string) {
	b.mu.Lock()
	b.worked = append(b.worked, u)
	b.mu.Unlock()
}
func (b *box) Reject(token string) {
	b.mu.Lock()
	b.rejected = append(b.rejected, token)
	b.mu.Unlock()
}

func (b *box) Token(ctx context.Context, p api.Protocol) (string, time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.tokens {
		if !slices.Contains(b.rejected, t) {
			return t, b.expiry, ctx.Err()
		}
	}
	return "", time.Time{}, errors.New("no token")
}

func (b *box) Dial(ctx context.Context, _ api.Protocol, starttls func(net.Conn) error) (net.Conn, error) {
	ours, theirs := net.Pipe()
	b.mu.Lock()
	n := b.dials
	b.dials++
	b.mu.Unlock()
	if n >= len(b.dialogues) {
		return nil, fmt.Errorf("dialled %d times", n+1)
	}
	b.servers.Go(func() {
		if rest, ok := strings.CutSuffix(b.dialogues[n], "OPEN\n"); ok {
			play(b.t, unclosed{theirs}, rest)
			b.mu.Lock()
			b.open = append(b.open, theirs)
			b.mu.Unlock()
			return
		}
		play(b.t, theirs, b.dialogues[n])
	})
	if b.startTLS {
		if err := starttls(ours); err != nil {
			ours.Close()
			return nil, err
		}
	}
	return ours, nil
}

type unclosed struct{ net.Conn }

func (unclosed) Close() error { return nil }

func TestConnect(t *testing.T) {
	const hello = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] Gimap ready\n"
	report := base64.StdEncoding.EncodeToString([]byte(`{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}`))
	refusal := hello + "$ AUTHENTICATE XOAUTH2 " + ir("me", "old") + "\nS: + " + report + "\n=\nS: $ NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)\n"
	in := func(user, token string) string {
		return "$ AUTHENTICATE XOAUTH2 " + ir(user, token) + "\nS: $ OK done\n"
	}
	const exchange = "S: * OK The Microsoft Exchange IMAP4 service is ready.\n$ CAPABILITY\nS: * CAPABILITY IMAP4 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR\nS: $ OK done\n"
	tests := map[string]*struct {
		box      box
		want     string // what a mail program hears that logged in with tag c
		err      *mailbox.ServerError
		like     string // another error
		is       error
		rejected string
		worked   string
	}{
		"one line":          {box: box{dialogues: []string{hello + in("me", "old")}}, want: "c OK done\r\n", worked: "me"},
		"word for word":     {box: box{dialogues: []string{hello + "$ AUTHENTICATE XOAUTH2 " + ir("me", "old") + "\nS: $ oK [CAPABILITY IMAP4rev1 X=\xff]  me@gmail.com {3} \\r\\n^\n"}}, want: "c oK [CAPABILITY IMAP4rev1 X=\xff]  me@gmail.com {3} \r\n"},
		"untagged":          {box: box{dialogues: []string{hello + "$ AUTHENTICATE XOAUTH2 " + ir("me", "old") + "\nS: * CAPABILITY IMAP4rev1 MOVE\nS: * ID (\"name\" {3}\\r\\nfoo)\nS: * OK [ALERT] Storage is low\nS: * OK hm\nS: $ OK\n"}}, want: "* CAPABILITY IMAP4rev1 MOVE\r\n* OK [ALERT] Storage is low\r\nc OK\r\n"},
		"early words":       {box: box{dialogues: []string{hello + "$ AUTHENTICATE XOAUTH2 " + ir("me", "old") + "\nS: $ OK done\\r\\n* OK [ALERT] more\\r\\n* half^\n"}}, want: "c OK done\r\n* OK [ALERT] more\r\n* half"},
		"capability asked":  {box: box{dialogues: []string{"S: * OK hello\n$ CAPABILITY\nS: * CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER SASL-IR\nS: $ OK\n$ AUTHENTICATE OAUTHBEARER " + bearerIR("me", "old") + "\nS: $ OK done\n"}}, want: "c OK done\r\n"},
		"two steps":         {box: box{dialogues: []string{"S: * OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] hello\n$ AUTHENTICATE XOAUTH2\nS: +\n" + ir("me", "old") + "\nS: $ OK done\n"}}, want: "c OK done\r\n"},
		"asks again":        {box: box{dialogues: []string{hello + "$ AUTHENTICATE XOAUTH2 " + ir("me", "old") + "\nS: + \n" + ir("me", "old") + "\nS: $ OK done\n"}}, want: "c OK done\r\n"},
		"forced":            {box: box{forced: "xoauth2", dialogues: []string{"S: * OK [CAPABILITY IMAP4rev1 SASL-IR] Yandex\n" + in("me", "old")}}, want: "c OK done\r\n"},
		"no OAuth":          {box: box{dialogues: []string{"S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\n"}}, is: dial.ErrNoOAuth},
		"token refreshed":   {box: box{dialogues: []string{refusal, hello + in("me", "new")}}, want: "c OK done\r\n", rejected: "old"},
		"no blank, AQ==":    {box: box{dialogues: []string{"S: * OK [CAPABILITY SASL-IR AUTH=OAUTHBEARER] x\n$ AUTHENTICATE OAUTHBEARER " + bearerIR("me", "old") + "\nS: +" + report + "\nAQ==\nS: $ NO no\n", hello + in("me", "new")}}, want: "c OK done\r\n", rejected: "old"},
		"refused twice":     {box: box{dialogues: []string{refusal, strings.ReplaceAll(refusal, ir("me", "old"), ir("me", "new"))}}, err: &mailbox.ServerError{Op: "AUTHENTICATE", Status: "NO", Code: "AUTHENTICATIONFAILED", Text: "Invalid credentials (Failure)", Report: `"400"`}, rejected: "old"},
		"the other name":    {box: box{users: []string{"shared", "me"}, dialogues: []string{hello + "$ AUTHENTICATE XOAUTH2 " + ir("shared", "old") + "\nS: $ NO AUTHENTICATE failed.\n", hello + "$ AUTHENTICATE XOAUTH2 " + ir("shared", "new") + "\nS: $ NO AUTHENTICATE failed.\n", hello + in("me", "new")}}, want: "c OK done\r\n", rejected: "old", worked: "me"},
		"not connected":     {box: box{users: []string{"shared", "me"}, dialogues: []string{exchange + in("shared", "old") + "$ NAMESPACE\nS: $ BAD User is authenticated but not connected.\n", exchange[:strings.Index(exchange, "$")] + in("me", "old") + "$ NAMESPACE\nS: * NAMESPACE ((\"\" \"/\")) NIL NIL\nS: $ OK done\n"}}, want: "c OK done\r\n", worked: "me"},
		"never connected":   {box: box{dialogues: []string{exchange + in("me", "old") + "$ NAMESPACE\nS: $ BAD User is authenticated but not connected.\n"}}, err: &mailbox.ServerError{Op: "login", Status: "BAD", Text: "User is authenticated but not connected."}},
		"alert":             {box: box{dialogues: []string{hello + "$ AUTHENTICATE XOAUTH2 " + ir("me", "old") + "\nS: $ NO [ALERT] Too many simultaneous connections. (Failure)\n"}}, err: &mailbox.ServerError{Op: "AUTHENTICATE", Status: "NO", Code: "ALERT", Text: "Too many simultaneous connections. (Failure)"}},
		"BAD":               {box: box{dialogues: []string{hello + "$ AUTHENTICATE XOAUTH2 " + ir("me", "old") + "\nS: $ BAD what\n"}}, err: &mailbox.ServerError{Op: "AUTHENTICATE", Status: "BAD", Text: "what"}},
		"BYE":               {box: box{dialogues: []string{hello + "$ AUTHENTICATE XOAUTH2 " + ir("me", "old") + "\nS: * BYE [UNAVAILABLE] later\n"}}, err: &mailbox.ServerError{Op: "AUTHENTICATE", Status: "BYE", Code: "UNAVAILABLE", Text: "later"}},
		"greeting BYE":      {box: box{dialogues: []string{"S: * BYE Connection is closed. 13\n"}}, err: &mailbox.ServerError{Op: "greeting", Status: "BYE", Text: "Connection is closed. 13"}},
		"greeting PREAUTH":  {box: box{dialogues: []string{"S: * PREAUTH hello you\n"}}, err: &mailbox.ServerError{Op: "greeting", Status: "PREAUTH", Text: "hello you"}},
		"no IMAP":           {box: box{dialogues: []string{"S: 220 smtp.test ESMTP\n"}}, like: `imap.test:993: greeting: the server's response is malformed: "220 smtp.test ESMTP`},
		"closes":            {box: box{dialogues: []string{hello + "$ AUTHENTICATE XOAUTH2 " + ir("me", "old") + "\n"}}, is: io.EOF},
		"closes at once":    {box: box{dialogues: []string{""}}, is: io.EOF},
		"endless line":      {box: box{dialogues: []string{"S: * OK " + strings.Repeat("x", maxResponse) + "^\n"}}, is: errTooLong},
		"endless literal":   {box: box{dialogues: []string{"S: * OK [X {999999}\n"}}, is: errTooLong},
		"token repeated":    {box: box{tokens: []string{"a-token-of-more-than-20-letters"}, dialogues: []string{hello + "$ AUTHENTICATE XOAUTH2 " + ir("me", "a-token-of-more-than-20-letters") + "\nS: $ BAD unknown: " + ir("me", "a-token-of-more-than-20-letters") + "\n"}}, err: &mailbox.ServerError{Op: "AUTHENTICATE", Status: "BAD", Text: "***"}},
		"STARTTLS":          {box: box{startTLS: true, dialogues: []string{"S: * OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=XOAUTH2] x\n$ STARTTLS\nS: $ OK begin\n$ CAPABILITY\nS: * CAPABILITY SASL-IR AUTH=XOAUTH2\nS: $ OK done\n" + in("me", "old")}}, want: "c OK done\r\n"},
		"no STARTTLS":       {box: box{startTLS: true, dialogues: []string{"S: * OK x\n$ STARTTLS\nS: $ BAD what\n"}}, is: dial.ErrNoTLS},
		"injected":          {box: box{startTLS: true, dialogues: []string{"S: * OK x\n$ STARTTLS\nS: $ OK begin\\r\\n* CAPABILITY AUTH=XOAUTH2\n"}}, is: dial.ErrInjected},
		"PREAUTH, STARTTLS": {box: box{startTLS: true, dialogues: []string{"S: * PREAUTH x\n"}}, err: &mailbox.ServerError{Op: "greeting", Status: "PREAUTH", Text: "x"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := &test.box
			b.t = t
			if b.tokens == nil {
				b.tokens = []string{"old", "new"}
			}
			if b.users == nil {
				b.users = []string{"me"}
			}
			l, err := new(connector).connect(t.Context(), b, nil)
			var got string
			if err == nil {
				rest := make(chan []byte)
				go func() { b, _ := io.ReadAll(l.conn); rest <- b }()
				got = string(l.greeting("c")) + string(<-rest)
				l.conn.Close()
			}
			b.servers.Wait()
			if got != test.want {
				t.Errorf("heard %q (%v), want %q", got, err, test.want)
			}
			if test.err != nil {
				refused, ok := errors.AsType[*mailbox.ServerError](err)
				if !ok {
					t.Fatalf("got %v", err)
				}
				if !strings.Contains(refused.Report, test.err.Report) || (refused.Report == "") != (test.err.Report == "") {
					t.Errorf("the report is %q", refused.Report)
				}
				got := *refused
				got.Report, test.err.Report, test.err.Protocol = "", "", api.IMAP
				if test.err.Text == "***" {
					if strings.Contains(got.Text, "token") || strings.Contains(got.Text, "dXNlcj1tZQ") {
						t.Errorf("the error holds the token: %q", got.Text)
					}
				} else if got != *test.err {
					t.Errorf("got %+v, want %+v", got, *test.err)
				}
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %v, want %v", err, test.is)
			}
			if test.like != "" && (err == nil || !strings.HasPrefix(err.Error(), test.like)) {
				t.Errorf("got %v, want %s", err, test.like)
			}
			if r := strings.Join(b.rejected, " "); r != test.rejected {
				t.Errorf("rejected %q, want %q", r, test.rejected)
			}
			if test.worked != "" && strings.Join(b.worked, " ") != test.worked {
				t.Errorf("worked: %q, want %q", b.worked, test.worked)
			}
		})
	}
}

// Exchange is asked about its mailbox once a token, and capabilities that are known are not asked for again.
func TestAskedOnce(t *testing.T) {
	hello := "S: * OK The Microsoft Exchange IMAP4 service is ready.\n"
	in := "$ AUTHENTICATE XOAUTH2 " + ir("me", "old") + "\nS: $ OK done\n"
	b := &box{t: t, tokens: []string{"old"}, users: []string{"me"}, dialogues: []string{
		hello + "$ CAPABILITY\nS: * CAPABILITY AUTH=XOAUTH2 SASL-IR\nS: $ OK done\n" + in + "$ NAMESPACE\nS: $ OK done\n", hello + in,
	}}
	var d connector
	for range 2 {
		l, err := d.connect(t.Context(), b, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.conn.Close()
	}
	b.servers.Wait()
}

// A caller that leaves ends the dialogue, wherever it is.
func TestConnectEndsWithContext(t *testing.T) {
	left, late := errors.New("the mail program left"), dial.TimeoutError(20*time.Millisecond)
	for _, dialogue := range []string{"OPEN\n", "S: * OK x\n$ CAPABILITY\nOPEN\n", "S: * OK [CAPABILITY SASL-IR AUTH=XOAUTH2] x\n$ AUTHENTICATE XOAUTH2 " + ir("me", "old") + "\nOPEN\n"} {
		for _, cause := range []error{left, late} {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, cause)
			b := &box{t: t, tokens: []string{"old"}, users: []string{"me"}, dialogues: []string{dialogue}}
			_, err := new(connector).connect(ctx, b, nil)
			if _, lost := errors.AsType[*dial.Error](err); !errors.Is(err, cause) || lost != (cause == late) { // the server is at fault, or nobody
				t.Errorf("got %v", err)
			}
			cancel()
			b.servers.Wait()
			for _, c := range b.open {
				if _, err := c.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("the connection is open: %v", err)
				}
			}
		}
	}
}

// The stages of a test, and the folders that it counts.
func TestTest(t *testing.T) {
	b := &box{t: t, tokens: []string{"old"}, users: []string{"me"}, dialogues: []string{"S: * OK [CAPABILITY SASL-IR AUTH=XOAUTH2] x\n$ AUTHENTICATE XOAUTH2 " + ir("me", "old") +
		"\nS: $ OK done\n$ LIST \"\" \"*\"\nS: * LIST () \"/\" INBOX\nS: * LIST () \"/\" {4}\\r\\nSent\nS: $ OK done\n$ LOGOUT\nS: * BYE x\nS: $ OK\n"}}
	var steps []string
	n, err := test(t.Context(), b, func(step string) { steps = append(steps, step) })
	if n != 2 || err != nil || strings.Join(steps, " ") != "token connection login folders" {
		t.Errorf("%d folders, %v, steps %q", n, err, steps)
	}
	b.servers.Wait()
}

// FuzzProvider: whatever a provider says, a login ends, and a login that works has a tagged OK.
func FuzzProvider(f *testing.F) {
	for _, seed := range []string{
		"* OK [CAPABILITY SASL-IR AUTH=XOAUTH2] x\r\nw1 OK done\r\n* 1 EXISTS\r\n", "* OK x\r\n* CAPABILITY AUTH=XOAUTH2\r\nw1 OK\r\n+\r\nw2 OK\r\n", "* OK [CAPABILITY AUTH=XOAUTH2] x\r\n+ \r\n+ e30=\r\nw1 NO [X] y\r\n",
		"* BYE\r\n", "* PREAUTH x\r\n", "* OK {3}\r\n", "* OK [X {3}\r\nabc] \r\n", "+\r\n", "w1 OK\r\n", "\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		c := &script{in: strings.NewReader(string(said))}
		p := newProvider(c, "imap.test:993")
		if p.greet() != nil || p.capability() != nil {
			return
		}
		w, err := p.authenticate("XOAUTH2", "me", "token")
		if err == nil && !strings.HasPrefix(strings.ToUpper(string(w.ok)), "OK") {
			t.Errorf("logged in with %q", w.ok)
		}
	})
}

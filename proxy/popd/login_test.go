package popd

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// fake is an account whose provider follows scripts, one for each connection. A line of a script that begins
// with "S: " is said, one with "C: " is expected.
type fake struct {
	t       *testing.T
	account account
	tokens  []string // the next ones
	log     []string // what the account was told
	working sync.WaitGroup
}

var errNoToken = errors.New("no token")

func newFake(t *testing.T, scripts ...string) *fake {
	f := &fake{t: t, tokens: []string{"token-1", "token-2"}}
	next := 0
	f.account = account{
		address: me, addr: "pop.test:995", users: []string{me}, known: &memory{},
		dial: func(ctx context.Context, _ func(net.Conn) error) (net.Conn, error) {
			if next == len(scripts) {
				return nil, errors.New("one connection too many")
			}
			ours, theirs := net.Pipe()
			script := scripts[next]
			next++
			f.working.Go(func() { f.play(theirs, script) })
			return ours, nil
		},
		guard: func(_ context.Context, call func() error) error { return call() },
		token: func(context.Context) (string, error) {
			if len(f.tokens) == 0 {
				return "", errNoToken
			}
			return f.tokens[0], nil
		},
		reject: func(token string) {
			f.log = append(f.log, "rejected "+token)
			f.tokens = f.tokens[1:]
		},
		worked: func(user string) { f.log = append(f.log, user+" worked") },
	}
	return f
}

func (f *fake) play(conn net.Conn, script string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "S: "); ok {
			io.WriteString(conn, strings.ReplaceAll(text, "|", "\r\n")+"\r\n")
			continue
		}
		said, err := in.ReadString('\n')
		if want := strings.TrimPrefix(line, "C:"); err != nil || strings.TrimSuffix(said, "\r\n") != strings.TrimPrefix(want, " ") {
			f.t.Errorf("the provider heard %q, want %q, %v", said, want, err)
			return
		}
	}
	in.ReadByte() // until Waxseal closes
}

func xoauth2(user, token string) string {
	return base64.StdEncoding.EncodeToString([]byte("user=" + user + "\x01auth=Bearer " + token + "\x01\x01"))
}

const capa = "S: +OK ready <1@x>\nC: CAPA\nS: +OK|SASL PLAIN XOAUTH2|UIDL|TOP|pipelining|.\n"

func loginAs(user, token, answers string) string {
	return capa + "C: AUTH XOAUTH2\nS: +\nC: " + xoauth2(user, token) + "\n" + answers
}

var report = base64.StdEncoding.EncodeToString([]byte(`{"status":"400"}`))

func TestLogin(t *testing.T) {
	refuse := "S: -ERR [AUTH] Username and password not accepted.\n"
	again := "S: +OK\nC: AUTH XOAUTH2\nS: + \nC: "
	bearer, _ := dial.InitialResponse("OAUTHBEARER", me, "pop.test:995", "token-1")
	for name, tt := range map[string]struct {
		scripts []string
		set     func(*fake)
		welcome string
		ahead   string
		code    string // of the refusal
		text    string
		err     error
		log     string
	}{
		"welcome":       {scripts: []string{loginAs(me, "token-1", "S: +OK [X] Welcome,  me \n")}, welcome: "+OK [X] Welcome,  me", log: me + " worked"},
		"sent ahead":    {scripts: []string{loginAs(me, "token-1", "S: +OK|-ERR bye\n")}, welcome: "+OK", ahead: "-ERR bye\r\n", log: me + " worked"},
		"known":         {scripts: []string{"S: +OK\nC: AUTH XOAUTH2\nS: +\nC: " + xoauth2(me, "token-1") + "\nS: +OK\n"}, set: func(f *fake) { f.account.known.learn(me, []string{"SASL XOAUTH2"}) }, welcome: "+OK", log: me + " worked"},
		"OAUTHBEARER":   {scripts: []string{"S: +OK\nC: CAPA\nS: +OK|SASL OAUTHBEARER|.\nC: AUTH OAUTHBEARER\nS: + \nC: " + bearer + "\nS: +OK\n"}, welcome: "+OK", log: me + " worked"},
		"forced":        {scripts: []string{"S: +OK\nC: CAPA\nS: -ERR what\nC: AUTH XOAUTH2\nS: + \nC: " + xoauth2(me, "token-1") + "\nS: +OK\n"}, set: func(f *fake) { f.account.mechanism = "XOAUTH2" }, welcome: "+OK", log: me + " worked"},
		"UTF8":          {scripts: []string{capa + "C: UTF8\nS: +OK\nC: AUTH XOAUTH2\nS: + \nC: " + xoauth2(me, "token-1") + "\nS: +OK\n"}, set: func(f *fake) { f.account.utf8 = true }, welcome: "+OK", log: me + " worked"},
		"no mechanism":  {scripts: []string{"S: +OK\nC: CAPA\nS: +OK|SASL PLAIN|.\n"}, err: dial.ErrNoOAuth},
		"no greeting":   {scripts: []string{"S: -ERR [SYS/TEMP] Come back later\n"}, code: "SYS/TEMP", text: "Come back later"},
		"no POP":        {scripts: []string{"S: 220 smtp.test ESMTP\n"}, err: errReply},
		"no line":       {scripts: []string{"S: " + strings.Repeat("x", 9000) + "\n"}, err: errReply},
		"gone":          {scripts: []string{""}, set: func(f *fake) { f.account.dial = gone }, err: io.ErrUnexpectedEOF},
		"no token":      {set: func(f *fake) { f.tokens = nil }, err: errNoToken},
		"in use":        {scripts: []string{loginAs(me, "token-1", "S: -ERR [IN-USE] Maildrop is locked\n")}, code: "IN-USE", text: "Maildrop is locked"},
		"a new token":   {scripts: []string{loginAs(me, "token-1", refuse), capa + "C: AUTH XOAUTH2\nS: + \nC: " + xoauth2(me, "token-2") + "\nS: +OK\n"}, welcome: "+OK", log: "rejected token-1, " + me + " worked"},
		"reported":      {scripts: []string{loginAs(me, "token-1", "S: + "+report+"\nC:\n"+refuse), loginAs(me, "token-2", "S: +"+report+"\nC:\n"+refuse)}, code: "AUTH", text: "Username and password not accepted.", log: "rejected token-1"},
		"the same":      {scripts: []string{loginAs(me, "token-1", refuse)}, set: func(f *fake) { f.tokens = []string{"token-1", "token-1"} }, code: "AUTH", text: "Username and password not accepted.", log: "rejected token-1"},
		"consent lost":  {scripts: []string{loginAs(me, "token-1", refuse)}, set: func(f *fake) { f.tokens = f.tokens[:1] }, err: errNoToken, log: "rejected token-1"},
		"another user":  {scripts: []string{loginAs(me, "token-1", refuse), loginAs(me, "token-2", refuse), loginAs("boss@corp.test", "token-2", "S: +OK boss\n")}, set: two, welcome: "+OK boss", log: "rejected token-1, boss@corp.test worked"},
		"neither user":  {scripts: []string{loginAs(me, "token-1", refuse), loginAs(me, "token-2", refuse), loginAs("boss@corp.test", "token-2", "S: -ERR [AUTH] nor you\n")}, set: two, code: "AUTH", text: "Username and password not accepted.", log: "rejected token-1"},
		"user, in use":  {scripts: []string{loginAs(me, "token-1", refuse), loginAs(me, "token-2", refuse), loginAs("boss@corp.test", "token-2", "S: -ERR [IN-USE] busy\n")}, set: two, code: "IN-USE", text: "busy", log: "rejected token-1"},
		"it hides":      {scripts: []string{loginAs(me, "a-secret-token-that-is-long", "S: -ERR [SYS/PERM] what is a-secret-token-that-is-long?\n")}, set: func(f *fake) { f.tokens = []string{"a-secret-token-that-is-long"} }, code: "SYS/PERM", text: "what is ***?"},
		"OK after all":  {scripts: []string{loginAs(me, "token-1", "S: + "+report+"\nC:\nS: +OK\n")}, err: errReply},
		"AUTH refused":  {scripts: []string{capa + "C: AUTH XOAUTH2\nS: -ERR [SYS/PERM] POP is switched off\n"}, code: "SYS/PERM", text: "POP is switched off"},
		"asked anew":    {scripts: []string{again + xoauth2(me, "token-1") + "\n" + refuse, loginAs(me, "token-2", "S: +OK\n")}, set: func(f *fake) { f.account.known.learn(me, []string{"SASL XOAUTH2"}) }, welcome: "+OK", log: "rejected token-1, " + me + " worked"},
		"endless list":  {scripts: []string{"S: +OK\nC: CAPA\nS: +OK" + strings.Repeat("|X", 300) + "\n"}, err: errReply},
		"a blank first": {scripts: []string{loginAs(me, "token-1", "S: + \nC:\n"+refuse), loginAs(me, "token-2", "S: +OK\n")}, welcome: "+OK", log: "rejected token-1, " + me + " worked"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, tt.scripts...)
			if tt.set != nil {
				tt.set(f)
			}
			drop, err := f.account.login(t.Context())
			if drop != nil {
				drop.conn.Close()
			}
			f.working.Wait()
			var said *mailbox.ServerError
			switch {
			case tt.welcome != "":
				if err != nil || drop.welcome != tt.welcome || string(drop.ahead) != tt.ahead {
					t.Fatalf("%+v", drop)
				}
			case tt.code != "":
				if !errors.As(err, &said) || said.Code != tt.code || said.Text != tt.text || said.Protocol != api.POP {
					t.Errorf("refused with %#v", said)
				}
			case !errors.Is(err, tt.err) || err == nil:
				t.Errorf("ended with %v, want %v", err, tt.err)
			}
			if log := strings.Join(f.log, ", "); log != tt.log {
				t.Errorf("log %q, want %q", log, tt.log)
			}
		})
	}
}

func two(f *fake) { f.account.users = []string{me, "boss@corp.test"} }

// gone is a server that closes the connection.
func gone(context.Context, func(net.Conn) error) (net.Conn, error) {
	ours, theirs := net.Pipe()
	theirs.Close()
	return eof{ours}, nil
}

// eof writes into nothing.
type eof struct{ net.Conn }

func (eof) Write(p []byte) (int, error) { return len(p), nil }

// Before TLS, nothing but STLS is said, and the greeting comes once.
func TestSTLSAtProvider(t *testing.T) {
	for name, tt := range map[string]struct {
		clear string
		err   error
	}{
		"STLS":     {"S: +OK hello\nC: STLS\nS: +OK go on\n", nil},
		"no STLS":  {"S: +OK hello\nC: STLS\nS: -ERR what\n", dial.ErrNoTLS},
		"injected": {"S: +OK hello\nC: STLS\nS: +OK go on|+OK injected\n", dial.ErrInjected},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, strings.TrimPrefix(loginAs(me, "token-1", "S: +OK\n"), "S: +OK ready <1@x>\n"))
			private := f.account.dial
			f.account.dial = func(ctx context.Context, starttls func(net.Conn) error) (net.Conn, error) {
				ours, theirs := net.Pipe()
				defer ours.Close()
				f.working.Go(func() { f.play(theirs, tt.clear) })
				if err := starttls(ours); err != nil {
					return nil, err
				}
				return private(ctx, nil)
			}
			drop, err := f.account.login(t.Context())
			if drop != nil {
				drop.conn.Close()
			}
			f.working.Wait()
			if !errors.Is(err, tt.err) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// A server that says nothing holds a login no longer than its context.
func TestLoginObeysItsContext(t *testing.T) {
	f := newFake(t, "S: +OK\n")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("a stop")
	f.account.ended = func(step string) {
		if step == "connection" {
			cancel(why)
		}
	}
	if _, err := f.account.login(ctx); !errors.Is(err, why) {
		t.Errorf("ended with %v", err)
	}
	f.working.Wait()
}

func TestTest(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		found  Found
		steps  string
	}{
		"messages": {loginAs(me, "token-1", "S: +OK\nC: STAT\nS: +OK 2 320\nC: QUIT\nS: +OK\n"), Found{2, 320}, "token connection login maildrop"},
		"in use":   {loginAs(me, "token-1", "S: -ERR [IN-USE] busy\n"), Found{}, "token connection"},
		"no count": {loginAs(me, "token-1", "S: +OK\nC: STAT\nS: +OK many\n"), Found{}, "token connection login"},
		"refused":  {loginAs(me, "token-1", "S: +OK\nC: STAT\nS: -ERR no\n"), Found{}, "token connection login"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, tt.script)
			var steps []string
			f.account.ended = func(step string) { steps = append(steps, step) }
			found, err := f.account.test(t.Context())
			f.working.Wait()
			if got := strings.Join(steps, " "); found != tt.found || got != tt.steps || (err == nil) != (found != Found{}) {
				t.Errorf("found %+v, steps %q", found, got)
			}
		})
	}
}

func TestCommonCapabilities(t *testing.T) {
	m := &memory{}
	m.learn("a", tidied([]string{"top", "UIDL", "pipelining", "EXPIRE 30", "UTF8 USER", "SASL XOAUTH2", "IMPLEMENTATION x", ""}))
	m.learn("b", tidied([]string{"TOP", "PIPELINING", "EXPIRE NEVER", "utf8"}))
	for addrs, want := range map[string]string{
		"a":   "EXPIRE 30,PIPELINING,UTF8; no ",
		"a b": "PIPELINING,UTF8; no UIDL",
		"a c": "; no ",
		"":    "; no ",
	} {
		m.accounts = strings.Fields(addrs)
		l := m.common()
		got := strings.Join(l.common, ",") + "; no "
		if l.lacks["TOP"] {
			got += "TOP"
		}
		if l.lacks["UIDL"] {
			got += "UIDL"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", addrs, got, want)
		}
	}
	m.keep([]string{"a"})
	if m.doubt("a"); m.of("a") != nil || !m.common().has("UTF8") {
		t.Error("a provider that is asked again has lost what it offered")
	}
	if m.of("b") != nil {
		t.Error("a removed account is still known")
	}
}

func TestRefused(t *testing.T) {
	busy := &mailbox.ServerError{Code: "IN-USE"}
	delay := fmt.Errorf("at the provider: %w", &mailbox.ServerError{Code: "LOGIN-DELAY"})
	auth := &mailbox.ServerError{Code: "AUTH"}
	for _, tt := range []struct {
		kind  mailbox.RefusalKind
		cause error
		line  string
		last  bool
	}{
		{mailbox.WrongPassword, nil, "-ERR [AUTH] words", false},
		{mailbox.LockedOut, nil, "-ERR [AUTH] words", true},
		{mailbox.TooMany, nil, "-ERR [IN-USE] words", false},
		{mailbox.Passing, nil, "-ERR [SYS/TEMP] words", false},
		{mailbox.Passing, busy, "-ERR [IN-USE] words", false},
		{mailbox.Passing, delay, "-ERR [LOGIN-DELAY] words", false},
		{mailbox.Passing, auth, "-ERR [SYS/TEMP] words", false},
		{mailbox.Lasting, auth, "-ERR [SYS/PERM] words", false},
		{mailbox.Paused, nil, "-ERR [SYS/TEMP] words", false},
	} {
		why := &mailbox.Refusal{Kind: tt.kind, Problem: &api.Problem{What: api.Say("Words.")}, Box: &mailbox.Mailbox{Address: me}, Limit: 9}
		code, _, _ := strings.Cut(tt.line, "] ")
		want := short(code + "] " + why.Words())
		if line, last := refused(why, tt.cause); line != want || last != tt.last {
			t.Errorf("%d: %q, %t", tt.kind, line, last)
		}
	}
	long, _ := refused(&mailbox.Refusal{Kind: mailbox.Passing, Problem: &api.Problem{What: api.Say(strings.Repeat("many words ", 99))}}, nil)
	if len(long) > maxAnswer-2 || !strings.HasSuffix(long, "words...") && !strings.HasSuffix(long, "many...") {
		t.Errorf("%d bytes: %q", len(long), long)
	}
}

func TestRecent(t *testing.T) {
	for name, want := range map[string][2]string{
		me: {"", me}, "recent:" + me: {"recent:", me}, "Recent:" + me: {"Recent:", me}, "recent:": {"", "recent:"}, "recently@x.test": {"", "recently@x.test"},
	} {
		if prefix, user := recent(name); prefix != want[0] || user != want[1] {
			t.Errorf("%q: %q, %q", name, prefix, user)
		}
	}
}

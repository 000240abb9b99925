package imapd

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/prelogin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// desk is a dialogue for tests. The password is "secret"; other user names are refused in their own ways.
func desk(c net.Conn, change func(*dialogue, *prelogin.Config)) *dialogue {
	d := &dialogue{timeout: time.Minute, provider: func() []string { return []string{"IDLE"} }}
	d.login = func(name, password string) answer {
		problem := &api.Problem{What: api.Say("The words\r\nof " + name + ".")}
		switch kinds := map[string]mailbox.RefusalKind{"passing": mailbox.Passing, "lasting": mailbox.Lasting, "paused": mailbox.Paused, "many": mailbox.TooMany, "locked": mailbox.LockedOut}; {
		case kinds[name] != 0:
			return refused(&mailbox.Refusal{Kind: kinds[name], Problem: problem, Box: &mailbox.Mailbox{Address: "me@corp.test"}, Limit: 7})
		case password != "secret":
			return refused(&mailbox.Refusal{Kind: mailbox.WrongPassword})
		}
		return answer{in: true}
	}
	cfg := prelogin.Config{TCP: c, Timeout: time.Minute, MaxLine: maxLine, TLS: &tls.Config{Certificates: []tls.Certificate{certificate()}}}
	if change != nil {
		change(d, &cfg)
	}
	d.conn = prelogin.New(cfg)
	return d
}

const hello = "* OK [CAPABILITY IMAP4rev1 SASL-IR ID IDLE AUTH=PLAIN] Waxseal ready\r\n"

// Whole dialogues: what the mail program sends, in the pieces that it would, and all that it hears. A dialogue
// that ends without "IN" was closed.
func TestDialogue(t *testing.T) {
	const wrong = "Wrong user name or local password; `waxseal account password ADDRESS` shows the right ones\r\n"
	const bad = " BAD Unknown command, or not before the login\r\n"
	const tooMany = "* BYE Too many unrecognized commands; closing\r\n"
	tests := map[string]struct{ sent, heard string }{
		"capability":            {"a CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 SASL-IR ID IDLE AUTH=PLAIN\r\na OK done\r\n"},
		"noop, id, enable":      {"a NOOP\r\nb ID NIL\r\nc ENABLE CONDSTORE\r\n", "a OK done\r\n* ID (\"name\" \"Waxseal\")\r\nb OK done\r\n* ENABLED\r\nc OK nothing is enabled before the login\r\n"},
		"logout":                {"a LOGOUT\r\nb NOOP\r\n", "* BYE Goodbye\r\na OK done\r\n"},
		"login":                 {"a LOGIN me secret\r\n", "IN a"},
		"login with literals":   {"a LOGIN {2}\r\nme {6}\r\nsecret\r\n", "+ OK\r\n+ OK\r\nIN a"},
		"login, pipelined":      {"a LOGIN me secret\r\nb SELECT INBOX\r\n", "IN a b SELECT INBOX\r\n"},
		"wrong, then right":     {"a LOGIN me x\r\nb LOGIN me secret\r\n", "a NO [AUTHENTICATIONFAILED] " + wrong + "IN b"},
		"empty password":        {"a LOGIN me \"\"\r\n", "a NO [AUTHENTICATIONFAILED] " + wrong + ""},
		"locked out":            {"a LOGIN locked x\r\nb NOOP\r\n", "* BYE Too many wrong passwords; try again later\r\n"},
		"the account's limit":   {"a LOGIN many x\r\n", "a NO [UNAVAILABLE] me@corp.test already has 7 connections, its limit; close one\r\n"},
		"passing":               {"a LOGIN passing x\r\n", "a NO [UNAVAILABLE] The words  of passing.\r\n"},
		"lasting":               {"a LOGIN lasting x\r\n", "a NO [UNAVAILABLE] The password is correct. The words  of lasting.\r\n"},
		"paused":                {"a LOGIN paused x\r\n", "a NO [UNAVAILABLE] Waxseal is paused. Resume it from its icon or its window\r\n"},
		"extra words":           {"a LOGIN me secret x\r\n", "a BAD LOGIN takes a user name and a password\r\n"},
		"plain, IR":             {"a AUTHENTICATE PLAIN AG1lAHNlY3JldA==\r\n", "IN a"},
		"plain, IR, authzid":    {"a authenticate plain bWUAbWUAc2VjcmV0\r\n", "IN a"},
		"plain, two steps":      {"a AUTHENTICATE PLAIN\r\nAG1lAHNlY3JldA==\r\n", "+ \r\nIN a"},
		"plain, empty IR":       {"a AUTHENTICATE PLAIN =\r\n", "a BAD That is not a response in base64 with a user name and a password\r\n"},
		"plain, cancelled":      {"a AUTHENTICATE PLAIN\r\n*\r\n", "+ \r\na BAD The login was cancelled\r\n"},
		"plain, no base64":      {"a AUTHENTICATE PLAIN\r\n!!\r\n", "+ \r\na BAD That is not a response in base64 with a user name and a password\r\n"},
		"plain, for another":    {"a AUTHENTICATE PLAIN eW91AG1lAHg=\r\n", "a NO [AUTHORIZATIONFAILED] One account cannot log in as another\r\n"},
		"LOGIN":                 {"a AUTHENTICATE LOGIN\r\nbWU=\r\nc2VjcmV0\r\n", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\nIN a"},
		"LOGIN, IR":             {"a AUTHENTICATE LOGIN bWU=\r\nc2VjcmV0\r\n", "+ UGFzc3dvcmQ6\r\nIN a"},
		"LOGIN, cancelled":      {"a AUTHENTICATE LOGIN\r\nbWU=\r\n*\r\n", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\na BAD The login was cancelled\r\n"},
		"another mechanism":     {"a AUTHENTICATE CRAM-MD5\r\n", "a NO [CANNOT] This mechanism is not supported; use PLAIN\r\n"},
		"no mechanism":          {"a AUTHENTICATE\r\n", "a BAD AUTHENTICATE takes a mechanism and a response\r\n"},
		"three bad commands":    {"a SELECT INBOX\r\nb FOO\r\nc LOGI me x\r\nd NOOP\r\n", "a" + bad + "b" + bad + "c" + bad + tooMany},
		"no tag":                {"\r\n", "* BAD A command begins with a tag\r\n"},
		"a tag that is none":    {"(a NOOP\r\n", "* BAD A command begins with a tag\r\n"},
		"NUL":                   {"a LOGIN me s\x00\r\n", "* BYE The line holds a NUL; closing\r\n"},
		"a long line":           {"a LOGIN " + strings.Repeat("x", maxLine), "* BYE The command is too long; closing\r\n"},
		"a long literal":        {"a LOGIN {8193}\r\nb NOOP\r\n", "a BAD The literal is too long\r\nb OK done\r\n"},
		"a long one, unasked":   {"a LOGIN {8193+}\r\n", "* BYE The command is too long; closing\r\n"},
		"a literal for nothing": {"a APPEND x {5}\r\nb NOOP\r\n", "a BAD Unknown command, or not before the login\r\nb OK done\r\n"},
		"HTTP":                  {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "* BYE This port speaks IMAP, not HTTP; closing\r\n"},
		"HTTP with a login":     {"POST /x HTTP/1.0\r\n\r\na LOGIN me secret\r\n", "* BYE This port speaks IMAP, not HTTP; closing\r\n"},
		"TLS":                   {"\x16\x03\x01\x02\x00\x01", "* BYE This port begins without TLS; closing\r\n"},
		"SSL 2":                 {"\x80\x2e\x01\x03\x01", "* BYE This port begins without TLS; closing\r\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := converse(t, test.sent, nil); got != hello+test.heard {
				t.Errorf("heard\n%q, want\n%q", got, hello+test.heard)
			}
		})
	}
}

// converse sends text, ends, and gives all that was heard, with "IN", the tag and what came behind a login.
func converse(t testing.TB, text string, change func(*dialogue, *prelogin.Config)) string {
	program, c := tcpPair(t)
	d := desk(c, change)
	var result string
	var server sync.WaitGroup
	server.Go(func() {
		if tag, err := d.run(); err == nil {
			_, rest := d.conn.Release()
			result = strings.TrimRight("IN "+tag+" "+string(rest), " ")
		}
		c.Close()
	})
	server.Go(func() { io.WriteString(program, text); program.CloseWrite() })
	heard, _ := io.ReadAll(program)
	server.Wait()
	program.Close()
	return string(heard) + result
}

func tcpPair(t testing.TB) (dialled, accepted *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); a.Close() })
	return d.(*net.TCPConn), a.(*net.TCPConn)
}

// From another computer there is no login before TLS, and none of the ways to send a password is offered.
func TestRemote(t *testing.T) {
	const refused = " NO [PRIVACYREQUIRED] STARTTLS comes first\r\n"
	got := converse(t, "a LOGIN me secret\r\nb AUTHENTICATE PLAIN\r\nc AUTHENTICATE LOGIN bWU=\r\n", func(d *dialogue, _ *prelogin.Config) { d.needsTLS = true })
	want := "* OK [CAPABILITY IMAP4rev1 SASL-IR ID IDLE STARTTLS LOGINDISABLED] Waxseal ready\r\na" + refused + "b" + refused + "c" + refused
	if got != want {
		t.Errorf("heard\n%q, want\n%q", got, want)
	}
}

// What came in clear text behind STARTTLS is thrown away, and a second STARTTLS is refused.
func TestStartTLS(t *testing.T) {
	program, c := tcpPair(t)
	d := desk(c, func(d *dialogue, _ *prelogin.Config) { d.needsTLS = true })
	var server sync.WaitGroup
	server.Go(func() {
		if tag, err := d.run(); tag != "d" || err != nil {
			t.Errorf("logged in with %q, %v", tag, err)
		}
	})
	in := bufio.NewReader(program)
	in.ReadString('\n')
	io.WriteString(program, "a STARTTLS\r\nx LOGIN me injected\r\n")
	if line, _ := in.ReadString('\n'); line != "a OK begin TLS\r\n" {
		t.Fatalf("heard %q", line)
	}
	secure := tls.Client(program, &tls.Config{InsecureSkipVerify: true})
	io.WriteString(secure, "b CAPABILITY\r\nc STARTTLS\r\nd LOGIN me secret\r\n")
	want := "* CAPABILITY IMAP4rev1 SASL-IR ID IDLE AUTH=PLAIN\r\nb OK done\r\nc BAD TLS is already active\r\n"
	got := make([]byte, len(want))
	if io.ReadFull(secure, got); string(got) != want {
		t.Errorf("heard %q, want %q", got, want)
	}
	server.Wait()
}

// The port for TLS: who does not begin it is offered STARTTLS and no login.
func TestImplicitTLS(t *testing.T) {
	implicit := func(d *dialogue, cfg *prelogin.Config) { d.needsTLS, cfg.Implicit = true, true }
	if got := converse(t, "a LOGIN me secret\r\n", implicit); !strings.Contains(got, "STARTTLS LOGINDISABLED") || !strings.HasSuffix(got, "a NO [PRIVACYREQUIRED] STARTTLS comes first\r\n") {
		t.Errorf("clear text heard %q", got)
	}
	program, c := tcpPair(t)
	d := desk(c, implicit)
	var server sync.WaitGroup
	server.Go(func() {
		tag, err := d.run()
		if _, rest := d.conn.Release(); tag != "a" || err != nil || string(rest) != "b NOOP\r\n" {
			t.Errorf("logged in with %q, %v, %q behind it", tag, err, rest)
		}
	})
	secure := tls.Client(program, &tls.Config{InsecureSkipVerify: true})
	io.WriteString(secure, "a LOGIN me secret\r\nb NOOP\r\n")
	if line, err := bufio.NewReader(secure).ReadString('\n'); line != hello {
		t.Errorf("heard %q, %v", line, err)
	}
	server.Wait()
}

// Silence ends with BYE, and so does what Waxseal wants to end.
func TestSilence(t *testing.T) {
	tests := map[string]struct {
		why   error
		want  string
		after time.Duration
	}{
		"silent":   {nil, hello + "* BYE No login within 1m0s; closing\r\n", time.Minute},
		"evicted":  {errEvicted, hello + "* BYE Too many connections; closing one that has not logged in\r\n", time.Second},
		"stopping": {errStopping, hello + "* BYE Waxseal is stopping; try again later\r\n", time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				program, c := net.Pipe()
				began := time.Now()
				d := desk(c, func(_ *dialogue, cfg *prelogin.Config) {
					cfg.Ended = func() error {
						if time.Since(began) < time.Second {
							return nil
						}
						return test.why
					}
				})
				if test.why != nil {
					time.AfterFunc(time.Second, d.conn.Nudge)
				}
				go func() {
					defer c.Close()
					d.run()
				}()
				heard, _ := io.ReadAll(program)
				if took := time.Since(began); string(heard) != test.want || took != test.after {
					t.Errorf("heard %q after %v", heard, took)
				}
			})
		})
	}
}

// FuzzDialogue: whatever a mail program says, each line that it hears is a response, and a login needs the
// password.
func FuzzDialogue(f *testing.F) {
	for _, seed := range []string{
		"a LOGIN me secret\r\n", "a LOGIN {2}\r\nme {6+}\r\nsecret\r\nb SELECT x\r\n", "a AUTHENTICATE PLAIN\r\nAG1lAHNlY3JldA==\r\n",
		"a AUTHENTICATE LOGIN bWU=\r\n*\r\n", "a STARTTLS\r\n\x16\x03\x01", "GET / HTTP/1.1\r\n", "\x00\r\n a\r\n{5}\r\n", "a ID (\"x\" {3}\r\nabc)\r\n", "a LOGIN \"\\\"\" \"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		c := &script{in: bytes.NewReader(sent)}
		used := ""
		d := desk(c, nil)
		login := d.login
		d.login = func(name, password string) answer { used = password; return login(name, password) }
		_, err := d.run()
		if err == nil && used != "secret" {
			t.Errorf("logged in with %q", used)
		}
		said, _, _ := strings.Cut(c.out.String(), "\x15\x03") // an alert of TLS
		for line := range strings.Lines(said) {
			tag, rest, _ := strings.Cut(line, " ")
			if !strings.HasSuffix(line, "\r\n") || tag != "+" && tag != "*" && !isTag(tag) || rest == "" {
				t.Errorf("said %q", line)
			}
		}
	})
}

// script is a connection that says what is in it.
type script struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) Close() error                     { return nil }

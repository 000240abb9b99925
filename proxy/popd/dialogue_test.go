package popd

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/proxy/prelogin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a program that sends what it has to say without waiting.
type scripted struct {
	net.Conn // nil
	in       io.Reader
	out      bytes.Buffer
}

func (s *scripted) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *scripted) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

const (
	me       = "me@corp.test"
	password = "local pass"
	greeting = "+OK Waxseal ready\r\n"
)

func plainResponse(parts ...string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Join(parts, "\x00")))
}

// logIn knows one account.
func logIn(name, pw string, _ bool) answer {
	switch {
	case name == me && pw == password, name == "m\xe4" && pw == "\xff", name == "old" && pw == "":
		return answer{in: true}
	case name == "locked":
		return answer{line: "-ERR [AUTH] locked out", last: true}
	}
	return answer{line: "-ERR [AUTH] wrong"}
}

// play has a dialogue with a program that sends input. It returns what it was told, and what it sent ahead.
func play(d *dialogue, input string) (said, ahead string, err error) {
	s := &scripted{in: iotest.HalfReader(strings.NewReader(input))}
	d.conn = prelogin.New(prelogin.Config{TCP: s, Timeout: time.Minute, MaxLine: maxLine})
	if d.provider == nil {
		d.provider = func() learned { return learned{} }
	}
	if d.login == nil {
		d.login = logIn
	}
	d.timeout = time.Minute
	if err = d.run(); err == nil {
		d.conn.Flush()
		_, rest := d.conn.Release()
		left, _ := io.ReadAll(s.in)
		ahead = string(rest) + string(left)
	}
	return s.out.String(), ahead, err
}

var dialogues = map[string]struct {
	input string
	said  string // behind the greeting, with \n for line ends
	err   error  // nil: it has logged in
}{
	"USER, PASS":                {"USER " + me + "\r\nPASS " + password + "\r\n", "+OK\n", nil},
	"lower case and blanks":     {"user  " + me + " \r\npass " + password + "\r\n", "+OK\n", nil},
	"bare LF":                   {"USER " + me + "\nPASS " + password + "\n", "+OK\n", nil},
	"PASS keeps its blanks":     {"USER " + me + "\r\nPASS " + password + " \r\nQUIT\r\n", "+OK\n-ERR [AUTH] wrong\n+OK Bye\n", io.EOF},
	"empty password":            {"USER old\r\nPASS \r\n", "+OK\n", nil},
	"no password":               {"USER old\r\nPASS\r\n", "+OK\n", nil},
	"8 bits":                    {"USER m\xe4\r\nPASS \xff\r\n", "+OK\n", nil},
	"PASS first":                {"PASS x\r\nQUIT\r\n", "-ERR USER comes first\n+OK Bye\n", io.EOF},
	"USER without a name":       {"USER\r\nQUIT\r\n", "-ERR USER needs the account's address\n+OK Bye\n", io.EOF},
	"wrong, then right":         {"USER a\r\nPASS b\r\nUSER " + me + "\r\nPASS " + password + "\r\n", "+OK\n-ERR [AUTH] wrong\n+OK\n", nil},
	"PASS twice":                {"USER a\r\nPASS b\r\nPASS " + password + "\r\nQUIT\r\n", "+OK\n-ERR [AUTH] wrong\n-ERR USER comes first\n+OK Bye\n", io.EOF},
	"locked out":                {"USER locked\r\nPASS b\r\nNOOP\r\n", "+OK\n-ERR [AUTH] locked out\n", errLast},
	"AUTH PLAIN":                {"AUTH PLAIN " + plainResponse("", me, password) + "\r\n", "", nil},
	"AUTH PLAIN in two steps":   {"auth plain\r\n" + plainResponse("", me, password) + "\r\n", "+ \n", nil},
	"AUTH PLAIN as oneself":     {"AUTH PLAIN " + plainResponse(me, me, password) + "\r\n", "", nil},
	"AUTH PLAIN as another":     {"AUTH PLAIN " + plainResponse("you", me, password) + "\r\nQUIT\r\n", "-ERR [AUTH] One account cannot log in as another\n+OK Bye\n", io.EOF},
	"AUTH PLAIN, wrong":         {"AUTH PLAIN " + plainResponse("", me, "x") + "\r\nQUIT\r\n", "-ERR [AUTH] wrong\n+OK Bye\n", io.EOF},
	"AUTH PLAIN =":              {"AUTH PLAIN =\r\nQUIT\r\n", "-ERR That is not a response in base64 with a user name and a password\n+OK Bye\n", io.EOF},
	"AUTH cancelled":            {"AUTH PLAIN\r\n*\r\nQUIT\r\n", "+ \n-ERR AUTH cancelled\n+OK Bye\n", io.EOF},
	"AUTH LOGIN":                {"AUTH LOGIN\r\n" + plainResponse(me) + "\r\n" + plainResponse(password) + "\r\n", "+ VXNlcm5hbWU6\n+ UGFzc3dvcmQ6\n", nil},
	"AUTH without base64":       {"AUTH PLAIN\r\n???\r\nQUIT\r\n", "+ \n-ERR That is not a response in base64 with a user name and a password\n+OK Bye\n", io.EOF},
	"AUTH alone":                {"AUTH\r\nQUIT\r\n", "+OK Mechanisms follow\nPLAIN\n.\n+OK Bye\n", io.EOF},
	"another mechanism":         {"AUTH CRAM-MD5\r\nQUIT\r\n", "-ERR This mechanism is not supported; use AUTH PLAIN\n+OK Bye\n", io.EOF},
	"CAPA":                      {"CAPA\r\nQUIT\r\n", "+OK Capability list follows\nTOP\nUIDL\nRESP-CODES\nAUTH-RESP-CODE\nUSER\nSASL PLAIN\n.\n+OK Bye\n", io.EOF},
	"NOOP":                      {"NOOP\r\nQUIT\r\n", "+OK\n+OK Bye\n", io.EOF},
	"APOP":                      {"APOP me 0123\r\nQUIT\r\n", "-ERR APOP is not supported; use USER and PASS, or AUTH PLAIN\n+OK Bye\n", io.EOF},
	"UTF8":                      {"UTF8\r\nQUIT\r\n", "-ERR UTF8 is not supported by all providers\n+OK Bye\n", io.EOF},
	"too early":                 {"STAT\r\nRETR 1\r\nQUIT\r\n", "-ERR Log in first\n-ERR Log in first\n+OK Bye\n", io.EOF},
	"three wrong commands":      {"EHLO x\r\n\r\nHELP\r\nUSER " + me + "\r\n", "-ERR Command not recognized\n-ERR Command not recognized\n-ERR Too many wrong commands; closing\n", errTooMany},
	"a NUL":                     {"USER a\x00b\r\n", "-ERR The line holds a NUL; closing\n", prelogin.ErrNUL},
	"too long":                  {"USER " + strings.Repeat("x", maxLine) + "\r\n", "-ERR The line is too long; closing\n", prelogin.ErrLong},
	"a long response":           {"AUTH PLAIN\r\n" + strings.Repeat("A", 60000) + "\r\nQUIT\r\n", "+ \n-ERR That is not a response in base64 with a user name and a password\n+OK Bye\n", io.EOF},
	"HTTP":                      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "-ERR This port speaks POP3, not HTTP; closing\n", prelogin.ErrHTTP},
	"TLS":                       {"\x16\x03\x01\x00\x05hello", "-ERR This port begins without TLS; closing\n", prelogin.ErrTLS},
	"a program that leaves":     {"USER a\r\n", "+OK\n", io.EOF},
	"half a command":            {"USER " + me + "\r\nPASS " + password, "+OK\n", io.EOF},
	"a command after another":   {"USER " + me + "\r\nUSER locked\r\nPASS x\r\n", "+OK\n+OK\n-ERR [AUTH] locked out\n", errLast},
	"a name behind a tabulator": {"USER\t" + me + "\r\nQUIT\r\n", "-ERR Command not recognized\n+OK Bye\n", io.EOF},
}

func TestDialogue(t *testing.T) {
	for name, tt := range dialogues {
		t.Run(name, func(t *testing.T) {
			said, _, err := play(&dialogue{}, tt.input)
			if want := greeting + strings.ReplaceAll(tt.said, "\n", "\r\n"); said != want || !errors.Is(err, tt.err) {
				t.Errorf("said %q\nwant %q\nended with %v, want %v", said, want, err, tt.err)
			}
		})
	}
}

// On a network, no password is asked for before TLS.
func TestDialogueWithoutTLS(t *testing.T) {
	said, _, err := play(&dialogue{needsTLS: true}, "CAPA\r\nUSER a\r\nAUTH\r\nAUTH PLAIN "+plainResponse("", me, password)+"\r\nQUIT\r\n")
	want := greeting + "+OK Capability list follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nSTLS\r\n.\r\n" +
		tlsFirst + "\r\n+OK Mechanisms follow\r\n.\r\n" + tlsFirst + "\r\n+OK Bye\r\n"
	if said != want || err != io.EOF {
		t.Errorf("said %q\nwant %q, %v", said, want, err)
	}
}

func TestDialogueOfPausedServer(t *testing.T) {
	said, _, err := play(&dialogue{paused: true}, "USER a\r\n")
	if said != pausedGreeting+"\r\n" || err != errPaused {
		t.Errorf("said %q, %v", said, err)
	}
}

// What a program sends together with its login is for the provider.
func TestSentAhead(t *testing.T) {
	_, ahead, err := play(&dialogue{}, "USER "+me+"\r\nPASS "+password+"\r\nSTAT\r\nUIDL\r\n")
	if ahead != "STAT\r\nUIDL\r\n" || err != nil {
		t.Errorf("ahead %q, %v", ahead, err)
	}
}

func TestUTF8(t *testing.T) {
	asked := false
	d := &dialogue{
		provider:  func() learned { return learned{common: []string{"PIPELINING", "UTF8"}} },
		login:     func(_, _ string, utf8 bool) answer { asked = utf8; return answer{in: true} },
		offersTLS: true,
	}
	said, _, err := play(d, "CAPA\r\nUTF8\r\nSTLS\r\nUSER a\r\nPASS b\r\n")
	if err != nil || !asked || !strings.Contains(said, "STLS\r\nPIPELINING\r\nUTF8\r\n.\r\n+OK\r\n-ERR STLS must come before UTF8\r\n") {
		t.Errorf("said %q, asked %v, %v", said, asked, err)
	}
}

func TestNoLoginInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		program, ours := net.Pipe()
		d := &dialogue{timeout: time.Minute, conn: prelogin.New(prelogin.Config{TCP: ours, Timeout: time.Minute, MaxLine: maxLine})}
		go func() {
			d.run()
			ours.Close()
		}()
		said, _ := io.ReadAll(program)
		if want := greeting + "-ERR No login within 1m0s; closing\r\n"; string(said) != want {
			t.Errorf("said %q", said)
		}
	})
}

var statusLine = regexp.MustCompile(`^(\+OK|-ERR|\+ )[\x20-\x7e]*$|^[A-Z][A-Z0-9 -]*$|^\.$`)

// FuzzDialogue: whatever a program sends, every line is one of POP, and nobody is let in without the
// password.
func FuzzDialogue(f *testing.F) {
	for _, d := range dialogues {
		f.Add([]byte(d.input), false)
		f.Add([]byte(d.input), true)
	}
	f.Fuzz(func(t *testing.T, input []byte, needsTLS bool) {
		if bytes.Contains(bytes.ToUpper(input), []byte("STLS")) {
			t.Skip() // no TLS here
		}
		let := false
		d := &dialogue{needsTLS: needsTLS, login: func(name, pw string, utf8 bool) answer {
			a := logIn(name, pw, utf8)
			let = let || a.in
			return a
		}}
		said, _, err := play(d, string(input))
		if (err == nil) != let || let && needsTLS {
			t.Errorf("ended with %v, let in: %v", err, let)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(said, "\r\n"), "\r\n") {
			if !statusLine.MatchString(line) {
				t.Errorf("not a line of POP: %q", line)
			}
		}
	})
}

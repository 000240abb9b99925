package prelogin

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a program that sends what it has to say without waiting.
type scripted struct {
	net.Conn // nil
	io.Reader
	bytes.Buffer
}

func (s *scripted) Read(p []byte) (int, error)       { return s.Reader.Read(p) }
func (s *scripted) Write(p []byte) (int, error)      { return s.Buffer.Write(p) }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }
func (s *scripted) Close() error                     { return nil }

func script(input string) (*Conn, *scripted) {
	s := &scripted{Reader: iotest.HalfReader(strings.NewReader(input))}
	return New(Config{TCP: s, Timeout: time.Minute, MaxLine: 2000}), s
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 1900)
	for name, tt := range map[string]struct {
		input string
		want  []string
		end   error
	}{
		"line ends":             {"a\r\nb\n\r\nc d \r\n", []string{"a", "b", "", "c d "}, io.EOF},
		"without an end":        {"a\r\nb", []string{"a"}, io.EOF},
		"long":                  {long + "\r\n" + long + "\r\n", []string{long, long}, io.EOF},
		"too long":              {"a\r\n" + strings.Repeat("x", 5000), []string{"a"}, ErrLong},
		"8 bits":                {"PASS \xff\xe4\r\n", []string{"PASS \xff\xe4"}, io.EOF},
		"NUL":                   {"a\x00b\r\n", nil, ErrNUL},
		"HTTP":                  {"GET / HTTP/1.1\r\nHost: x\r\n", nil, ErrHTTP},
		"HTTP in the middle":    {"a\r\nPOST /x HTTP/1.0\r\n", []string{"a"}, ErrHTTP},
		"not HTTP":              {"GET me\r\nPASS HTTP/1\r\n", []string{"GET me", "PASS HTTP/1"}, io.EOF},
		"SSH":                   {"SSH-2.0-x\r\n", nil, ErrSSH},
		"TLS":                   {"\x16\x03\x01\x00\x05hello\n", nil, ErrTLS},
		"SSL 2":                 {"\x80\x2e\x01" + strings.Repeat("x", 40), nil, ErrTLS},
		"nothing":               {"", nil, io.EOF},
		"many lines in one":     {strings.Repeat("ab\r\n", 600), strings.Fields(strings.Repeat("ab ", 600)), io.EOF},
		"a CR inside is a byte": {"a\rb\r\n", []string{"a\rb"}, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := script(tt.input)
			var lines []string
			for {
				line, err := c.ReadLine()
				if err != nil {
					if !errors.Is(err, tt.end) {
						t.Errorf("ended with %v, want %v", err, tt.end)
					}
					break
				}
				lines = append(lines, string(line))
			}
			if strings.Join(lines, "\n") != strings.Join(tt.want, "\n") || len(lines) != len(tt.want) {
				t.Errorf("lines %q, want %q", lines, tt.want)
			}
		})
	}
}

// A literal may hold what a line may not, and what follows it is a line again.
func TestReadN(t *testing.T) {
	c, _ := script("a {5}\r\nx\r\n\x00y b\r\nrest")
	c.ReadLine()
	if b, err := c.ReadN(5); err != nil || string(b) != "x\r\n\x00y" {
		t.Fatalf("literal %q, %v", b, err)
	}
	if line, err := c.ReadLine(); err != nil || string(line) != " b" {
		t.Fatalf("line %q, %v", line, err)
	}
	if _, err := c.ReadN(50); err == nil {
		t.Error("a literal that is cut off")
	}
	if _, rest := c.Release(); string(rest) != "rest" {
		t.Errorf("rest %q", rest)
	}
}

func TestSASL(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	me := b64("\x00me\x00pa ss")
	for name, tt := range map[string]struct {
		mechanism, initial, input string
		user, password, said      string
		err                       error
	}{
		"PLAIN with a response":  {"PLAIN", me, "", "me", "pa ss", "", nil},
		"PLAIN without":          {"plain", "", me + "\r\n", "me", "pa ss", "+ \r\n", nil},
		"identity":               {"PLAIN", b64("me@x.test\x00ME@x.test\x00pw"), "", "ME@x.test", "pw", "", nil},
		"another identity":       {"PLAIN", b64("you\x00me\x00pw"), "", "", "", "", ErrIdentity},
		"empty password":         {"PLAIN", b64("\x00me\x00"), "", "me", "", "", nil},
		"8 bits":                 {"PLAIN", b64("\x00m\xe4\x00\xff"), "", "m\xe4", "\xff", "", nil},
		"two parts":              {"PLAIN", b64("me\x00pw"), "", "", "", "", ErrSASL},
		"four parts":             {"PLAIN", b64("\x00me\x00p\x00w"), "", "", "", "", ErrSASL},
		"empty response":         {"PLAIN", "=", "", "", "", "", ErrSASL},
		"not base64":             {"PLAIN", "?", "", "", "", "", ErrSASL},
		"cancelled":              {"PLAIN", "", "*\r\n", "", "", "+ \r\n", ErrCancelled},
		"LOGIN":                  {"LOGIN", "", b64("me") + "\r\n" + b64("pw") + "\r\n", "me", "pw", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n", nil},
		"LOGIN with a user":      {"Login", b64("me"), b64("pw") + "\r\n", "me", "pw", "+ UGFzc3dvcmQ6\r\n", nil},
		"LOGIN, empty password":  {"LOGIN", b64("me"), "\r\n", "me", "", "+ UGFzc3dvcmQ6\r\n", nil},
		"LOGIN cancelled late":   {"LOGIN", b64("me"), "*\r\n", "", "", "+ UGFzc3dvcmQ6\r\n", ErrCancelled},
		"CRAM-MD5":               {"CRAM-MD5", "", "", "", "", "", ErrMechanism},
		"a program that is gone": {"PLAIN", "", "", "", "", "+ \r\n", io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := script(tt.input)
			user, password, err := c.SASL(tt.mechanism, tt.initial)
			c.Flush()
			if !errors.Is(err, tt.err) || err == nil && (user != tt.user || password != tt.password) || s.String() != tt.said {
				t.Errorf("%q %q %v, said %q", user, password, err, s.String())
			}
		})
	}
}

// certificate is one for nobody, signed by itself.
func certificate(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// What was sent in clear text behind STARTTLS is not a command under TLS.
func TestStartTLSForgetsClearText(t *testing.T) {
	defer goleak.VerifyNone(t)
	program, ours := net.Pipe()
	defer program.Close()
	ended := make(chan string)
	go func() {
		defer close(ended)
		defer ours.Close()
		c := New(Config{TCP: ours, TLS: certificate(t), Timeout: time.Minute, MaxLine: 100})
		c.ReadLine()
		c.Say("+OK")
		if err := c.StartTLS(); err != nil || !c.Secure() {
			t.Errorf("StartTLS: %v", err)
			return
		}
		line, _ := c.ReadLine()
		ended <- string(line)
	}()
	io.WriteString(program, "STLS\r\nUSER injected\r\n")
	bufio.NewReader(program).ReadString('\n')
	secured := tls.Client(program, &tls.Config{InsecureSkipVerify: true}) // #nosec G402 -- the test's own
	if _, err := io.WriteString(secured, "USER me\r\n"); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; got != "USER me" {
		t.Errorf("the first command under TLS is %q", got)
	}
	<-ended
}

func TestBeginOnTLSPort(t *testing.T) {
	cfg := certificate(t)
	for name, tt := range map[string]struct {
		program func(net.Conn) error
		secure  bool
		line    string
	}{
		"TLS": {func(c net.Conn) error {
			_, err := io.WriteString(tls.Client(c, &tls.Config{InsecureSkipVerify: true}), "a\r\n") // #nosec G402 -- the test's own
			return err
		}, true, "a"},
		"clear text": {func(c net.Conn) error { _, err := io.WriteString(c, "CAPA\r\n"); return err }, false, "CAPA"},
		"waiting":    {func(c net.Conn) error { time.Sleep(2 * helloWait); _, err := io.WriteString(c, "x\r\n"); return err }, false, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				program, ours := net.Pipe()
				sent := make(chan error, 1)
				go func() { sent <- tt.program(program) }()
				c := New(Config{TCP: ours, TLS: cfg, Implicit: true, Timeout: time.Minute, MaxLine: 100})
				if err := c.Begin(); err != nil || c.Secure() != tt.secure {
					t.Fatalf("Begin: %v, secure %v", err, c.Secure())
				}
				if line, err := c.ReadLine(); err != nil || string(line) != tt.line {
					t.Errorf("line %q, %v", line, err)
				}
				if err := <-sent; err != nil {
					t.Error(err)
				}
				program.Close()
				ours.Close()
			})
		})
	}
}

// The time runs from the connection's begin, however many bytes drip in.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		program, ours := net.Pipe()
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				time.Sleep(7 * time.Second)
				if _, err := io.WriteString(program, "x"); err != nil {
					return
				}
			}
		}()
		c := New(Config{TCP: ours, Timeout: time.Minute, MaxLine: 1000})
		_, err := c.ReadLine()
		if !errors.Is(err, ErrSilent) || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ours.Close()
		<-done
	})
}

// A nudge makes a waiting connection ask whether it has to end, and go on waiting if not.
func TestNudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, ours := net.Pipe()
		gone := errors.New("no room")
		why := make(chan error, 1)
		var end error
		c := New(Config{TCP: ours, Timeout: time.Hour, MaxLine: 1000, Ended: func() error {
			select {
			case end = <-why:
			default:
			}
			return end
		}})
		got := make(chan error)
		go func() { _, err := c.ReadLine(); got <- err }()
		synctest.Wait()
		c.Nudge()
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatalf("ended without a reason: %v", err)
		default:
		}
		why <- gone
		c.Nudge()
		if err := <-got; err != gone {
			t.Errorf("ended with %v", err)
		}
	})
}

// A program on the other side that sends on still reads the last line.
func TestGoodbye(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	program, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	ours, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(program, strings.Repeat("x", 100<<10))
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer ours.Close()
		c := New(Config{TCP: ours, Timeout: time.Minute, MaxLine: 1000})
		if _, err := c.ReadLine(); !errors.Is(err, ErrLong) {
			t.Error(err)
		}
		c.Goodbye("-ERR too long")
	}()
	said, err := bufio.NewReader(program).ReadString('\n')
	if err != nil || said != "-ERR too long\r\n" {
		t.Errorf("%q, %v", said, err)
	}
	program.Close()
	<-done
}

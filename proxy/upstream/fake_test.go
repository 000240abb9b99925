package upstream

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/oauth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an SMTP server that a test scripts. It reads strictly: a body ends at CRLF "." CRLF and nowhere
// else.
type fake struct {
	tb       testing.TB
	ext      []string // EHLO keywords
	tls      *tls.Config
	implicit bool
	discard  bool // bodies are counted, not kept
	away     bool // it is a round trip away; only in a synctest bubble, and without start
	// on may answer a line in the server's place: the reply without its last line end, "drop" to hang
	// up, "drop " and some bytes to say them before, "" to let the server do it. Besides the commands
	// there are the lines CONNECT and END (of a body).
	on func(conn int, line string) string

	ln   net.Listener
	work sync.WaitGroup

	mu       sync.Mutex
	open     map[net.Conn]int // connections by their number
	conns    int
	lines    []string // "1 MAIL FROM:<...>"
	messages []message
}

type message struct {
	conn    int
	from    string
	rcpts   []string
	body    []byte
	size    int64
	chunked bool
}

var allExtensions = []string{"SIZE 1000000", "8BITMIME", "PIPELINING", "CHUNKING", "SMTPUTF8", "DSN", "AUTH PLAIN XOAUTH2 OAUTHBEARER"}

func without(word string) []string {
	return slices.DeleteFunc(slices.Clone(allExtensions), func(s string) bool { return strings.HasPrefix(s, word) })
}

// start serves on a port of the loopback interface until the test ends.
func start(tb testing.TB, f *fake) *fake {
	tb.Helper()
	f.tb = tb
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	f.ln = ln
	f.work.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f.work.Go(func() { f.serve(c) })
		}
	})
	tb.Cleanup(f.stop)
	return f
}

func (f *fake) stop() {
	if f.ln != nil {
		f.ln.Close()
	}
	f.mu.Lock()
	for c := range f.open {
		c.Close()
	}
	f.mu.Unlock()
	f.work.Wait()
}

// hangUp closes every open connection.
func (f *fake) hangUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		c.Close()
	}
}

// conn is the server's end of connection n.
func (f *fake) conn(n int) net.Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c, number := range f.open {
		if number == n {
			return c
		}
	}
	return nil
}

func (f *fake) serve(raw net.Conn) {
	f.mu.Lock()
	f.conns++
	s := &fakeConn{fake: f, n: f.conns, conn: raw}
	if f.open == nil {
		f.open = map[net.Conn]int{}
	}
	f.open[raw] = s.n
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.open, raw)
		f.mu.Unlock()
		raw.Close()
	}()
	if f.implicit {
		s.conn = tls.Server(raw, f.tls)
	}
	s.r, s.w = bufio.NewReader(s.conn), bufio.NewWriter(s.conn)
	greeting, err := s.ask("CONNECT")
	if err != nil || s.say(cmp.Or(greeting, "220 fake ready")) != nil {
		return
	}
	for {
		line, err := s.readLine()
		if err != nil || s.command(line) != nil {
			return
		}
	}
}

// fakeConn is one connection to a fake.
type fakeConn struct {
	*fake
	n     int
	conn  net.Conn
	r     *bufio.Reader
	w     *bufio.Writer
	msg   message
	piece []byte
}

var errDrop = errors.New("dropped by the script")

func (s *fakeConn) readLine() (string, error) {
	if s.r.Buffered() == 0 && s.w.Flush() != nil {
		return "", errDrop
	}
	line, err := s.r.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

// ask notes a line and gives the script's reply to it, if it has one.
func (s *fakeConn) ask(line string) (scripted string, err error) {
	s.mu.Lock()
	s.lines = append(s.lines, strconv.Itoa(s.n)+" "+line)
	s.mu.Unlock()
	if s.on != nil {
		scripted = s.on(s.n, line)
	}
	if last, ok := strings.CutPrefix(scripted, "drop"); ok {
		s.w.WriteString(strings.TrimPrefix(last, " "))
		s.w.Flush()
		return "", errDrop
	}
	return scripted, nil
}

func (s *fakeConn) say(reply string) error {
	_, err := s.w.WriteString(reply + "\r\n")
	return err
}

func (s *fakeConn) command(line string) error {
	reply, err := s.ask(line)
	if err != nil {
		return err
	}
	or := func(usual string) error { return s.say(cmp.Or(reply, usual)) }
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "EHLO":
		ext := s.ext
		if ext == nil {
			ext = allExtensions
		}
		if _, secure := s.conn.(*tls.Conn); s.tls != nil && !secure {
			ext = append([]string{"STARTTLS"}, ext...)
		}
		return or("250-fake\r\n250-" + strings.Join(ext[:len(ext)-1], "\r\n250-") + "\r\n250 " + ext[len(ext)-1])
	case "STARTTLS":
		if err := or("220 go"); err != nil || s.w.Flush() != nil {
			return errDrop
		}
		s.conn = tls.Server(s.conn, s.tls)
		s.r, s.w = bufio.NewReader(s.conn), bufio.NewWriter(s.conn)
		return nil
	case "AUTH":
		if strings.Count(line, " ") == 1 {
			return or("334 ")
		}
	case "MAIL":
		s.msg = message{conn: s.n, from: rest}
		return or("250 2.1.0 OK")
	case "RCPT":
		s.msg.rcpts = append(s.msg.rcpts, rest)
		return or("250 2.1.5 OK")
	case "RSET":
		s.msg = message{}
		return or("250 2.0.0 OK")
	case "QUIT":
		or("221 2.0.0 Bye")
		s.w.Flush()
		return errDrop
	case "BDAT":
		return s.bdat(strings.Fields(line), reply)
	case "DATA":
		if err := or("354 go"); err != nil || s.w.Flush() != nil {
			return errDrop
		}
		if reply != "" && !strings.HasPrefix(reply, "354") {
			return nil
		}
		return s.data()
	}
	return or("235 2.7.0 Accepted") // AUTH, and the second line of it
}

func (s *fakeConn) keep(p []byte) {
	s.msg.size += int64(len(p))
	if !s.discard {
		s.msg.body = append(s.msg.body, p...)
	}
}

func (s *fakeConn) bdat(words []string, reply string) error {
	size, err := strconv.Atoi(words[1])
	if err != nil {
		return err
	}
	if s.piece == nil {
		s.piece = make([]byte, 32<<10)
	}
	for size > 0 {
		p := s.piece[:min(size, len(s.piece))]
		if _, err := io.ReadFull(s.r, p); err != nil {
			return err
		}
		s.keep(p)
		size -= len(p)
	}
	s.msg.chunked = true
	if len(words) == 2 || reply != "" {
		return s.say(cmp.Or(reply, "250 2.0.0 so far"))
	}
	return s.end()
}

func (s *fakeConn) data() error {
	atStart := true
	for {
		p, err := s.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if atStart && string(p) == ".\r\n" {
			return s.end()
		}
		if atStart && p[0] == '.' {
			p = p[1:]
		}
		s.keep(p)
		// In no test a line is so long that the buffer splits its CRLF.
		atStart = bytes.HasSuffix(p, []byte("\r\n"))
	}
}

func (s *fakeConn) end() error {
	reply, err := s.ask("END")
	if err != nil {
		return err
	}
	if reply == "" {
		s.mu.Lock()
		s.messages = append(s.messages, s.msg)
		s.mu.Unlock()
		reply = fmt.Sprintf("250 2.0.0 OK queued by %d", s.n)
	}
	s.msg = message{}
	return s.say(reply)
}

// said are the command lines of one connection so far.
func (f *fake) said(conn int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for _, l := range f.lines {
		if rest, ok := strings.CutPrefix(l, strconv.Itoa(conn)+" "); ok {
			lines = append(lines, rest)
		}
	}
	return lines
}

func (f *fake) delivered() []message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.messages)
}

func (f *fake) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

// fakeTokens gives one value after the other: the next one follows a rejected one, and the last one stays.
type fakeTokens struct {
	mu       sync.Mutex
	values   []string
	rejected []string
	err      error
}

func (f *fakeTokens) Token(context.Context) (oauth.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.values) == 0 {
		return oauth.Token{}, f.err
	}
	return oauth.Token{Value: f.values[0]}, nil
}

func (f *fakeTokens) Reject(value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rejected = append(f.rejected, value)
	if f.values[0] == value && (len(f.values) > 1 || f.err != nil) {
		f.values = f.values[1:]
	}
}

func oneToken() *fakeTokens { return &fakeTokens{values: []string{"token-1"}} }

// newPool makes a pool for the fake that is closed when the test ends.
func newPool(tb testing.TB, f *fake, change ...func(*Config)) *Pool {
	tb.Helper()
	cfg := Config{TLS: dial.NoTLS, Login: "me@corp.example", Tokens: oneToken(), MaxConnections: 1}
	if f.ln != nil {
		cfg.Addr = f.ln.Addr().String()
	} else {
		cfg.Addr = "fake.example:587"
	}
	for _, c := range change {
		c(&cfg)
	}
	p := New(cfg)
	if f.ln == nil {
		p.server.Open = func(context.Context, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			f.work.Go(func() { f.serve(theirs) })
			if f.away {
				ours = f.far(ours)
			}
			return ours, nil
		}
	}
	tb.Cleanup(func() {
		p.Close(context.Background())
		s := p.cfg.Stats
		if p.Status().Busy != 0 || s.Busy.Load() != 0 || s.Warm.Load() != 0 || s.Dialling.Load() != 0 {
			tb.Errorf("left over: %+v, gauges busy %d warm %d dialling %d", p.Status(), s.Busy.Load(), s.Warm.Load(), s.Dialling.Load())
		}
	})
	return p
}

// send takes one message through a transaction.
func send(p *Pool, body io.Reader, to ...string) (Reply, error) {
	ctx := context.Background()
	tx, err := p.Begin(ctx, "me@corp.example", nil)
	if err != nil {
		return Reply{}, err
	}
	defer tx.Close()
	var rcpts []Recipient
	for _, a := range to {
		rcpts = append(rcpts, Recipient{To: a})
	}
	if _, err := tx.Rcpt(ctx, rcpts); err != nil {
		return Reply{}, err
	}
	return tx.Data(ctx, body)
}

func mustSend(tb testing.TB, p *Pool, body string) {
	tb.Helper()
	if r, err := send(p, strings.NewReader(body), "you@there.example"); err != nil || !r.ok() {
		tb.Fatalf("send: %v, %v", r, err)
	}
}

func wantReply(tb testing.TB, got Reply, err error, want string) {
	tb.Helper()
	if err != nil || got.String() != want {
		tb.Fatalf("got %q, %v; want %q", got.String(), err, want)
	}
}

// roundTrip is how far away a fake is that is away. It is so short that no connection is probed.
const roundTrip = 100 * time.Millisecond

// far gives the near end of a connection to there that is half a round trip long each way, by the clock
// of a synctest bubble.
func (f *fake) far(there net.Conn) (here net.Conn) {
	here, near := net.Pipe()
	carry := func(from, to net.Conn) {
		type piece struct {
			p       []byte
			arrives time.Time
		}
		way := make(chan piece, 1<<10)
		f.work.Go(func() {
			defer close(way)
			for {
				p := make([]byte, 64<<10)
				n, err := from.Read(p)
				if err != nil {
					return
				}
				way <- piece{p[:n], time.Now().Add(roundTrip / 2)}
			}
		})
		f.work.Go(func() {
			defer to.Close()
			for p := range way {
				time.Sleep(time.Until(p.arrives))
				if _, err := to.Write(p.p); err != nil {
					from.Close()
				}
			}
		})
	}
	carry(near, there)
	carry(there, near)
	return here
}

// roundTrips is how many round trips f takes, by the bubble's clock.
func roundTrips(f func()) float64 {
	began := time.Now()
	f()
	return float64(time.Since(began)) / float64(roundTrip)
}

// certificate makes a self-signed certificate for the given names, and a pool that trusts it.
func certificate(tb testing.TB, names ...string) (*tls.Config, *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fake"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

var errLeft = errors.New("the client left")

// contextWithCancel makes a context that ends with errLeft.
func contextWithCancel(tb testing.TB) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(tb.Context())
	return ctx, func() { cancel(errLeft) }
}

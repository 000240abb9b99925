package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the longest time that a test waits for something.
const patience = 20 * time.Second

const me, password = "me@corp.test", "local-password-1"

// rig is a running server in front of a running provider, with one account.
type rig struct {
	t        testing.TB
	provider *providertest.Provider
	server   *Server
	reads    []api.Protocol
	secrets  *keystore.Store
	config   string // path
	log      *lockedBuffer
	plain    string // address
	tls      string // address of implicit TLS
	served   chan error
}

type rigOptions struct {
	provider  providertest.Options
	config    func(*config.Config)
	accounts  []string       // besides me
	reads     []api.Protocol // what the accounts do besides sending
	plain     bool           // use the provider's address without TLS
	prepare   func(*Server)
	idle      bool                // do not serve
	noAccount bool                // not even me
	clock     *providertest.Clock // nil: the machine's clock
	timeouts  mailbox.Timeouts
}

func newRig(t testing.TB, o rigOptions) *rig {
	t.Helper()
	p, err := providertest.Start(o.provider)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	dir := safeiotest.Dir(t)
	ca, err := p.WriteCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	smtp, mode := p.SMTPAddr, "starttls"
	if o.plain {
		smtp, mode = p.PlainAddr, "none"
	}
	r := &rig{t: t, reads: o.reads, provider: p, secrets: keystore.Memory(), config: filepath.Join(dir, "config.toml"), log: &lockedBuffer{}, served: make(chan error, 1)}
	text := fmt.Sprintf(`
listen = ["127.0.0.1:0"]
listen_tls = ["127.0.0.1:0"]
listen_imap = ["127.0.0.1:0"]
listen_imap_tls = ["127.0.0.1:0"]
listen_pop = ["127.0.0.1:0"]
listen_pop_tls = ["127.0.0.1:0"]
metrics = "127.0.0.1:0"

[[provider]]
id = "corp"
name = "Corp Mail"
domains = ["corp.test"]
auth_url = %q
token_url = %q
device_url = %q
revoke_url = %q
consent_days = 90
scopes = ["mail.send"]
client_id = "waxseal-test"
smtp = %q
smtp_tls = %q
imap = %q
imap_tls = "implicit"
pop = %q
pop_tls = "implicit"
ca_file = %q
max_connections = 10
`, p.AuthURL(), p.TokenURL(), p.DeviceURL(), p.RevokeURL(), smtp, mode, p.IMAPAddr, p.POPAddr, ca)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(r.config)
	if err != nil {
		t.Fatal(err)
	}
	if o.config != nil {
		o.config(&cfg)
	}
	var now func() time.Time
	if o.clock != nil {
		now = o.clock.Now
	}
	r.server, err = New(Options{
		Now: now, Timeouts: o.timeouts, Config: cfg, ConfigPath: r.config, Secrets: r.secrets, Version: "test",
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.server.watch.TellOfSleep = told(nil) // the machine's own sleep must not affect a test
	if !o.noAccount {
		r.add(append([]string{me}, o.accounts...)...)
	}
	if o.prepare != nil {
		o.prepare(r.server)
	}
	if o.idle {
		t.Cleanup(func() { r.server.Shutdown(t.Context()) })
		return r
	}
	go func() { r.served <- r.server.Serve(context.Background()) }()
	select {
	case <-r.server.Ready():
	case err := <-r.served:
		t.Fatalf("Serve: %v", err)
	}
	r.plain, r.tls = r.at(api.SMTP, false), r.at(api.SMTP, true)
	t.Cleanup(r.stop)
	return r
}

// add imports accounts that have consented at the provider.
func (r *rig) add(addresses ...string) {
	r.t.Helper()
	type entry map[string]any
	var list []entry
	for _, a := range addresses {
		list = append(list, entry{"email": a, "provider": "corp", "client_id": "waxseal-test", "refresh_token": r.provider.Grant(a), "smtp_password": password})
	}
	data, err := json.Marshal(list)
	if err != nil {
		r.t.Fatal(err)
	}
	report, err := r.server.Import(r.t.Context(), data)
	if err != nil || report.Failed > 0 {
		r.t.Fatalf("import: %+v, %v", report, err)
	}
	if len(r.reads) == 0 {
		return
	}
	for _, a := range addresses {
		if err := r.server.SetProtocols(r.t.Context(), a, append([]api.Protocol{api.SMTP}, r.reads...)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// at is the address of a listener, "" if there is none.
func (r *rig) at(p api.Protocol, tls bool) string {
	for _, l := range r.server.Snapshot().Listeners {
		if l.Protocol == p && l.TLS == tls {
			return l.Address
		}
	}
	return ""
}

// stop stops the server and checks that nothing of it remains.
func (r *rig) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		r.t.Errorf("shutdown: %v", err)
	}
	select {
	case err := <-r.served:
		if err != nil {
			r.t.Errorf("Serve: %v", err)
		}
		r.served <- err
	case <-ctx.Done():
		r.t.Error("Serve did not return")
	}
	s := r.server.Snapshot()
	for _, g := range s.Reading {
		if g.Connections+g.Sessions+g.Spares != 0 {
			r.t.Errorf("after the stop: %+v", g)
		}
	}
	if s.Connections != 0 || s.Clients != 0 || s.Messages != 0 || s.Upstream.Dialling+s.Upstream.Warm+s.Upstream.Busy != 0 {
		r.t.Errorf("after the stop: %d connections, %d messages, upstream %+v", s.Connections, s.Messages, s.Upstream)
	}
	if r.t.Failed() {
		r.t.Logf("log:\n%s", r.log.String())
	}
}

// eventually waits until a condition is true that depends on other goroutines.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// program is a mail program that can send anything.
type program struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func (r *rig) dial() *program {
	r.t.Helper()
	c, err := net.Dial("tcp", r.plain)
	if err != nil {
		r.t.Fatal(err)
	}
	return newProgram(r.t, c)
}

func (r *rig) dialTLS() *program {
	r.t.Helper()
	c, err := tls.Dial("tcp", r.tls, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		r.t.Fatal(err)
	}
	return newProgram(r.t, c)
}

func newProgram(t testing.TB, c net.Conn) *program {
	p := &program{t: t, conn: c, r: bufio.NewReader(c)}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	p.expect("220")
	return p
}

// login connects a program that is logged in.
func (r *rig) login(address string) *program {
	r.t.Helper()
	p := r.dial()
	p.auth(address, password)
	return p
}

func (p *program) auth(address, password string) {
	p.t.Helper()
	p.do("EHLO test.example", "250")
	p.do("AUTH PLAIN "+plainResponse(address, password), "235")
}

// startTLS does the handshake after the server's 220.
func (p *program) startTLS() {
	p.t.Helper()
	c := tls.Client(p.conn, &tls.Config{InsecureSkipVerify: true})
	if err := c.HandshakeContext(p.t.Context()); err != nil {
		p.t.Fatalf("TLS handshake: %v", err)
	}
	p.conn, p.r = c, bufio.NewReader(c)
}

func plainResponse(address, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + address + "\x00" + password))
}

func (p *program) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

// reply reads one reply, with its lines joined by "\n". It is "" if the connection has ended.
func (p *program) reply() string {
	var lines []string
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return strings.Join(lines, "\n")
		}
		line = strings.TrimRight(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] == ' ' {
			return strings.Join(lines, "\n")
		}
	}
}

func (p *program) expect(prefix string) string {
	p.t.Helper()
	got := p.reply()
	if !strings.HasPrefix(got, prefix) {
		p.t.Fatalf("got %q, want %s…", got, prefix)
	}
	return got
}

func (p *program) do(line, prefix string) string {
	p.t.Helper()
	p.send(line + "\r\n")
	got := p.reply()
	if !strings.HasPrefix(got, prefix) {
		p.t.Fatalf("%s: got %q, want %s…", line, got, prefix)
	}
	return got
}

// message sends a whole message and returns the final reply.
func (p *program) message(from, to, body string) string {
	p.t.Helper()
	p.do("MAIL FROM:<"+from+">", "250")
	p.do("RCPT TO:<"+to+">", "250")
	p.do("DATA", "354")
	p.send(body + ".\r\n")
	return p.reply()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedBuffer) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

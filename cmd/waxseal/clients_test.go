//go:build linux

package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/providertest"
)

const sender = "me@corp.example"

// letter is a message that clients like to change: leading dots, a long line,
// bytes beyond ASCII.
var letter = "From: <" + sender + ">\nTo: <you@else.example>\nSubject: From a real client\n" +
	"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n" +
	"Message-ID: <real.client@corp.example>\nDate: Mon, 02 Nov 2026 10:00:00 +0000\n\n" +
	".\n..\n.a line that starts with a dot\nGrüße, 你好\n" + strings.Repeat("long ", 150) + "\n"

// mailClient is a program people send mail with.
type mailClient struct {
	name    string
	program string                    // what must be installed
	args    func(e endpoint) []string // the command line
	stdin   bool                      // the letter comes on standard input
}

// endpoint is where a client is sent, and files it may need.
type endpoint struct {
	host, port string
	letter     string // file, LF line ends
	letterCRLF string // the same, CRLF
	dir        string
	to         string
	password   string
}

func (e endpoint) at() string { return e.host + ":" + e.port }

const pythonSend = `
import smtplib, ssl, sys
host, port, how, auth, user, password, to, file = sys.argv[1:9]
ctx = ssl._create_unverified_context()
s = smtplib.SMTP_SSL(host, int(port), context=ctx) if how == "tls" else smtplib.SMTP(host, int(port))
s.ehlo("client.test")
if how == "starttls": s.starttls(context=ctx); s.ehlo("client.test")
s.user, s.password = user, password
s.auth(auth, getattr(s, "auth_" + auth.lower()))
data = open(file, "rb").read().replace(b"\n", b"\r\n")
s.sendmail(user, [to], data, mail_options=["BODY=8BITMIME"])
s.quit()
`

func python(how, auth string) func(endpoint) []string {
	return func(e endpoint) []string {
		return []string{"-c", pythonSend, e.host, e.port, how, auth, sender, e.password, e.to, e.letter}
	}
}

func swaks(more ...string) func(endpoint) []string {
	return func(e endpoint) []string {
		return append([]string{"--server", e.host, "--port", e.port, "--from", sender, "--to", e.to, "--auth-user", sender,
			"--auth-password", e.password, "--data", "@" + e.letterCRLF, "--hide-informational"}, more...)
	}
}

func msmtp(more ...string) func(endpoint) []string {
	return func(e endpoint) []string {
		return append(append([]string{"--file=/dev/null", "--host=" + e.host, "--port=" + e.port, "--user=" + sender, "--from=" + sender,
			"--passwordeval=printf %s '" + e.password + "'"}, more...), e.to)
	}
}

func curl(scheme string, more ...string) func(endpoint) []string {
	return func(e endpoint) []string {
		return append([]string{"--silent", "--show-error", "--url", scheme + "://" + e.at(), "--user", sender + ":" + e.password,
			"--mail-from", sender, "--mail-rcpt", e.to, "--upload-file", e.letterCRLF}, more...)
	}
}

// clearClients reach the plain port without TLS, so that what they put on the
// wire can be recorded on the way.
var clearClients = []mailClient{
	{name: "swaks PLAIN", program: "swaks", args: swaks("--auth", "PLAIN")},
	{name: "swaks LOGIN", program: "swaks", args: swaks("--auth", "LOGIN")},
	{name: "msmtp PLAIN", program: "msmtp", args: msmtp("--tls=off", "--auth=plain"), stdin: true},
	{name: "msmtp LOGIN", program: "msmtp", args: msmtp("--tls=off", "--auth=login"), stdin: true},
	{name: "curl PLAIN", program: "curl", args: curl("smtp", "--login-options", "AUTH=PLAIN")},
	{name: "curl LOGIN", program: "curl", args: curl("smtp", "--login-options", "AUTH=LOGIN")},
	{name: "python smtplib PLAIN", program: "python3", args: python("plain", "PLAIN")},
	{name: "python smtplib LOGIN", program: "python3", args: python("plain", "LOGIN")},
	{name: "s-nail PLAIN", program: "s-nail", stdin: true, args: snail("plain")},
	{name: "s-nail LOGIN", program: "s-nail", stdin: true, args: snail("login")},
	{name: "git send-email", program: "git", args: func(e endpoint) []string {
		return []string{"-c", "sendemail.suppresscc=all", "-c", "user.name=Me", "-c", "user.email=" + sender, "send-email", "--quiet", "--confirm=never", "--from=" + sender, "--to=" + e.to,
			"--smtp-server=" + e.host, "--smtp-server-port=" + e.port, "--smtp-user=" + sender, "--smtp-pass=" + e.password,
			"--smtp-auth=PLAIN", filepath.Join(e.dir, "patch")}
	}},
}

func snail(auth string) func(endpoint) []string {
	return func(e endpoint) []string {
		return []string{"-:/", "-Sv15-compat", "-Ssmtp-auth=" + auth, "-Sttycharset=utf-8", "-r", sender, "-s", "From s-nail",
			"-Smta=smtp://" + strings.ReplaceAll(sender, "@", "%40") + ":" + e.password + "@" + e.at(), e.to}
	}
}

// tlsClients send the letter unchanged, so that its hash is known beforehand.
var tlsClients = []struct {
	mailClient
	implicit bool
	tail     string // what the client adds
}{
	{mailClient{name: "swaks STARTTLS", program: "swaks", args: swaks("--auth", "PLAIN", "--tls")}, false, "\r\n"},
	{mailClient{name: "swaks TLS", program: "swaks", args: swaks("--auth", "LOGIN", "--tls-on-connect")}, true, "\r\n"},
	{mailClient{name: "msmtp STARTTLS", program: "msmtp", args: msmtp("--tls=on", "--tls-starttls=on", "--tls-certcheck=off", "--auth=on"), stdin: true}, false, ""},
	{mailClient{name: "msmtp TLS", program: "msmtp", args: msmtp("--tls=on", "--tls-starttls=off", "--tls-certcheck=off", "--auth=on"), stdin: true}, true, ""},
	{mailClient{name: "curl STARTTLS", program: "curl", args: curl("smtp", "--ssl-reqd", "--insecure")}, false, ""},
	{mailClient{name: "curl TLS", program: "curl", args: curl("smtps", "--insecure")}, true, ""},
	{mailClient{name: "python smtplib STARTTLS", program: "python3", args: python("starttls", "PLAIN")}, false, ""},
	{mailClient{name: "python smtplib TLS", program: "python3", args: python("tls", "LOGIN")}, true, ""},
}

// TestRealClients sends with the programs people use, through `waxseal serve`,
// to a provider that takes only tokens. What arrives has the SHA-256 of what the
// client sent. docs/clients.md says how each is set up.
func TestRealClients(t *testing.T) {
	r := startProgram(t)
	for _, c := range clearClients {
		t.Run(c.name, func(t *testing.T) {
			recorder := record(t, r.plain)
			e := r.endpoint(recorder.address)
			before := len(r.provider.Messages())
			out, err := c.run(t, e)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			m := r.provider.Messages()
			if len(m) != before+1 {
				t.Fatalf("%d messages arrived\n%s", len(m)-before, out)
			}
			if want := hashOf(recorder.body(t)); m[before].SHA256 != want {
				t.Errorf("SHA-256 of what arrived: %s, of what was sent: %s", m[before].SHA256, want)
			}
		})
	}
	for _, c := range tlsClients {
		t.Run(c.name, func(t *testing.T) {
			address := r.plain
			if c.implicit {
				address = r.tls
			}
			before := len(r.provider.Messages())
			out, err := c.run(t, r.endpoint(address))
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			m := r.provider.Messages()
			if len(m) != before+1 {
				t.Fatalf("%d messages arrived\n%s", len(m)-before, out)
			}
			if want := hashOf([]byte(crlf(letter) + c.tail)); m[before].SHA256 != want {
				t.Errorf("SHA-256 of what arrived: %s, of the letter: %s\n%q", m[before].SHA256, want, m[before].Body)
			}
		})
	}
}

// TestClientsSeeRefusals: a client fails, and those that print what a server
// says print the provider's words, or ours with the cure.
func TestClientsSeeRefusals(t *testing.T) {
	r := startProgram(t)
	r.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) providertest.Action {
		if e.Step == providertest.StepRcpt && strings.Contains(e.Line, "<unknown@") {
			return providertest.Action{Code: 550, Text: "5.1.1 No mailbox of that name here"}
		}
		return providertest.Action{}
	}})
	quiet := map[string]bool{"curl PLAIN": true, "curl LOGIN": true} // it prints the code alone
	for _, c := range clearClients {
		t.Run(c.name+"/rejected recipient", func(t *testing.T) {
			e := r.endpoint(r.plain)
			e.to = "unknown@else.example"
			out, err := c.run(t, e)
			if err == nil || !quiet[c.name] && !strings.Contains(out, "No mailbox of that name here") {
				t.Errorf("exit: %v, output:\n%s", err, out)
			}
		})
		t.Run(c.name+"/wrong password", func(t *testing.T) {
			e := r.endpoint(r.plain)
			e.password = "wrong"
			if out, err := c.run(t, e); err == nil {
				t.Errorf("it went through:\n%s", out)
			}
		})
	}
	if n := len(r.provider.Messages()); n != 0 {
		t.Errorf("%d messages arrived", n)
	}
}

func (c mailClient) run(t *testing.T, e endpoint) (output string, err error) {
	t.Helper()
	_, err = exec.LookPath(c.program)
	if c.program == "git" && err == nil { // send-email is a package of its own
		var where []byte
		where, err = exec.Command("git", "--exec-path").Output()
		if err == nil {
			_, err = os.Stat(filepath.Join(strings.TrimSpace(string(where)), "git-send-email"))
		}
	}
	if err != nil {
		t.Skipf("SKIPPED: %s is not installed (make packages)", c.program)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, c.args(e)...)
	cmd.Env = append(os.Environ(), "HOME="+e.dir, "LC_ALL=C.UTF-8", "GIT_CONFIG_GLOBAL=/dev/null")
	cmd.Dir = e.dir
	if c.stdin {
		cmd.Stdin = strings.NewReader(letter)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// running is `waxseal serve` as a process of its own.
type running struct {
	provider   *providertest.Provider
	dir        string
	plain, tls string
}

// startProgram builds and starts the program, with one account.
func startProgram(t *testing.T) *running {
	t.Helper()
	r := &running{dir: t.TempDir()}
	binary := filepath.Join(r.dir, "waxseal")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var err error
	if r.provider, err = providertest.Start(providertest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.provider.Close() })
	ca, err := r.provider.WriteCA(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(r.dir, "config.toml")
	writeFile(t, config, strings.Replace(configFor(r.provider, ca), "listen_tls = []", `listen_tls = ["127.0.0.1:0"]`, 1))
	writeFile(t, filepath.Join(r.dir, "letter"), letter)
	writeFile(t, filepath.Join(r.dir, "letter.crlf"), crlf(letter))
	writeFile(t, filepath.Join(r.dir, "patch"), "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\nFrom: Me <"+sender+
		">\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nSubject: [PATCH] A change\n\nWhy.\n---\n f | 1 +\n\ndiff --git a/f b/f\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+.dot\n")
	run := func(args ...string) *exec.Cmd {
		cmd := exec.Command(binary, append(args, "--config", config)...)
		cmd.Env = append(os.Environ(), "WAXSEAL_KEYSTORE=memory")
		return cmd
	}
	serve := run("serve")
	var log bytes.Buffer
	serve.Stdout, serve.Stderr = &log, &log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		serve.Process.Signal(os.Interrupt)
		if err := serve.Wait(); err != nil {
			t.Errorf("serve: %v\n%s", err, log.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); r.plain == ""; <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not started:\n%s", log.String())
		}
		out, err := run("status", "--json").Output()
		var s proxy.Snapshot
		if err != nil || json.Unmarshal(out, &s) != nil || s.State != "serving" {
			continue
		}
		for _, l := range s.Listeners {
			if l.Security == "tls" {
				r.tls = l.Address
			} else {
				r.plain = l.Address
			}
		}
	}
	accounts := filepath.Join(r.dir, "accounts.json")
	writeFile(t, accounts, importFor(t, r.provider, sender))
	if out, err := run("account", "import", accounts).CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	return r
}

func (r *running) endpoint(address string) endpoint {
	host, port, _ := net.SplitHostPort(address)
	return endpoint{host: host, port: port, dir: r.dir, letter: filepath.Join(r.dir, "letter"),
		letterCRLF: filepath.Join(r.dir, "letter.crlf"), to: "you@else.example", password: localPassword}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// recorder passes one connection on and keeps what the client said.
type recorder struct {
	address string
	done    chan struct{}

	mu   sync.Mutex // guards what follows
	said bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.Write(p)
}

func record(t *testing.T, to string) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{address: l.Addr().String(), done: make(chan struct{})}
	t.Cleanup(func() { l.Close(); <-r.done })
	go func() {
		defer close(r.done)
		client, err := l.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer server.Close()
		var both sync.WaitGroup
		both.Go(func() { io.Copy(io.MultiWriter(server, r), client); server.(*net.TCPConn).CloseWrite() })
		both.Go(func() { io.Copy(client, server); client.(*net.TCPConn).CloseWrite() })
		both.Wait()
	}()
	return r
}

// body is the message as the client meant it: between DATA and the final dot,
// the dots that start a line taken off once (RFC 5321 section 4.5.2).
func (r *recorder) body(t *testing.T) []byte {
	t.Helper()
	<-r.done
	r.mu.Lock()
	defer r.mu.Unlock()
	said := r.said.Bytes()
	start := bytes.Index(bytes.ToUpper(said), []byte("\r\nDATA\r\n"))
	if start < 0 {
		t.Fatalf("no DATA in what the client said: %q", said)
	}
	rest := said[start+len("\r\nDATA\r\n"):]
	wire, _, ok := bytes.Cut(rest, []byte("\r\n.\r\n"))
	if !ok {
		t.Fatal("no end of data in what the client said")
	}
	lines := strings.Split(string(wire), "\r\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, ".")
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n")
}

//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// running is `waxseal serve` in its own process.
type running struct {
	provider   *providertest.Provider
	dir        string
	plain, tls string
}

var accepting = regexp.MustCompile(`accepting mail on (?:SMTP )?(\S+) \(STARTTLS\), (?:SMTP )?(\S+) \(TLS\)`)

// startProgram starts the program with one account, and with STARTTLS listed to programs on this
// machine. The program is this test binary under the name that TestMain gave it, so it looks for data
// races too.
func startProgram(t *testing.T) *running {
	t.Helper()
	return startWith(t, "offer_starttls = true")
}

// startWith starts the program with one account and these settings in addition.
func startWith(t *testing.T, settings string) *running {
	t.Helper()
	return startAt(t, providertest.Options{}, settings)
}

// startAt starts the program with one account of a provider with these options.
func startAt(t *testing.T, o providertest.Options, settings string) *running {
	t.Helper()
	provider, err := providertest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Close() })
	r := &running{provider: provider, dir: t.TempDir()}
	ca, err := provider.WriteCA(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(r.dir, "config.toml")
	writeFile(t, config, strings.Replace(configFor(provider, ca), "listen_tls = []", "listen_tls = [\"127.0.0.1:0\"]\n"+settings, 1))
	r.serve(t, exec.Command("waxseal", "serve", "--config", config, "--keystore", "memory"))
	accounts := filepath.Join(r.dir, "accounts.json")
	writeFile(t, accounts, importFor(t, provider, sender))
	command(t, nil, "waxseal", "account", "import", accounts, "--config", config)
	return r
}

// serve starts the program, and waits until it says where it accepts mail. At the end of the test it
// must end by itself, with success.
func (r *running) serve(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	giveUp := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	var log bytes.Buffer
	lines := bufio.NewReader(io.TeeReader(said, &log))
	read := make(chan struct{})
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		<-read
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("waxseal serve: %v\n%s", err, log.String())
		}
	})
	for r.plain == "" {
		line, err := lines.ReadString('\n')
		if at := accepting.FindStringSubmatch(line); at != nil {
			r.plain, r.tls = at[1], at[2]
		} else if err != nil {
			close(read)
			t.Fatalf("waxseal serve has not started: %v", err)
		}
	}
	giveUp.Stop()
	go func() {
		defer close(read)
		io.Copy(io.Discard, lines)
	}()
}

func (r *running) endpoint(security, auth string) endpoint {
	address := r.plain
	if security == implicit {
		address = r.tls
	}
	return endpoint{address: address, security: security, auth: auth, to: "you@else.example", password: localPassword,
		dir: r.dir, certificate: filepath.Join(r.dir, "localhost.crt")}
}

// sent has the client send one message, which must arrive.
func (r *running) sent(t *testing.T, c mailClient, e endpoint) providertest.Message {
	t.Helper()
	before := len(r.provider.Messages())
	out, err := c.run(t, e)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	messages := r.provider.Messages()
	if len(messages) != before+1 {
		t.Fatalf("%d messages arrived\n%s", len(messages)-before, out)
	}
	return messages[before]
}

// recorder passes on one connection, and keeps what the client sent.
type recorder struct {
	address string
	done    chan struct{} // closed once said is complete
	said    bytes.Buffer
}

func record(t *testing.T, to string) *recorder {
	t.Helper()
	return recordThrough(t, to, func(server net.Conn) net.Conn { return server })
}

// recordThrough records, and changes what the client gets from the server.
func recordThrough(t *testing.T, to string, change func(net.Conn) net.Conn) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	r := &recorder{address: l.Addr().String(), done: make(chan struct{})}
	t.Cleanup(func() {
		cancel()
		l.Close()
		<-r.done
	})
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
		defer context.AfterFunc(ctx, func() { client.Close(); server.Close() })()
		var both sync.WaitGroup
		both.Go(func() { io.Copy(io.MultiWriter(server, &r.said), client); server.(*net.TCPConn).CloseWrite() })
		both.Go(func() { io.Copy(client, change(server)); client.(*net.TCPConn).CloseWrite() })
		both.Wait()
	}()
	return r
}

var dataCommand = regexp.MustCompile(`(?i)\r\ndata\r\n`)

// body is the message as the client meant it: between DATA and the final dot, and without the dots
// that the client added at the start of lines (RFC 5321 section 4.5.2).
func (r *recorder) body(t *testing.T) []byte {
	t.Helper()
	<-r.done
	said := r.said.Bytes()
	at := dataCommand.FindIndex(said)
	if at == nil {
		t.Fatalf("no DATA in what the client sent: %q", said)
	}
	wire, _, ok := bytes.Cut(said[at[1]:], []byte("\r\n.\r\n"))
	if !ok {
		t.Fatal("no end of data in what the client sent")
	}
	lines := strings.Split(string(wire), "\r\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, ".")
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n")
}

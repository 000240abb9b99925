//go:build linux

package main_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestWindows runs the Windows program, and tests of its packages, in one Windows.
func TestWindows(t *testing.T) {
	t.Parallel()
	w := newWine(t)
	t.Run("ends", func(t *testing.T) { windowsEnds(t, w) })
	t.Run("killed", func(t *testing.T) { windowsKilled(t, w.within(t)) })
	t.Run("second instance", func(t *testing.T) { windowsSecondInstance(t, w.within(t)) })
	t.Run("packages", func(t *testing.T) { windowsPackagesPass(t, w) })
}

// windowsEnds ends the program in the middle of a message, in each way in which Windows asks a
// program to end. As on every system, the message arrives whole, its sender gets the provider's 250,
// and the exit code is 0.
func windowsEnds(t *testing.T, w *wine) {
	for name, end := range map[string]func(*testing.T, *instance, int){
		"Ctrl-C":         func(t *testing.T, i *instance, _ int) { i.interrupt(t) },
		"Ctrl-Break":     consoleEvent("1"),
		"console closed": consoleEvent("2"),
		"logoff":         consoleEvent("5"),
		"shutdown":       consoleEvent("6"),
		"session":        consoleEvent("session"),
		"taskkill": func(t *testing.T, _ *instance, pid int) {
			said, err := taskkill(t, w.within(t), "/PID", strconv.Itoa(pid))
			if err != nil || !strings.Contains(said, "Close message sent") {
				t.Errorf("%v, it says %q", err, said)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newWindowsDesk(t, w.within(t))
			c := dialSMTP(t, d.address)
			c.login(sender)
			rest := c.half()

			end(t, d.serve, d.pid)
			waitRefused(t, d.address)

			c.wantQueued(rest)
			d.serve.wantExit(t, 0)
			d.wantMessages(t, 1)
		})
	}
}

// taskkill runs wine's taskkill, and returns what it prints.
func taskkill(t *testing.T, w *wine, args ...string) (string, error) {
	const program = "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows/taskkill.exe"
	if _, err := os.Stat(program); err != nil {
		t.Skipf("NOT TESTED: this wine has its taskkill somewhere else: %v", err)
	}
	return w.execute(program, args...)
}

// windowsKilled: taskkill /F kills the program in the middle of a message. That message is lost, its
// sender does not get a 250, and the next start is clean.
func windowsKilled(t *testing.T, w *wine) {
	d := newWindowsDesk(t, w)
	c := dialSMTP(t, d.address)
	c.login(sender)
	c.half()
	if said, err := taskkill(t, w, "/F", "/PID", strconv.Itoa(d.pid)); err != nil || !strings.Contains(said, "forcibly terminated") {
		t.Errorf("taskkill /F: %v, it says %q", err, said)
	}
	select {
	case <-d.serve.exited:
	case <-time.After(2 * time.Minute):
		t.Fatal("it still runs two minutes after taskkill /F")
	}
	d.wantMessages(t, 0)

	d.start(t, w)
	c = dialSMTP(t, d.address)
	c.login(sender)
	c.wantQueued(c.half())
	d.wantMessages(t, 1)
	d.serve.interrupt(t)
	d.serve.wantExit(t, 0)
}

// windowsSecondInstance: a second program with the same configuration says that the first is running,
// and leaves it alone.
func windowsSecondInstance(t *testing.T, w *wine) {
	d := newWindowsDesk(t, w)
	said, err := w.execute(w.program, "serve", "--config", d.config, "--keystore", "memory")
	if err == nil || !strings.Contains(said, "already running") {
		t.Errorf("exit: %v; it says %q", err, said)
	}
	if list := w.run("account", "list", "--config", d.config); !strings.Contains(list, sender) {
		t.Errorf("the accounts are now %q", list)
	}
	c := dialSMTP(t, d.address)
	c.login(sender)
	d.serve.interrupt(t)
	d.serve.wantExit(t, 0)
}

// windowsDesk is `waxseal serve` under wine with one account.
type windowsDesk struct {
	provider         *providertest.Provider
	serve            *instance
	config, accounts string
	address          string
	pid              int // the number that Windows gave it
}

// newWindowsDesk starts the program with its files where people keep them.
func newWindowsDesk(t *testing.T, w *wine) *windowsDesk {
	t.Helper()
	provider, err := providertest.Start(providertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Close() })
	inside, err := os.MkdirTemp(w.drive(), "Jörg Müller & Söhne ")
	if err != nil {
		t.Fatal(err)
	}
	ca, err := provider.WriteCA(inside)
	if err != nil {
		t.Fatal(err)
	}
	folder := `C:\` + filepath.Base(inside) + `\`
	writeFile(t, filepath.Join(inside, "config.toml"), configFor(provider, folder+filepath.Base(ca)))
	writeFile(t, filepath.Join(inside, "accounts.json"), importFor(t, provider, sender))
	d := &windowsDesk{provider: provider, config: folder + "config.toml", accounts: folder + "accounts.json"}
	d.start(t, w)
	return d
}

// start starts the program. It keeps its secrets in memory, so they are imported each time.
func (d *windowsDesk) start(t *testing.T, w *wine) {
	t.Helper()
	d.serve = w.start("serve", "--config", d.config, "--keystore", "memory")
	d.address, d.pid = d.serve.status(t, d.config)
	w.run("account", "import", d.accounts, "--config", d.config)
}

// wantMessages: n messages have arrived, and all are whole.
func (d *windowsDesk) wantMessages(t *testing.T, n int) {
	t.Helper()
	messages := d.provider.Messages()
	if len(messages) != n {
		t.Fatalf("the provider has %d messages, want %d", len(messages), n)
	}
	for _, m := range messages {
		if got, want := m.SHA256, hashOf(windowsMessage()); got != want {
			t.Errorf("the message that arrived has SHA-256 %s, the one sent %s", got, want)
		}
	}
}

// half sends the first half of a message, and returns the rest.
func (c *smtpClient) half() (rest []byte) {
	c.t.Helper()
	c.want(250, "MAIL FROM:<"+sender+">")
	c.want(250, "RCPT TO:<you@else.example>")
	c.want(354, "DATA")
	body := windowsMessage()
	c.send(body[:len(body)/2])
	return body[len(body)/2:]
}

// wantQueued sends the rest, and expects the provider's own answer.
func (c *smtpClient) wantQueued(rest []byte) {
	c.t.Helper()
	c.send(append(rest[:len(rest):len(rest)], ".\r\n"...))
	if answer := c.want(250, ""); !strings.Contains(answer, "queued as") {
		c.t.Errorf("the client got %q, which is not the provider's answer", answer)
	}
}

// consoleEvent is a way to end an instance: see testdata/wine/consoleevent.c.
func consoleEvent(event string) func(*testing.T, *instance, int) {
	return func(t *testing.T, i *instance, pid int) {
		t.Helper()
		command(t, i.w.env, i.w.loader, i.w.tool, strconv.Itoa(pid), event)
	}
}

// windowsMessage is larger than all buffers on the way, so that its first half cannot wait in one.
func windowsMessage() []byte {
	var b bytes.Buffer
	b.WriteString("From: me@corp.example\r\nTo: you@else.example\r\nSubject: half\r\n\r\n")
	for i := range 20_000 {
		fmt.Fprintf(&b, "line %d of a message that is interrupted in its middle\r\n", i)
	}
	return b.Bytes()
}

// waitRefused returns once nobody listens at the address.
func waitRefused(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return
		}
		conn.Close()
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s still accepts connections after it was asked to end", address)
		}
	}
}

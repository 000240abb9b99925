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

// TestWindowsEnds runs the Windows program under wine, ends it in the middle of a
// message in each way that Windows has of asking, and expects what is expected
// on every system: the message arrives whole, its sender gets the provider's 250,
// and the exit code is 0.
func TestWindowsEnds(t *testing.T) {
	w := newWine(t)
	for name, end := range map[string]func(*testing.T, *instance, int){
		"Ctrl-C":         func(t *testing.T, i *instance, _ int) { i.interrupt(t) },
		"Ctrl-Break":     consoleEvent(1),
		"console closed": consoleEvent(2),
		"logoff":         consoleEvent(5),
		"shutdown":       consoleEvent(6),
	} {
		t.Run(name, func(t *testing.T) {
			d := newWindowsDesk(t, w.within(t))
			c := dialSMTP(t, d.address)
			c.login(sender)
			c.want(250, "MAIL FROM:<"+sender+">")
			c.want(250, "RCPT TO:<you@else.example>")
			c.want(354, "DATA")
			body := windowsMessage()
			half := len(body) / 2
			c.send(body[:half])

			end(t, d.serve, d.pid)
			waitRefused(t, d.address)

			c.send(append(body[half:len(body):len(body)], ".\r\n"...))
			if answer := c.want(250, ""); !strings.Contains(answer, "queued as") {
				t.Errorf("the client got %q, which are not the provider's words", answer)
			}
			d.serve.wantExit(t, 0)
			messages := d.provider.Messages()
			if len(messages) != 1 {
				t.Fatalf("the provider has %d messages, want 1", len(messages))
			}
			if got, want := messages[0].SHA256, hashOf(body); got != want {
				t.Errorf("the message that arrived has SHA-256 %s, the one sent %s", got, want)
			}
		})
	}
}

// TestWindowsSecondInstance: a second program for the same configuration says
// that the first is there, and leaves it alone.
func TestWindowsSecondInstance(t *testing.T) {
	w := newWine(t)
	d := newWindowsDesk(t, w)
	cmd, output := w.command("serve", "--config", d.config, "--keystore", "memory")
	cmd.Stderr = output
	err := cmd.Run()
	if said := content(t, output); err == nil || !strings.Contains(said, "already running") {
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
	provider        *providertest.Provider
	serve           *instance
	config, address string
	pid             int // as Windows counts
}

// newWindowsDesk starts the program with its files where people have them.
func newWindowsDesk(t *testing.T, w *wine) windowsDesk {
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
	d := windowsDesk{provider: provider, config: folder + "config.toml"}
	d.serve = w.start("serve", "--config", d.config, "--keystore", "memory")
	d.address, d.pid = d.serve.status(t, d.config)
	writeFile(t, filepath.Join(inside, "accounts.json"), importFor(t, provider, sender))
	w.run("account", "import", folder+"accounts.json", "--config", d.config)
	return d
}

// consoleEvent is a way to end an instance: see testdata/wine/consoleevent.c.
func consoleEvent(event int) func(*testing.T, *instance, int) {
	return func(t *testing.T, i *instance, pid int) {
		t.Helper()
		command(t, i.w.env, i.w.loader, i.w.tool, strconv.Itoa(pid), strconv.Itoa(event))
	}
}

// windowsMessage is larger than the buffers on its way, so that its first half
// cannot wait in one of them.
func windowsMessage() []byte {
	var b bytes.Buffer
	b.WriteString("From: me@corp.example\r\nTo: you@else.example\r\nSubject: half\r\n\r\n")
	for i := range 20_000 {
		fmt.Fprintf(&b, "line %d of a message that is interrupted in its middle\r\n", i)
	}
	return b.Bytes()
}

// waitRefused returns when nobody listens at the address any more.
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
			t.Fatalf("%s still takes connections after it was asked to end", address)
		}
	}
}

//go:build linux

package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestWindowsCtrlC runs the Windows program under wine, ends it with Ctrl-C in
// the middle of a message, and expects what is expected on every system: the
// message arrives whole, its sender gets the provider's 250, and the exit code
// is 0.
func TestWindowsCtrlC(t *testing.T) {
	w := newWine(t)
	provider, err := providertest.Start(providertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Close() })

	// A folder as people have them.
	dir := filepath.Join(t.TempDir(), "Müller & Söhne")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ca, err := provider.WriteCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.toml")
	writeFile(t, config, configFor(provider, windowsPath(ca)))
	config = windowsPath(config)
	serve := w.start("serve", "--config", config, "--keystore", "memory")
	address := serve.address(t, config)

	accounts := filepath.Join(dir, "accounts.json")
	writeFile(t, accounts, importFor(t, provider, "me@corp.example"))
	t.Logf("%s", w.run("account", "import", windowsPath(accounts), "--config", config))

	body := windowsMessage()
	c := dialSMTP(t, address)
	c.login("me@corp.example")
	c.want(250, "MAIL FROM:<me@corp.example>")
	c.want(250, "RCPT TO:<you@else.example>")
	c.want(354, "DATA")
	half := len(body) / 2
	c.send(body[:half])

	serve.interrupt(t)
	waitRefused(t, address)

	c.send(append(body[half:len(body):len(body)], ".\r\n"...))
	answer := c.want(250, "")
	serve.wantExit(t, 0)

	messages := provider.Messages()
	if len(messages) != 1 {
		t.Fatalf("the provider has %d messages, want 1", len(messages))
	}
	sum := sha256.Sum256(body)
	if got, want := messages[0].SHA256, hex.EncodeToString(sum[:]); got != want {
		t.Errorf("the message that arrived has SHA-256 %s, the one sent %s", got, want)
	}
	if !strings.Contains(answer, "queued as") {
		t.Errorf("the client got %q, which are not the provider's words", answer)
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
			t.Fatalf("%s still takes connections after Ctrl-C", address)
		}
	}
}

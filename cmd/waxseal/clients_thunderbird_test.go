//go:build linux && clients

package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// thunderbird is a running Thunderbird with its own profile, controlled over Marionette: each way, a
// JSON list after its length and a colon.
type thunderbird struct {
	t    *testing.T
	e    endpoint
	conn net.Conn
	in   *bufio.Reader
	id   int
}

// startThunderbird starts Thunderbird on a screen, set up for the endpoint.
func startThunderbird(t *testing.T, e endpoint, display string) *thunderbird {
	t.Helper()
	profile := t.TempDir()
	settings, err := os.ReadFile("testdata/clients/thunderbird-user.js")
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("HOST", e.host(), "PORT", e.port(), "SECURITY", e.pick("0", "2", "3")[0], "USER", sender)
	writeFile(t, filepath.Join(profile, "user.js"), fill.Replace(string(settings)))
	cmd := exec.Command("thunderbird", "--profile", profile, "--no-remote", "--marionette", "--remote-allow-system-access")
	runOnScreen(t, cmd, t.TempDir(), display)

	port := waitFor(t, "Thunderbird's port", func() string {
		said, _ := os.ReadFile(filepath.Join(profile, "MarionetteActivePort"))
		return strings.TrimSpace(string(said))
	})
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	b := &thunderbird{t: t, e: e, conn: conn, in: bufio.NewReader(conn)}
	var hello, none any
	b.read(&hello)
	b.command("WebDriver:NewSession", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"unhandledPromptBehavior": "ignore"}}}, &none)
	b.command("WebDriver:SetTimeouts", map[string]any{"script": 240_000}, &none)
	b.command("Marionette:SetContext", map[string]any{"value": "chrome"}, &none)
	t.Cleanup(func() { b.command("Marionette:Quit", map[string]any{"flags": []string{"eForceQuit"}}, &none) })
	return b
}

func (b *thunderbird) read(into any) {
	b.t.Helper()
	length, err := b.in.ReadString(':')
	if err != nil {
		b.t.Fatal("reading from Thunderbird: ", err)
	}
	size, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(b.in, int64(size))).Decode(into)
	}
	if err != nil {
		b.t.Fatal("reading from Thunderbird: ", err)
	}
}

// command sends a command and waits for its result.
func (b *thunderbird) command(name string, params, result any) {
	b.t.Helper()
	b.id++
	text, err := json.Marshal([]any{0, b.id, name, params})
	if err == nil {
		_, err = fmt.Fprintf(b.conn, "%d:%s", len(text), text)
	}
	if err != nil {
		b.t.Fatalf("%s: %v", name, err)
	}
	var failure any
	b.read(&[]any{new(int), new(int), &failure, result})
	if failure != nil {
		b.t.Fatalf("%s: %v", name, failure)
	}
}

// send writes and sends a message. With trust, it accepts a certificate that Thunderbird shows, and
// sends again. said is what Thunderbird showed meanwhile.
func (b *thunderbird) send(trust bool, attachment string) (sent bool, said string) {
	b.t.Helper()
	script, err := os.ReadFile("testdata/clients/thunderbird.js")
	if err != nil {
		b.t.Fatal(err)
	}
	var result struct {
		Value struct {
			Sent bool
			Said []string
		}
	}
	b.command("WebDriver:ExecuteAsyncScript", map[string]any{"script": string(script),
		"args": []any{b.e.to, text, attachment, b.e.password, trust}}, &result)
	return result.Value.Sent, strings.Join(result.Value.Said, "\n")
}

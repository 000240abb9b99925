// Package marionette runs scripts in a Thunderbird that was started with
// --marionette, for tests: each way, a JSON list after its length and a colon.
package marionette

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Thunderbird is a running Thunderbird.
type Thunderbird struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	id   int
	quit bool // it was told to
}

//go:embed quiet.js
var quiet string

// WriteProfile writes the preferences of a profile: an account's, which are as in prefs.js, and those
// with which Thunderbird asks nothing and calls nobody.
func WriteProfile(t testing.TB, profile, account string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(quiet+account), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Connect waits until the Thunderbird with a profile is ready. It is told to end when the test ends.
func Connect(t testing.TB, profile string) *Thunderbird {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", portOf(t, profile)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	b := &Thunderbird{t: t, conn: conn, in: bufio.NewReader(conn)}
	var hello, none any
	b.read(&hello)
	b.command("WebDriver:NewSession", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"unhandledPromptBehavior": "ignore"}}}, &none)
	b.command("WebDriver:SetTimeouts", map[string]any{"script": 240_000}, &none)
	b.command("Marionette:SetContext", map[string]any{"value": "chrome"}, &none)
	t.Cleanup(b.Quit)
	return b
}

// Quit tells Thunderbird to end. It writes its preferences then.
func (b *Thunderbird) Quit() {
	b.t.Helper()
	if b.quit {
		return
	}
	b.quit = true
	var none any
	b.command("Marionette:Quit", map[string]any{"flags": []string{"eForceQuit"}}, &none)
}

// portOf waits until Thunderbird has written its port.
func portOf(t testing.TB, profile string) string {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		said, _ := os.ReadFile(filepath.Join(profile, "MarionetteActivePort"))
		if port := strings.TrimSpace(string(said)); port != "" {
			return port
		}
	}
	t.Fatal("waited a minute for Thunderbird's port")
	return ""
}

// Script runs a script with arguments; what it gives to its last argument, a function, is the result.
func (b *Thunderbird) Script(script string, result any, args ...any) {
	b.t.Helper()
	b.command("WebDriver:ExecuteAsyncScript", map[string]any{"script": script, "args": args}, &struct{ Value any }{result})
}

// Dialog is the text of the dialog that is open, and empty if none is. A dialog ends a script, whose result
// is null then.
func (b *Thunderbird) Dialog() string {
	b.t.Helper()
	var text struct{ Value string }
	if failure := b.try("WebDriver:GetAlertText", struct{}{}, &text); failure != nil && !strings.Contains(fmt.Sprint(failure), "no such alert") {
		b.t.Fatal(failure)
	}
	return text.Value
}

func (b *Thunderbird) read(into any) {
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

// command sends a command that must work, and waits for its result.
func (b *Thunderbird) command(name string, params, result any) {
	b.t.Helper()
	if failure := b.try(name, params, result); failure != nil {
		b.t.Fatalf("%s: %v", name, failure)
	}
}

// try sends a command and waits for its result or failure.
func (b *Thunderbird) try(name string, params, result any) (failure any) {
	b.t.Helper()
	b.id++
	text, err := json.Marshal([]any{0, b.id, name, params})
	if err == nil {
		_, err = fmt.Fprintf(b.conn, "%d:%s", len(text), text)
	}
	if err != nil {
		b.t.Fatalf("%s: %v", name, err)
	}
	b.read(&[]any{new(int), new(int), &failure, result})
	return failure
}

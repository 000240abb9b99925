//go:build linux && clients

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/e2e/marionette"
)

// thunderbird is a running Thunderbird with its own profile.
type thunderbird struct {
	*marionette.Thunderbird
	t *testing.T
	e endpoint
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
	return &thunderbird{marionette.Connect(t, profile), t, e}
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
		Sent bool
		Said []string
	}
	b.Script(string(script), &result, b.e.to, text, attachment, b.e.password, trust)
	return result.Sent, strings.Join(result.Said, "\n")
}

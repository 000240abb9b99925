//go:build linux

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWindowsCredentialManager runs the keystore's own test of the Credential
// Manager under wine. Wine keeps credentials in its registry, with the same
// limits; what Windows does at logon and on domains it cannot show.
func TestWindowsCredentialManager(t *testing.T) {
	w := newWine(t)
	w.program = filepath.Join(filepath.Dir(w.program), "keystore.test.exe")
	command(t, append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0"),
		"go", "test", "-c", "-o", w.program, "../../keystore")
	out := w.run("-test.v", "-test.run=^TestCredentialManager$")
	t.Logf("%s", out)
	if !strings.Contains(out, "--- PASS: TestCredentialManager") {
		t.Error("it was not run")
	}
}

//go:build linux

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// windowsPackages are the packages whose own tests run under wine, with the tests that do not.
var windowsPackages = []struct{ path, skip string }{
	{"keystore", "-"},
	{"keystore/safeio", "-"},
	{"proxy/control", "-"},
	{"ui/tray", "-"},
	// The tests left out send thousands of messages or open as many connections, or wait for seconds, and take
	// minutes there; what they show does not depend on the system.
	{"proxy", "^(TestGaugesCountEverything|TestEvery250ArrivedOnce|TestTokenFaults|TestThousandRecipients|TestMemoryDoesNotGrowWithTheMessage|TestSmuggling|" +
		"TestThousandsOfConnections|TestTakenBackChunks|TestCutOffInAChunk|TestFleetUnderLoad|TestFleetSharesCounts|TestMoveFromEtcdWhileAnotherLives|" +
		"TestYoungTokens|TestRegistrationIsTriedFirst|TestPartOfReadingIsGranted|TestNobodysConsentGrows|TestAuthorizeTriesTheToken|" +
		"TestReadingIsAsked|TestReadingRefused)$"},
}

// windowsPackagesPass runs the tests of the packages that touch the system: file locks, files
// replaced while they are open, sockets, the Credential Manager (wine keeps credentials in its
// registry, with the same limits, but cannot show what Windows does at logon and on domains).
func windowsPackagesPass(t *testing.T, w *wine) {
	for _, p := range windowsPackages {
		t.Run(p.path, func(t *testing.T) {
			w := w.within(t)
			w.program = buildWindowsTest(t, w, p.path)
			t.Parallel()
			w.dir = filepath.Join("..", "..", p.path)
			out := w.run("-test.v", "-test.timeout=5m", "-test.skip="+p.skip)
			if p.path == "keystore" && !strings.Contains(out, "--- PASS: TestCredentialManager") {
				t.Errorf("the Credential Manager was not tested:\n%s", out)
			}
			t.Logf("%d tests passed, %d skipped", strings.Count(out, "\n--- PASS"), strings.Count(out, "\n--- SKIP"))
		})
	}
}

// buildWindowsTest builds the tests of a package for Windows.
func buildWindowsTest(t *testing.T, w *wine, path string) (program string) {
	t.Helper()
	program = filepath.Join(filepath.Dir(w.tool), filepath.Base(path)+".test.exe")
	command(t, append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0"), "go", "test", "-c", "-tags", "nogui", "-o", program, "../../"+path)
	return program
}

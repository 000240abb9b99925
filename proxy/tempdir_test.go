package proxy

import (
	"os"
	"runtime"
	"testing"
)

// tempDir is t.TempDir, but for a clean-up that may fail on Windows: what was
// just closed is often still open there to somebody else, and under wine always.
func tempDir(t testing.TB) string {
	t.Helper()
	if runtime.GOOS != "windows" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("", "waxseal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

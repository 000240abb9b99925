// Package safeiotest has what tests that write files need.
package safeiotest

import (
	"os"
	"runtime"
	"testing"
)

// Dir is t.TempDir, except that its clean-up may fail on Windows: there, another program
// often still has a file open that was just closed, and under wine this is always so.
func Dir(t testing.TB) string {
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

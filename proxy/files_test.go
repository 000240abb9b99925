package proxy

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// tempDir is like t.TempDir, but its clean-up may fail on Windows: there, another program
// often still has a file open that was just closed, and under wine this is always so.
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

func readText(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// writeTestConfig puts text into a config.toml of its own and returns its path.
func writeTestConfig(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(tempDir(t), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

package safeio

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

// A file that another program has open for a moment is read and replaced all
// the same, as virus scanners and indexers do it with every new file.
func TestHeldFile(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "file")
	write(t, path, "old")
	for name, call := range map[string]func() error{
		"ReadFile": func() error { _, err := ReadFile(path); return err },
		"Writable": func() error { _, err := Writable(path); return err },
		"Replace":  func() error { return Replace(path, []byte("new"), 0o600) },
	} {
		hold := held(t, path)
		let := time.AfterFunc(100*time.Millisecond, hold)
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if let.Stop() {
			t.Errorf("%s did not notice that the file was held", name)
			hold()
		}
	}
	wantText(t, path, "new")
}

// held opens path without sharing it, and answers what closes it again.
func held(t *testing.T, path string) (release func()) {
	t.Helper()
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ, 0, nil, syscall.OPEN_EXISTING, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = syscall.CloseHandle(h) }
}

package config

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/proxy/api"
)

// nobodysFile creates a config.toml in a folder, both owned by the user of safeiotest.AsNobody.
func nobodysFile(t *testing.T) string {
	t.Helper()
	path := writeTestConfig(t, "# mine\n")
	if os.Getuid() == 0 {
		for _, name := range []string{path, filepath.Dir(path)} {
			if err := os.Chown(name, 65534, -1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadOnlyFolder(t *testing.T) {
	path := nobodysFile(t)
	if err := os.Chmod(filepath.Dir(path), 0o500); err != nil {
		t.Fatal(err)
	}
	safeiotest.AsNobody(t, func() {
		err := AddAccounts(path, nil, []api.Account{{Address: "a@gmail.com"}})
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path+" cannot be written and was not changed; let this user write it and its folder") {
			t.Errorf("error %v", err)
		}
	})
	if got := readText(t, path); got != "# mine\n" {
		t.Errorf("the file is now %q", got)
	}
}

func TestUnreadableFile(t *testing.T) {
	path := nobodysFile(t)
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	safeiotest.AsNobody(t, func() {
		for name, err := range map[string]error{
			"Load":        func() error { _, err := Load(path); return err }(),
			"AddAccounts": AddAccounts(path, nil, []api.Account{{Address: "a@gmail.com"}}),
		} {
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path+" cannot be read; let this user read it") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestFullDisk: if the disk is full halfway, the old file stays and nothing of the new one
// is left. The limit that simulates this needs a process of its own, because go test writes
// a log of the files that a test opens.
func TestFullDisk(t *testing.T) {
	if os.Getenv("WAXSEAL_TEST_FULL_DISK") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
		cmd.Env = append(os.Environ(), "WAXSEAL_TEST_FULL_DISK=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v:\n%s", err, out)
		}
		return
	}
	path := writeTestConfig(t, "# mine\n")
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 20, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	err := AddAccounts(path, nil, []api.Account{{Address: "a@gmail.com"}})
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 || readText(t, path) != "# mine\n" {
		t.Errorf("left: %v, %q", left, readText(t, path))
	}
}

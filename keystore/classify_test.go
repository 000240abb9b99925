package keystore

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

func TestClassify(t *testing.T) {
	busError := func(name string) error {
		return fmt.Errorf("call: %w", dbus.Error{Name: name, Body: []any{"text"}})
	}
	for _, test := range []struct {
		goos string
		err  error
		want error
	}{
		{"linux", errors.New("failed to unlock correct collection '/org/freedesktop/secrets/collection/login'"), ErrLocked},
		{"linux", busError("org.freedesktop.Secret.Error.IsLocked"), ErrLocked},
		{"linux", busError("org.freedesktop.DBus.Error.ServiceUnknown"), ErrMissing},
		{"linux", busError("org.freedesktop.DBus.Error.Spawn.ChildExited"), ErrMissing},
		{"linux", busError("org.freedesktop.Secret.Error.NoSuchObject"), ErrNoKeyring},
		{"linux", busError("org.freedesktop.DBus.Error.UnknownObject"), ErrNoKeyring}, // KeePassXC without a default database
		{"linux", busError("org.freedesktop.DBus.Error.UnknownMethod"), ErrNoKeyring}, // GNOME Keyring, the same
		{"linux", busError("org.freedesktop.DBus.Error.NameHasNoOwner"), ErrMissing},
		{"linux", busError("org.freedesktop.DBus.Error.AccessDenied"), ErrDenied},
		{"linux", busError("org.freedesktop.DBus.Error.NoReply"), ErrTimeout},
		{"linux", busError("org.example.Odd"), ErrUnavailable},
		{"linux", errors.New("dbus: couldn't determine address of session bus"), ErrMissing},
		{"linux", &net.OpError{Op: "dial", Net: "unix", Err: syscall.ECONNREFUSED}, ErrMissing},
		{"linux", dbus.ErrClosed, ErrMissing},
		{"linux", errors.New("anything else"), ErrUnavailable},
		{"freebsd", dbus.ErrClosed, ErrMissing},
		{"windows", syscall.Errno(5), ErrDenied},
		{"windows", syscall.Errno(1312), ErrMissing},
		{"windows", syscall.Errno(87), ErrUnavailable},
		{"windows", errors.New("data passed to Set was too big"), ErrUnavailable},
		{"darwin", exec.ErrNotFound, ErrMissing},
		{"darwin", errors.New("anything else"), ErrUnavailable},
	} {
		got := classify(test.goos, test.err)
		if !errors.Is(got, test.want) || !errors.Is(got, ErrUnavailable) || !errors.Is(got, test.err) {
			t.Errorf("%s, %v: %v", test.goos, test.err, got)
		}
		for _, other := range []error{ErrLocked, ErrNoKeyring, ErrDenied, ErrMissing, ErrTimeout, ErrDamaged, ErrNotFound} {
			if other != test.want && errors.Is(got, other) {
				t.Errorf("%s, %v: also %v", test.goos, test.err, other)
			}
		}
	}
}

// The exit codes of macOS's security program, from a real process.
func TestClassifyExitCode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED on Windows: it has no sh to exit with a code")
	}
	for code, want := range map[int]error{
		36: ErrLocked, 51: ErrDenied, 128: ErrDenied, 37: ErrNoKeyring, 50: ErrNoKeyring, 1: ErrUnavailable,
	} {
		err := exec.CommandContext(t.Context(), "sh", "-c", fmt.Sprint("exit ", code)).Run()
		if got := classify("darwin", err); !errors.Is(got, want) {
			t.Errorf("exit code %d: %v", code, got)
		}
	}
}

func TestHasSessionBus(t *testing.T) {
	empty, withBus, withFile := safeiotest.Dir(t), safeiotest.Dir(t), safeiotest.Dir(t)
	for _, path := range []string{filepath.Join(withBus, "bus"), filepath.Join(withFile, "dbus-session")} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		address, dir string
		want         bool
	}{
		{"unix:path=/run/bus", empty, true},
		{"", empty, false},
		{"autolaunch:", empty, false},
		{"", withBus, true},
		{"autolaunch:", withFile, true},
		{"", strings.Repeat("/none", 3), false},
	} {
		if got := hasSessionBus(test.address, test.dir); got != test.want {
			t.Errorf("hasSessionBus(%q, %q) = %v", test.address, test.dir, got)
		}
	}
}

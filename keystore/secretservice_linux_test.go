package keystore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// These tests use the real GNOME Keyring on a session bus of their own.

func init() {
	helpers["keyring"] = keyringSteps
	helpers["unreachable"] = unreachable
}

const (
	testService = "waxseal-test"
	loginPath   = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
)

// plainBus configures a bus that starts no service by itself, whatever is installed
// on the machine. It takes a folder for its socket.
const plainBus = `<busconfig><type>session</type><listen>unix:tmpdir=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`

// onBus runs a helper with a new home, no screen unless env has one, and a new
// session bus.
func onBus(t *testing.T, name, busConfig string, env ...string) {
	t.Helper()
	for _, program := range []string{"dbus-run-session", "dbus-daemon", "gnome-keyring-daemon"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("NOT TESTED: the keychain of Linux. Missing here: %s; install the packages dbus-daemon (or dbus-x11) and gnome-keyring.", program)
		}
	}
	before := []string{"dbus-run-session"}
	if busConfig != "" {
		dir := t.TempDir()
		path := filepath.Join(dir, "bus.conf")
		if err := os.WriteFile(path, fmt.Appendf(nil, busConfig, dir), 0o600); err != nil {
			t.Fatal(err)
		}
		before = append(before, "--config-file="+path)
	}
	run(t, helper(t, name, append(before, "--")...), env...)
}

func run(t *testing.T, cmd *exec.Cmd, env ...string) {
	t.Helper()
	home := t.TempDir()
	for _, entry := range cmd.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if name != "DISPLAY" && name != "WAYLAND_DISPLAY" && name != "DBUS_SESSION_BUS_ADDRESS" && !strings.HasPrefix(name, "XDG_") {
			env = append(env, entry)
		}
	}
	cmd.Env = append(env, "HOME="+home, "XDG_RUNTIME_DIR="+home, "LC_ALL=C.UTF-8")
	cmd.WaitDelay = time.Second // for what a failed helper leaves running
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
}

func TestSecretService(t *testing.T) { onBus(t, "keyring", plainBus) }

// keyringSteps is a keychain's life from start to end, with the same Store all along.
func keyringSteps() error {
	ctx := context.Background()
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return err
	}
	whole := System(testService)
	split := newSystem(newRemote(testService), itemLimit("windows"), true)
	secrets := map[string]string{}
	for _, n := range []int{100, 1500, 2560, 2561, 4096, 8192} {
		secrets[fmt.Sprintf("refresh/%d@example.org", n)] = noise(n)
	}
	check := func(when string) error {
		for key, want := range secrets {
			for _, s := range []*Store{whole, split} {
				if got, err := s.Get(ctx, key); err != nil || got != want {
					return fmt.Errorf("%s: %s: %d bytes, %v", when, key, len(got), err)
				}
			}
		}
		return nil
	}

	stop, err := startKeyring(conn, true)
	if err != nil {
		return err
	}
	for key, secret := range secrets {
		if err := errors.Join(whole.Set(ctx, key, "before"), split.Set(ctx, key, secret)); err != nil {
			return err
		}
	}
	if err := check("unlocked"); err != nil {
		return err
	}

	stop()
	if err := expect(whole, ErrMissing); err != nil {
		return fmt.Errorf("daemon gone: %w", err)
	}
	if stop, err = startKeyring(conn, false); err != nil {
		return err
	}
	if err := expect(whole, ErrLocked); err != nil {
		return fmt.Errorf("locked at login: %w", err)
	}
	stop()
	if stop, err = startKeyring(conn, true); err != nil {
		return err
	}
	defer func() { stop() }()
	if err := check("daemon started again"); err != nil {
		return err
	}

	if err := lock(conn, loginPath); err != nil {
		return err
	}
	if err := expect(split, ErrLocked); err != nil {
		return fmt.Errorf("locked: %w", err)
	}
	stop()
	if stop, err = startKeyring(conn, true); err != nil {
		return err
	}
	if err := check("after the locking"); err != nil {
		return err
	}
	return deleteAll(ctx, conn, split, secrets)
}

// expect wants each kind of call to fail with want, and with a cure.
func expect(s *Store, want error) error {
	ctx, key := context.Background(), "refresh/100@example.org"
	_, get := s.Get(ctx, key)
	for op, err := range map[string]error{"Get": get, "Set": s.Set(ctx, key, "lost?"), "Delete": s.Delete(ctx, key)} {
		if !errors.Is(err, want) || errors.Is(err, ErrNotFound) || Cure(err) == "" {
			return fmt.Errorf("%s answered %v, want %v", op, err, want)
		}
		fmt.Println(err)
	}
	return nil
}

func deleteAll(ctx context.Context, conn *dbus.Conn, s *Store, secrets map[string]string) error {
	for key := range secrets {
		if err := errors.Join(s.Delete(ctx, key), s.Delete(ctx, key)); err != nil {
			return err
		}
		if _, err := s.Get(ctx, key); !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("deleted, but: %w", err)
		}
	}
	var left []dbus.ObjectPath
	search := map[string]string{"service": testService}
	err := conn.Object("org.freedesktop.secrets", loginPath).
		Call("org.freedesktop.Secret.Collection.SearchItems", 0, search).Store(&left)
	if err != nil || len(left) > 0 {
		return fmt.Errorf("%d items left (%w)", len(left), err)
	}
	return nil
}

func lock(conn *dbus.Conn, collection dbus.ObjectPath) error {
	var locked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	err := conn.Object("org.freedesktop.secrets", "/org/freedesktop/secrets").
		Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{collection}).Store(&locked, &prompt)
	if err != nil || prompt == noPath {
		return err
	}
	return conn.Object("org.freedesktop.secrets", prompt).Call("org.freedesktop.Secret.Prompt.Prompt", 0, "").Err
}

// startKeyring starts the daemon and waits until it owns its name; stop waits
// until it has released the name.
func startKeyring(conn *dbus.Conn, unlock bool) (stop func(), err error) {
	const name = "org.freedesktop.secrets"
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	if err := conn.AddMatchSignal(dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name)); err != nil {
		return nil, err
	}
	wait := func(owned bool) {
		for s := range signals {
			if len(s.Body) == 3 && s.Body[0] == name && (s.Body[2] != "") == owned {
				return
			}
		}
	}
	cmd := exec.Command("gnome-keyring-daemon", "--foreground", "--components=secrets")
	if unlock {
		cmd.Args = append(cmd.Args, "--unlock")
		cmd.Stdin = strings.NewReader("login password")
	}
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	wait(true)
	return func() {
		cmd.Process.Kill()
		cmd.Wait()
		wait(false)
		conn.RemoveSignal(signals)
	}, nil
}

// Without a bus, or with an address that leads nowhere, there is an answer, and no
// stray daemon of dbus-launch.
func TestNoSessionBus(t *testing.T) {
	if hasSessionBus("", fmt.Sprintf("/run/user/%d", os.Getuid())) {
		t.Log("a session bus in the runtime folder: only a dead address is tried")
	} else {
		tripwire(t, "")
	}
	tripwire(t, "unix:path=/nonexistent/bus")
}

func tripwire(t *testing.T, address string) {
	t.Helper()
	dir := t.TempDir()
	wire := filepath.Join(dir, "tripped")
	script := "#!/bin/sh\n: >" + wire + "\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "dbus-launch"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	cmd := helper(t, "unreachable")
	if address == "" {
		run(t, cmd)
	} else {
		run(t, cmd, "WAXSEAL_TEST_BUS="+address)
	}
	if _, err := os.Stat(wire); err == nil {
		t.Errorf("address %q: dbus-launch was started", address)
	}
}

func unreachable() error {
	if address := os.Getenv("WAXSEAL_TEST_BUS"); address != "" {
		os.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	}
	return expect(System(testService), ErrMissing)
}

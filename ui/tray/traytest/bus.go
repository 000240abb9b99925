//go:build linux

// Package traytest is the part of a desktop that shows tray icons and
// notifications, for tests: a session bus of its own, what programs see of a
// panel, and a hand that clicks. It speaks to a real panel's icons as well.
package traytest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// patience ends waits that would fail.
const patience = time.Minute

// Bus is a session bus.
type Bus struct {
	Address string
	t       testing.TB
	conn    *dbus.Conn
}

// Start starts a session bus, which ends with the test.
func Start(t testing.TB) *Bus {
	t.Helper()
	daemon, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("NOT TESTED: there is no dbus-daemon")
	}
	dir, err := os.MkdirTemp("", "bus") // sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cmd := exec.Command(daemon, "--session", "--nofork", "--nopidfile", "--print-address", "--address=unix:path="+filepath.Join(dir, "bus"))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return At(t, strings.TrimSpace(address))
}

// At is the bus of that address.
func At(t testing.TB, address string) *Bus {
	t.Helper()
	return &Bus{Address: address, t: t, conn: connect(t, address)}
}

func connect(t testing.TB, address string) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatalf("connect to %s: %v", address, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Until waits for what has to become true.
func Until(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(2*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

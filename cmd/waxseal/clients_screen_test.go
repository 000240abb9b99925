//go:build linux && clients

package main_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startScreen starts an X server without a screen, and returns its display.
func startScreen(t *testing.T) string {
	t.Helper()
	server := exec.Command(findTool(t, "xvfb", "Xvfb"), "-displayfd", "3", "-screen", "0", "1280x900x24", "-nolisten", "tcp")
	reading, writing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	server.ExtraFiles = []*os.File{writing}
	runOwn(t, server)
	writing.Close()
	reading.SetReadDeadline(time.Now().Add(time.Minute))
	number, err := bufio.NewReader(reading).ReadString('\n') // it writes the line end separately, and fails if nobody reads that
	if err != nil {
		t.Fatalf("Xvfb names no display: %v", err)
	}
	return ":" + strings.TrimSpace(number)
}

// runOnScreen starts a program with windows that only finds the test's settings.
func runOnScreen(t *testing.T, cmd *exec.Cmd, home, display string) {
	t.Helper()
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"), "HOME="+home, "XDG_RUNTIME_DIR="+home, "DISPLAY="+display,
		"LC_ALL=C.UTF-8", "NO_AT_BRIDGE=1", "GDK_BACKEND=x11", "MOZ_CRASHREPORTER_DISABLE=1",
		"DBUS_SESSION_BUS_ADDRESS=disabled:") // else the program starts a session bus that outlives it
	runOwn(t, cmd)
}

// runOwn starts a program that ends with the test, together with its children.
func runOwn(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // at once: Thunderbird's profile is in use as long as its process is there
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("%s:\n%s", cmd, said.String())
		}
	})
}

// waitFor polls until condition returns something.
func waitFor(t *testing.T, what string, condition func() string) string {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		if got := condition(); got != "" {
			return got
		}
	}
	t.Fatalf("waited a minute for %s", what)
	return ""
}

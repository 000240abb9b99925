package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

func impatient(t *testing.T) {
	old := lockPatience
	lockPatience = 3 * lockRetry
	t.Cleanup(func() { lockPatience = old })
}

func TestSecondInstanceIsToldOfTheFirst(t *testing.T) {
	path := serving(t, &fake{snapshot: api.Snapshot{PID: 4242, Version: "1.2.3"}})
	for name, try := range map[string]func() error{
		"Listen": func() error { _, err := Listen(t.Context(), path); return err },
		"Hold":   func() error { _, err := Hold(t.Context(), path); return err },
	} {
		err := try()
		var running *RunningError
		if !errors.As(err, &running) || running.PID != 4242 || running.Version != "1.2.3" {
			t.Errorf("%s: %v, want the first one's process and version", name, err)
		}
	}
}

func TestOneOfManyStarts(t *testing.T) {
	elsewhere(t)
	path := filepath.Join(folder(t), "config.toml")
	var (
		wg            sync.WaitGroup
		won, lost     = make(chan *Listener, 8), make(chan error, 8)
		ctx, endFirst = context.WithCancel(context.Background())
	)
	defer endFirst()
	for range 8 {
		wg.Go(func() {
			l, err := Listen(t.Context(), path)
			if err != nil {
				lost <- err
				return
			}
			won <- l
			Serve(ctx, l, &fake{snapshot: api.Snapshot{PID: 7}}, Desktop{})
			l.Close()
		})
	}
	for range 7 {
		err := <-lost
		var running *RunningError
		if !errors.As(err, &running) || running.PID != 7 {
			t.Errorf("a late start got %v", err)
		}
	}
	endFirst()
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("%d instances started, want 1", len(won))
	}
}

func TestNothingRuns(t *testing.T) {
	elsewhere(t)
	dir := filepath.Join(folder(t), "never made")
	if _, err := Dial(t.Context(), filepath.Join(dir, "config.toml")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Dial: %v, want ErrNotRunning", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("asking made the folder")
	}
}

func TestHoldKeepsTheInstanceWaiting(t *testing.T) {
	impatient(t)
	elsewhere(t)
	path := filepath.Join(folder(t), "config.toml")
	release, err := Hold(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Dial: %v, want ErrNotRunning: a command is not an instance", err)
	}
	_, err = Listen(t.Context(), path)
	var running *RunningError
	if !errors.As(err, &running) || running.PID != 0 {
		t.Errorf("Listen during Hold: %v, want a RunningError without a process", err)
	}
	time.AfterFunc(lockRetry, release) // Listen waits until a command has ended
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatalf("Listen after Hold: %v", err)
	}
	l.Close()
}

func TestListenObeysItsContext(t *testing.T) {
	path := filepath.Join(folder(t), "config.toml")
	release, err := Hold(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(lockRetry, cancel)
	if _, err := Listen(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("Listen: %v, want context.Canceled", err)
	}
}

// holdUntilKilled is the other process of the next test.
func holdUntilKilled(path string) {
	l, err := Listen(context.Background(), path)
	fmt.Println("ready", err)
	Serve(context.Background(), l, &fake{}, Desktop{})
}

// After kill -9 the socket and the lock file are still there.
func TestStartAfterKill(t *testing.T) {
	elsewhere(t)
	path := filepath.Join(folder(t), "config.toml")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CONTROL_TEST_HOLD="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(line) != "ready <nil>" {
		t.Fatalf("the other process: %q", line)
	}
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	cmd.Process.Kill()
	cmd.Wait()

	left, _ := filepath.Glob(strings.TrimSuffix(path, "toml") + "*")
	if len(left) < 2 {
		t.Fatalf("the killed process left only %q: the test proves nothing", left)
	}
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Dial after the kill: %v, want ErrNotRunning", err)
	}
	serveAt(t, path, &fake{})
	if c, err = Dial(t.Context(), path); err != nil {
		t.Fatalf("Dial to the new instance: %v", err)
	}
	c.Close()
}

// If there can be no socket in the configuration folder, both sides find the
// private folder.
func TestElsewhere(t *testing.T) {
	file := filepath.Join(folder(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{
		"no folder to write in": file, // like a read-only folder, but for root too
		"path too long":         filepath.Join(folder(t), strings.Repeat("long", 25)),
	} {
		t.Run(name, func(t *testing.T) {
			temp := elsewhere(t)
			path := filepath.Join(dir, "config.toml")
			serveAt(t, path, &fake{})
			c, err := Dial(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			if _, err := Dial(t.Context(), filepath.Join(dir, "other.toml")); !errors.Is(err, ErrNotRunning) {
				t.Errorf("another configuration's instance answered: %v", err)
			}
			made, _ := filepath.Glob(filepath.Join(temp, "waxseal-*"))
			if len(made) != 1 {
				t.Fatalf("no private folder: %q", made)
			}
		})
	}
}

func TestPrivateFolderOfAnotherIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("each Windows user has a temporary folder of their own")
	}
	elsewhere(t)
	path := filepath.Join(folder(t), strings.Repeat("long", 25), "config.toml")
	all, err := places(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(all[0].dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(all[0].dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(t.Context(), path); err == nil {
		l.Close()
		t.Error("Listen used a folder that others can write in")
	}
	if err := os.Remove(all[0].dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(folder(t), all[0].dir); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(t.Context(), path); err == nil {
		l.Close()
		t.Error("Listen followed a link")
	}
}

func TestSocketIsItsOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes: the folder's rights guard the socket")
	}
	path := serving(t, &fake{})
	for _, ext := range []string{"sock", "lock"} {
		info, err := os.Stat(strings.TrimSuffix(path, "toml") + ext)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("config.%s has mode %o, want 600", ext, info.Mode().Perm())
		}
	}
}

// A connection that says nothing must not keep an instance from ending.
func TestEndsWithASilentClient(t *testing.T) {
	l, stop := serveAt(t, filepath.Join(folder(t), "config.toml"), &fake{})
	c, err := net.Dial(l.inner.Addr().Network(), l.inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stop()
}

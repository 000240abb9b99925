//go:build !nogui

package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"
)

const (
	windowTries = 3                // at opening a window that fails soon after its start
	soon        = 15 * time.Second // how soon that is
	closing     = 5 * time.Second  // how long a window may take to close
)

// window is the window's process. There is at most one at a time.
type window struct {
	args   []string // what it needs to know besides its page
	log    *slog.Logger
	failed func(bool) // called when it could not be opened, and when it is tried again

	mu          sync.Mutex
	trayMissing bool
	closed      bool
	process     *os.Process
	ended       chan struct{}
	next        func() error // opens the window on the page that was asked for while another one ran
	asked       time.Time    // when
}

func (w *window) setTrayMissing(missing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trayMissing = missing
}

// open starts the window with a page. A window that runs is about to ask which page to show, or is
// closing; then another one opens after it.
func (w *window) open(page, account string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	if w.process != nil {
		w.next, w.asked = func() error { return w.start(page, account, windowTries) }, time.Now()
		return nil
	}
	return w.start(page, account, windowTries)
}

// start starts the process, at most so many times. The caller holds w.mu.
func (w *window) start(page, account string, tries int) error {
	path, err := program()
	if err != nil {
		return err
	}
	args := append([]string{"window", "--page", page, "--account", account}, w.args...)
	if w.trayMissing {
		args = append(args, "--tray-missing")
	}
	said := &tail{}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = said, said
	hideConsole(cmd)
	if err := cmd.Start(); err != nil {
		w.failed(true)
		return fmt.Errorf("open the window: %w", err)
	}
	w.failed(false)
	w.process, w.ended = cmd.Process, make(chan struct{})
	began := time.Now()
	go func(ended chan<- struct{}) {
		defer close(ended)
		err := cmd.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.process = nil
		next := w.next
		w.next = nil
		if err == nil && !w.closed && next != nil && time.Since(w.asked) < closing {
			if err := next(); err != nil {
				w.log.Error("the window could not be shown", "err", err)
			}
			return
		}
		if err == nil || w.closed { // closed by its user, or by us
			return
		}
		w.log.Error("the window ended", "err", err, "said", said.String())
		// X ends a program that asks about a window that has just gone. While a panel starts,
		// its windows come and go.
		if tries > 1 && time.Since(began) < soon {
			if err := w.start(page, account, tries-1); err == nil {
				return
			}
		}
		w.failed(true)
	}(w.ended)
	return nil
}

// close ends the open window, and no other one opens. The end of its stream has told the window
// to end; if it does not listen, it is killed.
func (w *window) close() {
	w.mu.Lock()
	w.closed = true
	process, ended := w.process, w.ended
	w.mu.Unlock()
	if process != nil {
		process.Kill()
		<-ended
	}
}

// tail keeps the end of what a process prints.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// tailSize is enough for the first lines of a panic; the rest are the toolkit's stacks.
const tailSize = 8 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if more := len(t.text) - tailSize; more > 0 {
		t.text = t.text[more:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"
)

// patience limits every wait. Only waits that fail take this long.
const patience = time.Minute

// feed is something that grows and that tests wait for.
type feed struct {
	mu   sync.Mutex
	more chan struct{} // closed when there is more
}

// grow runs add with the lock held and wakes up those who wait.
func (f *feed) grow(add func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	add()
	if f.more != nil {
		close(f.more)
	}
	f.more = make(chan struct{})
}

// await calls look with the lock held until it has found what it is looking for, or until end is
// closed.
func (f *feed) await(end <-chan struct{}, look func() bool) error {
	limit := time.After(patience)
	for last := false; ; {
		f.mu.Lock()
		found := look()
		if f.more == nil {
			f.more = make(chan struct{})
		}
		more := f.more
		f.mu.Unlock()
		switch {
		case found:
			return nil
		case last:
			return fmt.Errorf("it has ended")
		}
		select {
		case <-more:
		case <-end:
			last = true // the last output may contain it
		case <-limit:
			return fmt.Errorf("nothing within %v", patience)
		}
	}
}

// process is a program that a test has started.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended and all its output has been read
	feed
	text string // what it has written to both outputs
}

// start starts a program; also gets what it writes to standard output. The caller must end it.
func start(cmd *exec.Cmd, also ...io.Writer) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(append(also, p)...), p
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Write takes the program's output.
func (p *process) Write(b []byte) (int, error) {
	p.grow(func() { p.text += string(b) })
	return len(b), nil
}

// said returns what the program has written so far.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text
}

// says waits until the program has written something that matches.
func (p *process) says(pattern string) (groups []string, err error) {
	re := regexp.MustCompile("(?m)" + pattern)
	err = p.await(p.exited, func() bool {
		groups = re.FindStringSubmatch(p.text)
		return groups != nil
	})
	if err != nil {
		err = fmt.Errorf("wait for %s to print %q: %w\n%s", p.cmd.Path, pattern, err, p.said())
	}
	return groups, err
}

// end waits until the program has ended, after sending it a signal unless that is nil.
func (p *process) end(signal os.Signal) (code int, err error) {
	if signal != nil {
		p.cmd.Process.Signal(signal)
	}
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.exited
		return -1, fmt.Errorf("%s did not end and was killed\n%s", p.cmd.Path, p.said())
	}
}

// ends waits until the program has ended, with an exit code.
func (p *process) ends(t *testing.T, signal os.Signal, code int) {
	t.Helper()
	if got, err := p.end(signal); err != nil || got != code {
		t.Fatalf("%v ended with %d, %v, want %d:\n%s", p.cmd.Args[1:], got, err, code, p.said())
	}
}

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// beTheMachine runs the test inside the machine, then powers the machine off.
func beTheMachine(systemd bool) {
	if err := inside(systemd); err != nil {
		fmt.Println("suspend: FAILED:", err)
	} else {
		fmt.Println(success)
	}
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// clockSaid is what the program logs when it notices a sleep by comparing the clocks.
const clockSaid = "the machine slept, or its clock was set"

func inside(systemd bool) error {
	suspend, noticed := suspendByHand, clockSaid
	if systemd {
		suspend, noticed = suspendByLogind, "the machine woke up (logind)"
	} else if err := beInit(); err != nil {
		return err
	}
	var log log
	cmd := exec.Command("/waxseal", "demo", "--log-level", "debug")
	cmd.Env = []string{"HOME=/tmp", "TMPDIR=/tmp", "XDG_RUNTIME_DIR=/tmp"}
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	if err := log.wait("Ctrl-C ends it", 1); err != nil {
		return err
	}
	if systemd {
		if err := log.wait("listening for logind", 1); err != nil {
			return err
		}
	}
	kept, err := log.login()
	if err != nil {
		return err
	}
	// Each step says what happens and which log line must follow.
	for _, step := range []struct {
		name, log string
		do        func() error
	}{
		{"nothing", "", func() error { return nil }},
		{"a suspend", noticed, suspend},
		{"the clock set an hour ahead", clockSaid, func() error { return setClock(time.Hour) }},
		{"the clock set back by an hour", "the machine's clock was set back", func() error { return setClock(-time.Hour) }},
		{"the clock set back and a suspend, both at once", "reconnecting to providers", func() error {
			if err := setClock(-time.Hour); err != nil {
				return err
			}
			return suspend()
		}},
	} {
		seen := log.count(step.log)
		fmt.Println("suspend: ==", step.name)
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if err := send("a connection from before", kept); err != nil {
			return fmt.Errorf("after %s: %w", step.name, err)
		}
		fresh, err := log.login()
		if err != nil {
			return fmt.Errorf("after %s: %w", step.name, err)
		}
		if err := send("a new connection", fresh); err != nil {
			return fmt.Errorf("after %s: %w", step.name, err)
		}
		fresh.Quit()
		if step.log != "" {
			if err := log.wait(step.log, seen+1); err != nil {
				return fmt.Errorf("after %s: %w", step.name, err)
			}
		}
	}
	return nil
}

// beInit mounts the file systems and brings up the interface that the program needs.
func beInit() error {
	for _, m := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}} {
		if err := unix.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	return nil
}

// loopbackUp does what `ip link set lo up` does.
func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}

// clocks are the times read before a sleep, to compare with those after it.
type clocks struct{ wall, monotonic time.Time }

func readClocks() clocks { now := time.Now(); return clocks{now.Round(0), now} }

func (c clocks) since() (wall, monotonic time.Duration) {
	now := time.Now()
	return now.Round(0).Sub(c.wall), now.Sub(c.monotonic)
}

func (c clocks) print() {
	wall, monotonic := c.since()
	fmt.Printf("suspend: awake again: %.1f s later by the wall clock, %.1f s by the monotonic one\n", wall.Seconds(), monotonic.Seconds())
}

// suspendByHand suspends the machine to RAM; the real-time clock wakes it.
func suspendByHand() error {
	if err := prepare(); err != nil {
		return err
	}
	before := readClocks()
	err := kernel("/sys/power/state", "mem") // returns once the machine is awake
	before.print()
	return err
}

// suspendByLogind asks logind to do it, and returns once the machine is awake.
func suspendByLogind() error {
	if err := prepare(); err != nil {
		return err
	}
	before := readClocks()
	if out, err := exec.Command("systemctl", "suspend").CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl suspend: %w: %s", err, out)
	}
	for range 6000 {
		if wall, monotonic := before.since(); wall-monotonic > 5*time.Second {
			before.print()
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("the machine did not sleep")
}

func prepare() error {
	if err := kernel("/sys/power/mem_sleep", "deep"); err != nil {
		return err
	}
	return kernel("/sys/class/rtc/rtc0/wakealarm", "+30")
}

func kernel(file, word string) error { return os.WriteFile(file, []byte(word), 0o600) }

func setClock(by time.Duration) error {
	to := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
	return unix.Settimeofday(&to)
}

// send sends one message and prints how long that took.
func send(by string, c *smtp.Client) error {
	start := time.Now()
	err := func() error {
		if err := c.Mail("you@demo.example"); err != nil {
			return fmt.Errorf("MAIL: %w", err)
		}
		if err := c.Rcpt("friend@elsewhere.example"); err != nil {
			return fmt.Errorf("RCPT: %w", err)
		}
		w, err := c.Data()
		if err != nil {
			return fmt.Errorf("DATA: %w", err)
		}
		if _, err := io.WriteString(w, "Subject: awake\r\n\r\nhello\r\n"); err != nil {
			return err
		}
		return w.Close()
	}()
	if err != nil {
		return fmt.Errorf("send over %s: %w", by, err)
	}
	fmt.Printf("suspend: 250 over %s after %d ms\n", by, time.Since(start).Milliseconds())
	return nil
}

// log collects the program's output and shows it at once.
type log struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	os.Stdout.Write(p)
	return l.all.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (l *log) count(what string) int { return strings.Count(l.String(), what) }

func (l *log) wait(what string, times int) error {
	for range 600 {
		if l.count(what) >= times {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("waxseal did not print %q", what)
}

// login signs in with the settings that the demo prints for mail programs.
func (l *log) login() (*smtp.Client, error) {
	var port, user, password string
	for lines := bufio.NewScanner(strings.NewReader(l.String())); lines.Scan(); {
		switch f := strings.Fields(lines.Text()); {
		case len(f) > 3 && f[0] == "server" && f[2] == "port" && strings.Contains(lines.Text(), "STARTTLS"):
			port = f[3]
		case len(f) == 2 && f[0] == "user":
			user = f[1]
		case len(f) == 2 && f[0] == "password":
			password = f[1]
		}
	}
	start := time.Now()
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, 10*time.Second)
	if err != nil {
		return nil, err
	}
	c, err := smtp.NewClient(conn, "localhost")
	if err == nil {
		err = c.Auth(smtp.PlainAuth("", user, password, "localhost"))
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("sign in: %w", err)
	}
	fmt.Printf("suspend: signed in after %d ms\n", time.Since(start).Milliseconds())
	return c, nil
}

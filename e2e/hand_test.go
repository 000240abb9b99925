//go:build e2e && linux

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/ui/tray/traytest"
)

// What a user sees and does at a screen.

// windows returns the visible windows of a program.
func (s *screen) windows(class string) []string {
	return strings.Fields(s.output("xdotool", "search", "--onlyvisible", "--class", class))
}

// window waits for a program's window.
func (s *screen) window(class string) (id string) {
	s.t.Helper()
	traytest.Until(s.t, "there is a window of "+class, func() bool {
		all := s.windows(class)
		if len(all) > 0 {
			id = all[0]
		}
		return id != ""
	})
	return id
}

// noWindow waits until a program has no window.
func (s *screen) noWindow(class string) {
	s.t.Helper()
	traytest.Until(s.t, "there is no window of "+class, func() bool { return len(s.windows(class)) == 0 })
}

// enter types an address into the window and waits for the page that opens in the browser. Return
// does nothing before the provider is found, so enter presses it again.
func (s *screen) enter(client *control.Client, window, address string) (page string) {
	s.t.Helper()
	pipe, err := os.OpenFile(s.opens, os.O_RDWR, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { pipe.Close() })
	s.settled(window, "add") // so that it takes keys
	s.output("xdotool", "windowfocus", "--sync", window)
	s.output("xdotool", "type", "--delay", "20", address)
	opened := bufio.NewReader(pipe)
	traytest.Until(s.t, "a page is opened in the browser", func() bool {
		// The first Return looks for the provider, the second one signs in. Another one would press
		// Cancel.
		if accounts, err := client.Accounts(s.t.Context()); err != nil {
			s.t.Fatal(err)
		} else if len(accounts) == 0 {
			s.output("xdotool", "key", "Return")
		}
		pipe.SetReadDeadline(time.Now().Add(3 * time.Second))
		page, err = opened.ReadString('\n')
		return !errors.Is(err, os.ErrDeadlineExceeded)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(page)
}

// picture takes a picture of a window, or of the whole screen for "root". It is also saved in the
// folder that WAXSEAL_E2E_PICTURES names, for people to look at.
func (s *screen) picture(window, name string) []byte {
	s.t.Helper()
	data := []byte(s.output("import", "-window", window, "png:-"))
	if len(data) == 0 {
		s.t.Fatalf("there is no picture of %s", window)
	}
	if dir := os.Getenv("WAXSEAL_E2E_PICTURES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "desktop-"+name+".png"), data, 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	return data
}

// settled takes pictures of a window until two in a row are the same.
func (s *screen) settled(window, name string) (picture []byte) {
	s.t.Helper()
	traytest.Until(s.t, "the window no longer changes", func() bool {
		last := picture
		picture = s.picture(window, name)
		return bytes.Equal(picture, last)
	})
	return picture
}

// turn makes the window show another page and waits until it does.
func (s *screen) turn(client *control.Client, window, page string) (picture []byte) {
	s.t.Helper()
	before := s.picture(window, page)
	if err := client.Show(s.t.Context(), page, ""); err != nil {
		s.t.Fatal(err)
	}
	s.changes(window, page, before)
	return s.settled(window, page)
}

// changes waits until a window looks different.
func (s *screen) changes(window, name string, before []byte) {
	s.t.Helper()
	traytest.Until(s.t, "the window has changed: "+name, func() bool { return !bytes.Equal(s.picture(window, name), before) })
}

// msmtp starts to send with a real mail program, which waits for the rest of the message.
func (s *screen) msmtp(client *control.Client, from, password, to string) (p *process, rest *os.File) {
	s.t.Helper()
	status, err := client.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(status.Listeners[0].Address)
	if err != nil {
		s.t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer read.Close()
	s.t.Cleanup(func() { write.Close() })
	cmd := exec.Command("msmtp", "--file=/dev/null", "--host=localhost", "--port="+port, "--user="+from, "--from="+from,
		"--auth=plain", "--tls=on", "--tls-trust-file="+filepath.Join(s.dir, "localhost.crt"), "--passwordeval=echo "+password, to)
	cmd.Env, cmd.Stdin = s.env, read
	if p, err = start(cmd); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.end(os.Kill) })
	if _, err := write.WriteString("Subject: from a desktop\n\n" + strings.Repeat("A line of it.\n", 2000)); err != nil {
		s.t.Fatal(err)
	}
	return p, write
}

// pauses checks that the menu works.
func (s *screen) pauses(item *traytest.Item, client *control.Client) {
	s.t.Helper()
	for _, step := range []struct{ click, state string }{{"Pause", "paused"}, {"Resume", "serving"}} {
		item.Click(step.click)
		traytest.Until(s.t, "Waxseal is "+step.state, func() bool {
			status, err := client.Status(s.t.Context())
			return err == nil && string(status.State) == step.state
		})
	}
}

// dismiss closes the keychain's prompt without entering a password.
func (s *screen) dismiss() {
	s.t.Helper()
	traytest.Until(s.t, "the prompt is gone", func() bool {
		s.output("xdotool", "key", "Escape")
		return len(s.windows(prompter)) == 0
	})
}

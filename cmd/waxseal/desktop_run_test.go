//go:build linux

package main_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/ui/tray/traytest"
)

// addAccount goes from the menu to a ready account, as somebody does who sees the program for the
// first time.
func (s *screen) addAccount(item *traytest.Item, address string) *control.Client {
	s.t.Helper()
	item.Click("Add account…")
	window := s.window()
	s.xdotool("windowfocus", "--sync", window)
	s.picture(window, "add")
	s.xdotool("type", "--delay", "20", address)
	// The window looks for the provider once the typing has stopped; until then Return does nothing.
	polls := 0
	page := s.opened(func() {
		if polls++; polls%500 == 1 {
			s.xdotool("key", "Return")
		}
	})
	if _, err := s.provider.Approve(page, address); err != nil {
		s.t.Fatal(err)
	}
	client := s.client()
	for snap, err := range client.Watch(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		if len(snap.Accounts) == 1 && snap.Accounts[0].State == "ready" {
			break
		}
	}
	return client
}

// The whole program on a real desktop with a real panel: from the menu to an account, a message from
// a real mail program, and the end while another message is in progress.
func TestDesktop(t *testing.T) {
	s := newScreen(t, true)
	p := s.waxseal(nil, "--hidden")
	item := s.icon()
	traytest.Until(t, "the menu says that there are no accounts", func() bool { return item.Has("No accounts yet") })
	if w := s.windows(); len(w) != 0 {
		t.Errorf("--hidden shows the window %v", w)
	}
	const address = "me@corp.example"
	began := time.Now()
	client := s.addAccount(item, address)
	t.Logf("from the menu to an account that can send: %.1f s, one field and two clicks (Add account, Sign in), beside the provider's own page", time.Since(began).Seconds())
	traytest.Until(t, "the menu has the account", func() bool { return item.Has(address + " · ready") })
	s.picture(s.window(), "setup")

	if err := client.Show(t.Context(), "activity", ""); err != nil {
		t.Fatal(err)
	}
	before := s.settled(s.window(), "activity-empty")
	if err := s.send(client, address, "friend@elsewhere.example"); err != nil {
		t.Fatal(err)
	}
	if got := s.provider.Messages(); len(got) != 1 || got[0].From != address {
		t.Fatalf("the provider has %+v", got)
	}
	activity, err := client.Activity(t.Context(), 0)
	if err != nil || len(activity) != 1 || activity[0].Result != "sent" {
		t.Errorf("activity %+v, %v", activity, err)
	}
	traytest.Until(t, "the window lists the message", func() bool { return !bytes.Equal(s.picture(s.window(), "activity-one"), before) })

	wrong, err := client.MailSettings(t.Context(), address, false)
	if err != nil {
		t.Fatal(err)
	}
	wrong.Password = "wrong"
	if err := s.sendWith(wrong, "friend@elsewhere.example"); err == nil {
		t.Error("a wrong password is accepted")
	}
	failure := ""
	traytest.Until(t, "the menu lists the failed login", func() bool {
		for _, line := range item.Menu() {
			if strings.HasPrefix(line, "Recent failures > ") && strings.HasSuffix(line, " · "+address+" · Wrong local password") {
				failure = line
			}
		}
		return failure != ""
	})
	if err := client.Show(t.Context(), "about", ""); err != nil {
		t.Fatal(err)
	}
	about := s.settled(s.window(), "about")
	item.Click(failure)
	traytest.Until(t, "a click shows the activity", func() bool { return !bytes.Equal(s.picture(s.window(), "activity-failed"), about) })
	s.settled(s.window(), "activity-failed")

	s.hold()
	sent := make(chan error, 1)
	go func() { sent <- s.send(client, address, "late@elsewhere.example") }()
	<-s.held
	traytest.Until(t, "the menu shows the message in progress", func() bool {
		return item.Has("1 account · 1 connection · 1 message") && item.Has(address+" · sending")
	})
	calm := item.Tooltip()
	s.picture("root", "sending")
	item.Click("Quit")
	traytest.Until(t, "the icon changes", func() bool { return item.Tooltip() != calm })
	s.noWindow()
	s.release()
	if err := <-sent; err != nil {
		t.Errorf("the message in progress: %v", err)
	}
	p.ends()
	if got := s.provider.Messages(); len(got) != 2 {
		t.Errorf("%d messages arrived, want 2", len(got))
	}
}

// settled is the picture of a window once two in a row are the same.
func (s *screen) settled(window, name string) []byte {
	s.t.Helper()
	last := s.picture(window, name)
	traytest.Until(s.t, "the window stays the same", func() bool {
		now := s.picture(window, name)
		same := bytes.Equal(now, last)
		last = now
		return same
	})
	return last
}

// A first start shows where to begin; a second start shows the window of the first.
func TestDesktopStarts(t *testing.T) {
	s := newScreen(t, true)
	p := s.waxseal(nil)
	item := s.icon()
	pid := func() string {
		out, _ := exec.Command("xdotool", "search", "--onlyvisible", "--class", "waxseal", "getwindowpid").Output()
		return strings.TrimSpace(string(out))
	}
	s.window()
	first := pid()
	s.xdotool("search", "--onlyvisible", "--class", "waxseal", "windowkill") // as X did to a window that had just opened
	traytest.Until(t, "another window is there", func() bool { now := pid(); return now != "" && now != first })
	s.xdotool("search", "--onlyvisible", "--class", "waxseal", "windowclose")
	s.noWindow()
	if !item.Has("Quit") {
		t.Error("the tray closed with the window")
	}
	s.waxseal(nil, "--hidden").ends()
	if w := s.windows(); len(w) != 0 {
		t.Errorf("a second start with --hidden shows %v", w)
	}
	s.waxseal(nil).ends()
	s.window()
	item.Tap() // one window, however often it is asked for
	s.waxseal(nil).ends()
	if w := s.windows(); len(w) != 1 {
		t.Errorf("the windows are %v", w)
	}

	p.cmd.Process.Kill()
	<-p.exited
	traytest.Until(t, "the window has started it again", func() bool { return len(s.bus.Items()) == 1 && s.icon().Has("Quit") })
	again := s.client()
	traytest.Until(t, "it shows its window", func() bool { return len(s.windows()) == 1 && pid() != first })
	status, err := again.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.FindProcess(status.PID)
	if err != nil || status.PID == p.cmd.Process.Pid {
		t.Fatalf("process %d: %v", status.PID, err)
	}
	second.Kill() // what dies at once is not started for ever
	s.noWindow()
	s.waxseal(nil, "--hidden")
	traytest.Until(t, "the icon is back", func() bool { return len(s.bus.Items()) == 1 && s.icon().Has("Quit") })
}

func TestDesktopPanelRestarts(t *testing.T) {
	s := newScreen(t, true)
	s.waxseal(nil, "--hidden")
	s.icon()
	for range 2 {
		s.panel.Process.Kill()
		s.panel.Wait()
		traytest.Until(t, "there is no panel", func() bool { return len(s.bus.Items()) == 0 })
		s.panel = s.background("xfce4-panel", "--disable-wm-check")
		s.icon().Click("Pause")
		client := s.client()
		traytest.Until(t, "it is paused", func() bool { return state(t, client) == "paused" })
		s.icon().Click("Resume")
		traytest.Until(t, "it goes on", func() bool { return state(t, client) == "serving" })
	}
}

func state(t *testing.T, c *control.Client) api.ServerState { return status(t, c).State }

func status(t *testing.T, c *control.Client) api.Snapshot {
	t.Helper()
	snap, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// If no panel shows icons, the user reaches the program through its window.
func TestDesktopWithoutTray(t *testing.T) {
	s := newScreen(t, false)
	p := s.waxseal(nil)
	s.settled(s.window(), "no-tray")
	client := s.client()
	if err := client.Quit(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.ends()
	s.noWindow()

	s.waxseal(nil, "--hidden")
	client = s.client()
	traytest.Until(t, "it serves", func() bool { return state(t, client) == "serving" })
	s.waxseal(nil).ends()
	s.window()
}

// Without a graphics driver the window fails; tray and mail work.
func TestDesktopWithoutGraphics(t *testing.T) {
	s := newScreen(t, true)
	notices := s.bus.StartNotices()
	s.waxseal([]string{"LIBGL_DRIVERS_PATH=/nonexistent"}, "--hidden")
	item := s.icon()
	item.Click("Open Waxseal")
	traytest.Until(t, "the menu says so", func() bool { return item.Has("The window could not be opened. Try again…") })
	select {
	case n := <-notices.Sent:
		if n.Title != "The window could not be opened" {
			t.Errorf("notified: %+v", n)
		}
	case <-time.After(patience):
		t.Error("there is no notification")
	}
	client := s.client()
	const address = "me@corp.example"
	data := []byte(importFor(t, s.provider, address))
	if _, err := client.Import(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	if err := s.send(client, address, "friend@elsewhere.example"); err != nil {
		t.Error(err)
	}
}

// Another program has the port: Waxseal keeps running, and its settings offer another port.
func TestDesktopPortTaken(t *testing.T) {
	s := newScreen(t, true)
	notices := s.bus.StartNotices()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	text := fmt.Sprintf("listen = [%q]\nlisten_tls = []\nmetrics = \"\"\n", other.Addr())
	s.write("config.toml", text)
	s.waxseal(nil)
	item := s.icon()
	traytest.Until(t, "the menu says so", func() bool { return item.Has("A port is taken. Choose another…") })
	if n := <-notices.Sent; n.Title != "Waxseal can’t accept mail" {
		t.Errorf("notified: %+v", n)
	}
	s.settled(s.window(), "port-taken")
	client := s.client()
	taken := status(t, client).PortTaken
	if taken == nil {
		t.Fatal("the status does not say that the port is taken")
	}
	if _, err := client.Configure(t.Context(), api.SettingsChange{Listen: &[]string{taken.Free}}); err != nil {
		t.Fatal(err)
	}
	traytest.Until(t, "mail is accepted", func() bool { return item.Has("0 accounts · 0 connections · 0 messages") })
}

// A keystore that cannot be opened does not end the program either.
func TestDesktopKeystoreFails(t *testing.T) {
	s := newScreen(t, true)
	s.waxseal([]string{"WAXSEAL_KEYSTORE=file"})
	item := s.icon()
	traytest.Until(t, "the menu says so", func() bool { return item.Has("The passphrase of the keystore is missing…") })
	s.settled(s.window(), "no-passphrase")
	if k := status(t, s.client()).Keystore; k.Problem == nil || !strings.Contains(k.Problem.Cure.String(), "WAXSEAL_KEYSTORE_PASSPHRASE") {
		t.Errorf("keystore %+v", k)
	}
}

// Without a display the program runs as `waxseal serve`, and says so.
func TestDesktopWithoutDisplay(t *testing.T) {
	s := newScreen(t, false)
	p := s.waxseal([]string{"DISPLAY="})
	client := s.client()
	traytest.Until(t, "it serves", func() bool { return state(t, client) == "serving" })
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.ends()
	if !strings.Contains(p.log.String(), "there is no display") {
		t.Errorf("it says %q", p.log.String())
	}
}

// A program that hangs is said to hang: the window looked as if all was well.
func TestDesktopFrozen(t *testing.T) {
	s := newScreen(t, true)
	p := s.waxseal(nil)
	before := s.settled(s.window(), "not-frozen")
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer p.cmd.Process.Signal(syscall.SIGCONT)
	traytest.Until(t, "the window says so", func() bool { return !bytes.Equal(s.picture(s.window(), "frozen"), before) })
	s.settled(s.window(), "frozen")
	p.cmd.Process.Signal(syscall.SIGCONT)
	traytest.Until(t, "the window is as before", func() bool { return bytes.Equal(s.picture(s.window(), "frozen-no-more"), before) })
}

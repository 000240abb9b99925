//go:build linux

package main_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/ui/tray/traytest"
)

// beginAccount types an address into the window, and gives the page that the browser is opened with.
func (s *screen) beginAccount(item *traytest.Item, address string) string {
	s.t.Helper()
	item.Click("Add account…")
	window := s.window()
	s.xdotool("windowfocus", "--sync", window)
	s.xdotool("type", "--delay", "20", address)
	polls := 0
	return s.opened(func() {
		if polls++; polls%500 == 1 {
			s.xdotool("key", "Return")
		}
	})
}

// Closing the window ended the sign-in, and the account was lost. Now the approval opens the window
// again, with what to enter in the mail program.
func TestDesktopSignInOutlivesTheWindow(t *testing.T) {
	s := newScreen(t, true)
	s.waxseal(nil, "--hidden")
	item := s.icon()
	const address = "me@corp.example"
	page := s.beginAccount(item, address)
	out, err := exec.Command("xdotool", "search", "--onlyvisible", "--class", "waxseal", "getwindowpid").Output()
	if err != nil {
		t.Fatal(err)
	}
	s.xdotool("key", "ctrl+w") // as its user closes it; a window that is destroyed comes back
	traytest.Until(t, "the window's process has ended", func() bool {
		_, err := os.Stat("/proc/" + strings.TrimSpace(string(out)))
		return err != nil
	})
	if _, err := s.provider.Approve(page, address); err != nil {
		t.Fatal(err)
	}
	traytest.Until(t, "the menu has the account", func() bool { return item.Has(address + " · ready") })
	s.settled(s.window(), "approved")
	if err := s.send(s.client(), address, "friend@elsewhere.example"); err != nil {
		t.Error(err)
	}
}

// Enter does not cancel a sign-in that waits, Escape does; a browser that comes back later is told.
func TestDesktopSignInIsCancelled(t *testing.T) {
	s := newScreen(t, true)
	s.waxseal(nil, "--hidden")
	item := s.icon()
	const address = "me@corp.example"
	page := s.beginAccount(item, address)
	traytest.Until(t, "the account is there", func() bool { return len(status(t, s.client()).Accounts) == 1 })
	s.picture(s.window(), "waiting")
	s.xdotool("key", "Return")
	s.xdotool("key", "Return")
	if got := len(status(t, s.client()).Accounts); got != 1 {
		t.Fatal("Enter cancels the sign-in")
	}
	s.xdotool("key", "Escape")
	traytest.Until(t, "the account is gone", func() bool { return len(status(t, s.client()).Accounts) == 0 })
	res, err := http.Get(page + "&auto=1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusGone || !strings.Contains(string(text), "This sign-in has ended") {
		t.Errorf("the browser shows %s: %s, %v", res.Status, text, err)
	}
}

//go:build linux

package main_test

import (
	"bytes"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/providertest"
	"github.com/waxseal/waxseal/ui/tray/traytest"
)

// click clicks at a place of a window.
func (s *screen) click(window string, x, y int) {
	s.t.Helper()
	s.xdotool("mousemove", "--window", window, fmt.Sprint(x), fmt.Sprint(y), "click", "1")
}

// turn shows a page that is longer than the window, and waits until the window shows it. Before the
// page has come there is nothing to scroll: while it was awaited, the window looked the same twice in
// a row, and was taken for the page.
func (s *screen) turn(window, page string) (looks []byte) {
	s.t.Helper()
	before := s.settled(window, page+"-before")
	if err := s.client().Show(s.t.Context(), page, ""); err != nil {
		s.t.Fatal(err)
	}
	traytest.Until(s.t, "the page is shown", func() bool { return !bytes.Equal(s.picture(window, page), before) })
	traytest.Until(s.t, "the page can be scrolled", func() bool {
		s.xdotool("key", "End")
		end := s.settled(window, page)
		s.xdotool("key", "Home")
		looks = s.settled(window, page)
		return !bytes.Equal(end, looks)
	})
	return looks
}

// The wheel and the keys scroll a page wherever the pointer and the focus are.
func TestDesktopScrolls(t *testing.T) {
	s := newScreen(t, true)
	s.waxseal(nil)
	s.icon()
	window := s.window()
	s.xdotool("windowfocus", "--sync", window, "mousemove", "--window", window, "880", "60")
	top := s.turn(window, "settings")
	for _, way := range [][]string{{"click", "--repeat", "5", "5"}, {"key", "End"}, {"key", "Next"}} {
		s.xdotool(way...)
		if bytes.Equal(s.settled(window, "settings-scrolled"), top) {
			t.Errorf("%v does not scroll", way)
		}
		s.xdotool("key", "Home")
		if !bytes.Equal(s.settled(window, "settings-home"), top) {
			t.Errorf("after %v, Home does not lead back", way)
		}
	}
}

// The settings page wrote back all that it had read, and so undid what had been changed elsewhere.
func TestDesktopSettingsUndoNothing(t *testing.T) {
	s := newScreen(t, true)
	s.waxseal(nil)
	s.icon()
	window, client := s.window(), s.client()
	s.xdotool("windowfocus", "--sync", window)
	s.turn(window, "settings")
	before, err := client.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := before
	elsewhere.LogLevel = "warn"
	if _, err := client.Configure(t.Context(), before.Change(elsewhere)); err != nil {
		t.Fatal(err)
	}
	s.click(window, 246, 158) // Notifications
	var now api.Settings
	traytest.Until(t, "the window has changed its setting", func() bool {
		now, err = client.Settings(t.Context())
		return err == nil && now.Notifications != before.Notifications
	})
	s.settled(window, "settings-after")
	if now.LogLevel != "warn" {
		t.Errorf("the log level is %q again", now.LogLevel)
	}
}

// A registration that the provider does not take is told before a browser opens, and the right one
// leads there.
func TestDesktopRegisters(t *testing.T) {
	s := newScreen(t, true)
	p, err := providertest.Start(providertest.Options{ClientID: "ours", ClientSecret: "right"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	s.provider = p
	dir := filepath.Join(s.dir, "other")
	s.write("other/empty", "")
	ca, err := p.WriteCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.write("config.toml", strings.Replace(configFor(p, ca), "client_id = \"waxseal\"\n", "", 1))
	s.waxseal(nil, "--hidden")
	s.icon().Click("Add account…")
	window := s.window()
	s.xdotool("windowfocus", "--sync", window)
	s.settled(window, "add")
	s.xdotool("type", "--delay", "20", "me@corp.example")
	traytest.Until(t, "the provider is known", func() bool { // its card is green
		looks, err := png.Decode(bytes.NewReader(s.picture(window, "register")))
		return err == nil && looks.At(400, 273) != looks.At(260, 273)
	})
	s.settled(window, "register")
	// The keyboard leads through the steps to the fields.
	for range 5 { // the offer of another user, two values to copy, and the provider's file come before
		s.xdotool("key", "Tab")
	}
	s.xdotool("type", "--delay", "20", "ours")
	s.xdotool("key", "Tab")
	s.xdotool("type", "--delay", "20", "wrong")
	s.picture(window, "registered")
	s.xdotool("key", "Return")
	traytest.Until(t, "the secret is tried", func() bool { return p.Counts().TokenRequests > 0 })
	client := s.client()
	traytest.Until(t, "the sign-in has ended", func() bool {
		snap, err := client.Status(t.Context())
		return err == nil && len(snap.Accounts) == 0
	})
	s.settled(window, "wrong-secret")
	if _, err := os.Stat(filepath.Join(s.dir, "opened")); err == nil {
		t.Error("a browser was opened for a registration that the provider does not take")
	}
	s.xdotool("key", "Escape") // back to what was entered
	s.settled(window, "register-again")
	for range 6 {
		s.xdotool("key", "Tab")
	}
	s.xdotool("key", "ctrl+a", "type", "--delay", "20", "right")
	page := s.opened(func() { s.xdotool("key", "Return") })
	if _, err := p.Approve(page, "me@corp.example"); err != nil {
		t.Fatal(err)
	}
	traytest.Until(t, "the account can send", func() bool {
		snap, err := client.Status(t.Context())
		return err == nil && len(snap.Accounts) == 1 && snap.Accounts[0].State == api.Ready
	})
}

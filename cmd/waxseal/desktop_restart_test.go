//go:build linux

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/ui/tray/traytest"
)

// An update replaces the program while it runs. The command, and the window's button, change to the new one: the window
// comes back where it was.
func TestDesktopRestart(t *testing.T) {
	needsDesktop(t)
	dated := filepath.Join(t.TempDir(), "waxseal")
	if err := buildDesktop(dated, "-ldflags", "-X main.version=v0.0.1"); err != nil {
		t.Fatal(err)
	}
	s := newScreen(t, true)
	fresh, _ := desktopBinary()
	installed := filepath.Join(s.dir, "bin", "waxseal")
	install := func(program string) {
		t.Helper()
		data, err := os.ReadFile(program)
		if err == nil {
			err = os.WriteFile(installed+".new", data, 0o700)
		}
		if err == nil {
			err = os.Rename(installed+".new", installed)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, way := range []string{"command", "button"} {
		install(dated)
		p := s.start(installed, nil, "--hidden")
		item := s.icon()
		if v := status(t, s.client()).Version; v != "v0.0.1" {
			t.Fatalf("version %s runs", v)
		}
		install(fresh)
		if way == "command" {
			out, err := exec.Command(installed, "restart").CombinedOutput()
			if err != nil || !strings.Contains(string(out), "restarted with version") {
				t.Fatalf("%v\n%s", err, out)
			}
		} else {
			item.Click("Open Waxseal")
			window := s.window()
			s.settled(window, "updated")
			s.click(window, 815, 50) // Restart Waxseal
		}
		p.ends()
		client := s.client()
		traytest.Until(t, "the new one has its icon", func() bool { return len(s.bus.Items()) == 1 && s.icon().Has("Quit") })
		if v := status(t, client).Version; v == "v0.0.1" {
			t.Errorf("%s: version %s runs again", way, v)
		}
		if way == "button" {
			s.window()
		} else if w := s.windows(); len(w) != 0 {
			t.Errorf("the command shows the window %v", w)
		}
		if err := client.Quit(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.noWindow()
		traytest.Until(t, "the icon is gone", func() bool { return len(s.bus.Items()) == 0 })
	}
}

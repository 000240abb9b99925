//go:build e2e && linux

package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/ui/tray/traytest"
)

// withWindow is the program with its tray icon and window.
var withWindow = os.Getenv("WAXSEAL_E2E_DESKTOP")

// screen is a desk with a desktop: an X server, a window manager, a panel, and a session bus with a
// keychain that can ask for its password.
type screen struct {
	*desk
	bus     *traytest.Bus
	conn    *dbus.Conn // to the bus
	keyring *process
	panel   *process
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	if withWindow == "" {
		t.Skip("NOT TESTED: the program on a desktop: the headers for its window are not installed")
	}
	for _, name := range []string{"Xvfb", "openbox", "xfce4-panel", "xdotool", "xprop", "import", "msmtp"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("NOT TESTED: the program on a desktop: %s is not installed", name)
		}
	}
	s := &screen{desk: newDesk(t)}
	x := s.startProgram("Xvfb", "-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset")
	display := x.mustSay(t, `^\d+$`)[0]
	s.bus = traytest.Start(t)
	var err error
	if s.conn, err = dbus.Connect(s.bus.Address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.conn.Close() })
	s.settle(map[string]string{"DISPLAY": ":" + display, "DBUS_SESSION_BUS_ADDRESS": s.bus.Address})
	s.unlock()
	s.startProgram("openbox")
	traytest.Until(t, "the window manager is running", func() bool {
		return strings.Contains(s.output("xprop", "-root", "_NET_SUPPORTING_WM_CHECK"), "window id")
	})
	layout, err := os.ReadFile("../cmd/waxseal/testdata/desktop/xfce4-panel.xml")
	if err != nil {
		t.Fatal(err)
	}
	s.write("config/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml", string(layout))
	s.startPanel()
	return s
}

// settle sets up the user's environment on the desk, for what the test starts and for what the bus
// starts.
func (s *screen) settle(session map[string]string) {
	s.t.Helper()
	env := map[string]string{"LC_ALL": "C.UTF-8", "NO_AT_BRIDGE": "1", "HOME": s.dir}
	// The machine's own caches are used, because reading all fonts again takes long.
	if cache, err := os.UserCacheDir(); err == nil {
		env["XDG_CACHE_HOME"] = cache
	}
	for name, below := range map[string]string{"XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "run"} {
		env[name] = filepath.Join(s.dir, below)
		if err := os.MkdirAll(env[name], 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	maps.Copy(env, session)
	for name, value := range env {
		s.env = append(s.env, name+"="+value)
	}
	if err := s.conn.BusObject().Call("org.freedesktop.DBus.UpdateActivationEnvironment", 0, env).Err; err != nil {
		s.t.Fatal(err)
	}
}

// output returns what a program of the desktop prints, or "" if it fails.
func (s *screen) output(name string, args ...string) string {
	cmd := exec.Command(name, args...)
	cmd.Env = s.env
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// present reports whether somebody owns a name on the bus.
func (s *screen) present(name string) (is bool) {
	s.t.Helper()
	if err := s.conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, name).Store(&is); err != nil {
		s.t.Fatal(err)
	}
	return is
}

// lock and unlock restart the keychain, as a login without its password or with it does.
func (s *screen) lock()   { s.login(false) }
func (s *screen) unlock() { s.login(true) }

func (s *screen) login(unlocked bool) {
	s.t.Helper()
	if s.keyring != nil {
		s.keyring.end(os.Kill)
		traytest.Until(s.t, "the keychain is gone", func() bool { return !s.present(secretsName) })
	}
	keyring, err := startKeyring(s.env, unlocked)
	if err != nil {
		s.t.Fatal(err)
	}
	s.keyring = keyring
	s.t.Cleanup(func() { keyring.end(os.Kill) })
	traytest.Until(s.t, "the keychain is running", func() bool { return s.present(secretsName) })
}

func (s *screen) startPanel() { s.panel = s.startProgram("xfce4-panel", "--disable-wm-check") }

// newPanel makes the panel crash, starts it again and waits for the icon in it.
func (s *screen) newPanel() *traytest.Item {
	s.t.Helper()
	s.panel.end(os.Kill)
	traytest.Until(s.t, "there is no panel", func() bool { return len(s.bus.Items()) == 0 })
	s.startPanel()
	return s.icon()
}

// icon waits for the icon in the panel.
func (s *screen) icon() (item *traytest.Item) {
	s.t.Helper()
	traytest.Until(s.t, "the panel shows the icon", func() bool {
		all := s.bus.Items()
		if len(all) == 1 && len(all[0].Everything()) > 0 {
			item = all[0]
		}
		return item != nil
	})
	return item
}

// open starts the program as a login does and waits for its icon.
func (s *screen) open() (*process, *traytest.Item, *control.Client) {
	s.t.Helper()
	log := filepath.Join(s.dir, "log")
	p := s.startProgram(withWindow, "--hidden", "--log-level", "debug", "--log-file", log)
	s.t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if s.t.Failed() {
			said, _ := os.ReadFile(log)
			s.t.Logf("the program's output and log:\n%s%s", p.said(), said)
		}
	})
	item := s.icon()
	client, err := control.Dial(s.t.Context(), filepath.Join(s.dir, "config.toml"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(client.Close)
	return p, item, client
}

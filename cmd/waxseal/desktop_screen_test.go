//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/proxy/providertest"
	"github.com/waxseal/waxseal/ui/tray/traytest"
)

// patience limits waits; only those that fail reach it.
const patience = time.Minute

// desktopBinary builds the program with its window, once.
var desktopBinary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("WAXSEAL_DESKTOP_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.MkdirTemp("", "waxseal-desktop-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "waxseal")
	return path, buildDesktop(path)
})

// buildDesktop builds the program with its window.
func buildDesktop(path string, flags ...string) error {
	build := exec.Command("go", append(append([]string{"build", "-tags", "gles", "-o", path}, flags...), ".")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=1") // the tests themselves do without
	out, err := build.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// screen is a real desktop: an X server, a session bus, a window manager, a panel, and a user who
// types and clicks.
type screen struct {
	t        *testing.T
	bus      *traytest.Bus
	dir      string
	provider *providertest.Provider
	panel    *exec.Cmd
	held     chan struct{} // gets a value when a message waits for release
	let      chan struct{} // closed by release
	once     sync.Once
}

// desktopNeeds are the programs that make a desktop.
var desktopNeeds = []string{"Xvfb", "openbox", "xfce4-panel", "xdotool", "xprop", "import", "dbus-daemon", "msmtp", "gcc"}

// needsDesktop skips the test if something that makes a desktop is not installed.
func needsDesktop(t *testing.T) {
	t.Helper()
	for _, name := range desktopNeeds {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("NOT TESTED: the program on a desktop: %s is not installed", name)
		}
	}
	if exec.Command("pkg-config", "--exists", "gl", "x11", "xcursor", "xrandr", "xinerama", "xi", "xxf86vm", "wayland-client", "xkbcommon").Run() != nil {
		t.Skip("NOT TESTED: the program on a desktop: the headers for its window are not installed")
	}
}

// newScreen starts a desktop, with or without a panel. The test's environment becomes that of the
// desktop's user.
func newScreen(t *testing.T, panel bool) *screen {
	t.Helper()
	needsDesktop(t)
	if _, err := desktopBinary(); err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, dir: homeOfADesktop(t), held: make(chan struct{}, 16), let: make(chan struct{})}
	// The caches are the user's own: reading all fonts again takes long.
	if cache, err := os.UserCacheDir(); err == nil {
		t.Setenv("XDG_CACHE_HOME", cache)
	}
	for name, below := range map[string]string{"HOME": "", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data",
		"XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "run"} {
		dir := filepath.Join(s.dir, below)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, dir)
	}
	for name, value := range map[string]string{"LC_ALL": "C.UTF-8", "WAYLAND_DISPLAY": "", "WAXSEAL_KEYSTORE": "memory", "WAXSEAL_CONFIG": s.config(),
		"DISPLAY": s.startX(), "PATH": filepath.Join(s.dir, "bin") + ":" + os.Getenv("PATH")} {
		t.Setenv(name, value)
	}
	s.bus = traytest.Start(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", s.bus.Address)
	s.background("openbox")
	traytest.Until(t, "the window manager runs", func() bool {
		out, _ := exec.Command("xprop", "-root", "_NET_SUPPORTING_WM_CHECK").Output()
		return strings.Contains(string(out), "window id")
	})
	if panel {
		s.startPanel()
	}
	s.startProvider()
	return s
}

// homeOfADesktop is a folder like t.TempDir's. What the bus has started for the panel, such as xfconfd,
// may still write there when the test ends, and nobody can wait for that; then the folder stays.
func homeOfADesktop(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "waxseal-desktop-home-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// startX starts an X server on a free display, and returns its name.
func (s *screen) startX() string {
	s.t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset")
	cmd.ExtraFiles = []*os.File{write}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	write.Close()
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	number, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		s.t.Fatalf("Xvfb: %v", err)
	}
	return ":" + strings.TrimSpace(number)
}

// background starts a program of the desktop that ends with the test.
func (s *screen) background(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(name, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("%s said:\n%s", name, said.String())
		}
	})
	return cmd
}

func (s *screen) startPanel() {
	s.t.Helper()
	layout, err := os.ReadFile("testdata/desktop/xfce4-panel.xml")
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("config/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml", string(layout))
	s.panel = s.background("xfce4-panel", "--disable-wm-check")
}

func (s *screen) startProvider() {
	s.t.Helper()
	p, err := providertest.Start(providertest.Options{Rotate: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.provider = p
	s.t.Cleanup(func() {
		s.release()
		p.Close()
	})
	ca, err := p.WriteCA(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("config.toml", configFor(p, ca))
	// xdg-open plays the browser: it writes the page to a file.
	s.write("bin/xdg-open", "#!/bin/sh\nprintf '%s' \"$1\" >\"$HOME/opened.new\" && mv \"$HOME/opened.new\" \"$HOME/opened\"\n")
}

// hold keeps the next messages from being answered until release.
func (s *screen) hold() {
	s.provider.SetFaults(providertest.Faults{SMTP: func(e providertest.Event) (none providertest.Action) {
		if e.Step == providertest.StepFinal {
			s.held <- struct{}{}
			<-s.let
		}
		return none
	}})
}

func (s *screen) release() { s.once.Do(func() { close(s.let) }) }

func (s *screen) config() string { return filepath.Join(s.dir, "config.toml") }

func (s *screen) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	mode := os.FileMode(0o600)
	if strings.HasPrefix(name, "bin/") {
		mode = 0o700
	}
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), mode)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// program is a running Waxseal.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	log    bytes.Buffer
	exited chan struct{}
}

// waxseal starts the program with additions to its environment.
func (s *screen) waxseal(env []string, args ...string) *program {
	s.t.Helper()
	path, _ := desktopBinary()
	return s.start(path, env, args...)
}

// start is waxseal of another program.
func (s *screen) start(path string, env []string, args ...string) *program {
	s.t.Helper()
	p := &program{t: s.t, cmd: exec.Command(path, append([]string{"--log-level", "debug", "--log-file", filepath.Join(s.dir, "log")}, args...)...), exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.exited)
	}()
	s.t.Cleanup(func() {
		p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(patience):
			p.cmd.Process.Kill()
			<-p.exited
			s.t.Error("the program did not end")
		}
		if s.t.Failed() {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Logf("it said:\n%s%s", p.log.String(), log)
		}
	})
	return p
}

// ends waits for the program's end, which must be a success.
func (p *program) ends() {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatal("the program does not end")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Fatalf("it ended with %v:\n%s", p.cmd.ProcessState, p.log.String())
	}
}

// icon waits for the icon in the panel.
func (s *screen) icon() *traytest.Item {
	s.t.Helper()
	var item *traytest.Item
	traytest.Until(s.t, "the panel shows the icon", func() bool {
		for _, i := range s.bus.Items() {
			if i.Title() == "Waxseal" && len(i.Everything()) > 0 {
				item = i
				return true
			}
		}
		return false
	})
	return item
}

// windows are the visible windows of the program.
func (s *screen) windows() []string {
	out, _ := exec.Command("xdotool", "search", "--onlyvisible", "--class", "waxseal").Output()
	return strings.Fields(string(out))
}

// window waits for the program's window.
func (s *screen) window() string {
	s.t.Helper()
	var all []string
	traytest.Until(s.t, "the window is there", func() bool {
		all = s.windows()
		return len(all) > 0
	})
	return all[0]
}

func (s *screen) noWindow() {
	s.t.Helper()
	traytest.Until(s.t, "no window is there", func() bool { return len(s.windows()) == 0 })
}

// xdotool plays mouse and keyboard.
func (s *screen) xdotool(args ...string) {
	s.t.Helper()
	if out, err := exec.Command("xdotool", args...).CombinedOutput(); err != nil {
		s.t.Fatalf("xdotool %v: %v\n%s", args, err, out)
	}
}

// picture is what a window looks like. It is kept in WAXSEAL_PICTURES for people to look at.
func (s *screen) picture(window, name string) []byte {
	s.t.Helper()
	path := filepath.Join(s.dir, name+".png")
	if out, err := exec.Command("import", "-window", window, path).CombinedOutput(); err != nil {
		s.t.Fatalf("import: %v\n%s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if dir := os.Getenv("WAXSEAL_PICTURES"); dir != "" {
		os.WriteFile(filepath.Join(dir, name+".png"), data, 0o600)
	}
	return data
}

// opened waits for the page that the program opens in the browser, and calls meanwhile again and
// again until then.
func (s *screen) opened(meanwhile func()) string {
	s.t.Helper()
	var page []byte
	traytest.Until(s.t, "a page is opened in the browser", func() bool {
		var err error
		page, err = os.ReadFile(filepath.Join(s.dir, "opened"))
		if err != nil {
			meanwhile()
		}
		return err == nil
	})
	os.Remove(filepath.Join(s.dir, "opened"))
	return string(page)
}

// client asks the program as the command line does.
func (s *screen) client() *control.Client {
	s.t.Helper()
	var client *control.Client
	traytest.Until(s.t, "the program answers", func() bool {
		var err error
		client, err = control.Dial(s.t.Context(), s.config())
		return err == nil
	})
	s.t.Cleanup(client.Close)
	return client
}

// send sends a message with msmtp, and waits for the result.
func (s *screen) send(client *control.Client, address, to string) error {
	settings, err := client.MailSettings(s.t.Context(), address, false)
	if err != nil {
		return err
	}
	return s.sendWith(settings, to)
}

// sendWith is send with settings that may be wrong.
func (s *screen) sendWith(settings api.MailSettings, to string) error {
	at := settings.Servers[0]
	cmd := exec.Command("msmtp", "--file=/dev/null", "--host="+at.Host, "--port="+strconv.Itoa(at.Port), "--user="+settings.User,
		"--from="+settings.User, "--auth=plain", "--tls=off", "--passwordeval=echo "+settings.Password, to)
	cmd.Stdin = strings.NewReader("Subject: from a real desktop\n\nIt works.\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}

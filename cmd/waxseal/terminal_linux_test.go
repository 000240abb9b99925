package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// seat is a user at a terminal in which the program runs.
type seat struct {
	t    *testing.T
	pty  *os.File
	cmd  *exec.Cmd
	gone chan struct{} // closed when nothing more appears on the terminal

	mu   sync.Mutex
	text string // on the screen, and not yet waited for
	all  string
	more chan struct{}
}

// sit runs the program in a terminal of its own, with a configuration in dir and no display.
func sit(t *testing.T, dir string, args ...string) *seat {
	t.Helper()
	return sitWith(t, dir, []string{"PATH=" + os.Getenv("PATH")}, args...)
}

// sitWith is sit with an environment that says where the programs are, and the display.
func sitWith(t *testing.T, dir string, env []string, args ...string) *seat {
	t.Helper()
	program, err := exec.LookPath("waxseal")
	if err != nil {
		t.Fatal(err)
	}
	s := &seat{t: t, gone: make(chan struct{}), more: make(chan struct{})}
	s.pty, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("NOT TESTED: questions on a terminal: no pseudo-terminal: %v", err)
	}
	var unlock, n int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &unlock, syscall.TIOCGPTN: &n} {
		raw, err := s.pty.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(value))); errno != 0 {
				t.Fatalf("ioctl: %v", errno)
			}
		})
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(program, args...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	s.cmd.Env = append([]string{"HOME=" + dir, "TERM=dumb", "WAXSEAL_CONFIG=" + filepath.Join(dir, "config.toml"),
		"WAXSEAL_KEYSTORE=file", "WAXSEAL_KEYSTORE_PASSPHRASE=correct horse"}, env...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	go func() {
		defer close(s.gone)
		io.Copy(s, s.pty) // until the program's end closes the terminal
	}()
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.pty.Close()
		<-s.gone
		if t.Failed() {
			t.Logf("the terminal:\n%s", s.all)
		}
	})
	return s
}

// Write takes what appears on the screen.
func (s *seat) Write(p []byte) (int, error) {
	n := len(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	p = bytes.ReplaceAll(p, []byte("\r\n"), []byte("\n"))
	s.text += string(p)
	s.all += string(p)
	close(s.more)
	s.more = make(chan struct{})
	return n, nil
}

// sees waits for something on the screen, and returns its first group.
func (s *seat) sees(pattern string) string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	limit := time.After(scriptPatience)
	for {
		s.mu.Lock()
		m, more, text := re.FindStringSubmatchIndex(s.text), s.more, s.text
		group := ""
		if m != nil {
			group = text[m[len(m)-2]:m[len(m)-1]]
			s.text = text[m[1]:]
		}
		s.mu.Unlock()
		if m != nil {
			return group
		}
		select {
		case <-more:
		case <-s.gone:
			s.t.Fatalf("it ended without %q", pattern)
		case <-limit:
			s.t.Fatalf("it does not show %q", pattern)
		}
	}
}

func (s *seat) types(line string) {
	s.t.Helper()
	if _, err := io.WriteString(s.pty, line+"\n"); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the program's end, and returns everything that was on the screen.
func (s *seat) ends(code int) string {
	s.t.Helper()
	s.cmd.Wait()
	<-s.gone
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("it ended with %d, want %d", got, code)
	}
	return s.all
}

// terminalProvider starts a provider and writes a configuration for it. With known, that has the
// client ID and the address of the sign-in with a code.
func terminalProvider(t *testing.T, o providertest.Options, known bool) (*providertest.Provider, string) {
	t.Helper()
	p, err := providertest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	dir := t.TempDir()
	ca, err := p.WriteCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(scriptConfig, p.AuthURL(), p.TokenURL(), p.SMTPAddr, ca)
	if known {
		text += fmt.Sprintf("device_url = %q\n", p.DeviceURL())
	} else {
		text = strings.Replace(text, "client_id = \"waxseal\"\n", "", 1)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, dir
}

// callback approves on another computer, and returns the address at which the browser there ends.
func callback(t *testing.T, page string) string {
	t.Helper()
	away := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := away.Get(page + "&auto=1")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.Header.Get("Location")
}

// TestAddAsksOnATerminal for the provider, and then for the registration, whose secret is not shown.
// It also takes the address at which a browser on another computer ended.
func TestAddAsksOnATerminal(t *testing.T) {
	t.Parallel()
	_, dir := terminalProvider(t, providertest.Options{ClientID: "waxseal", ClientSecret: "SECRET-client"}, false)
	s := sit(t, dir, "account", "add", "me@nowhere.invalid")
	s.sees(`provider`)
	s.sees(`1  Corp Mail\n`)
	s.sees(`the number: `)
	s.types("corp")
	s.sees(`enter a number from 1 to`)
	s.types("1")
	s.sees(`Corp Mail only accepts registered programs`)
	s.sees(`1\. Register a desktop`)
	s.sees(`\n +http://127\.0\.0\.1/\n`)
	s.sees(`2\. Give it this scope\.\n +mail\.send\n`)
	s.sees(`client ID \(or the provider's JSON file, or its content in one line\): `)
	s.types("waxseal")
	s.sees(`client secret \(kept in the keystore; leave empty if there is none\): `)
	s.types("SECRET-client")
	s.sees(`Open this page in a browser and approve:\s`)
	page := s.sees(`(http://\S+)`)
	s.sees(`ssh -L \d+:127\.0\.0\.1:\d+ `)
	s.types("what is this?")
	s.sees(`waxseal: .*http://127`)
	s.types(callback(t, page))
	s.sees(`ok .* Sign-in: `)
	s.sees(`me@nowhere\.invalid is ready`)
	screen := s.ends(0)
	if strings.Contains(screen, "SECRET") {
		t.Error("the client secret was on the screen")
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.toml"))
	if err != nil || !strings.Contains(string(text), "provider = \"corp\"\nclient_id = \"waxseal\"\n") || strings.Contains(string(text), "SECRET") {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestAddExplainsAnotherProvider: only the user can know its addresses.
func TestAddExplainsAnotherProvider(t *testing.T) {
	t.Parallel()
	_, dir := terminalProvider(t, providertest.Options{}, false)
	s := sit(t, dir, "account", "add", "me@nowhere.invalid")
	s.types(s.sees(`(\d+)  another provider\n`))
	s.sees(`\[\[provider\]\] with id, auth_url, token_url, scopes and smtp`)
	s.ends(1)
}

// TestAddByCodeWithoutADisplay adds an account on a machine without a screen.
func TestAddByCodeWithoutADisplay(t *testing.T) {
	t.Parallel()
	p, dir := terminalProvider(t, providertest.Options{ClientID: "waxseal"}, true)
	s := sit(t, dir, "account", "add", "me@corp.example")
	s.sees(`no browser can be opened here: there is no display`)
	s.sees(`Open this page in a browser and approve:\s`)
	s.sees(`Or, on any device, open\s`)
	code := s.sees(`\|   (\S+)   \|`)
	if err := p.ApproveDevice(code, "me@corp.example"); err != nil {
		t.Fatal(err)
	}
	s.sees(`me@corp\.example is ready`)
	s.ends(0)

	s = sit(t, dir, "account", "reauthorize", "me@corp.example")
	if err := p.DenyDevice(s.sees(`\|   (\S+)   \|`)); err != nil {
		t.Fatal(err)
	}
	s.sees(`FAIL .* Sign-in: `)
	s.ends(1)
	s = sit(t, dir, "account", "reauthorize", "me@corp.example", "--no-browser")
	s.sees(`Open this page in a browser`)
	s.cmd.Process.Signal(os.Interrupt)
	if screen := s.ends(1); strings.Contains(screen, "and enter the code") {
		t.Error("--no-browser shows a code")
	}
}

// TestImportAsksForMailPasswords without showing them, and asks again after a mistyped one.
func TestImportAsksForMailPasswords(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs("../../proxy/emailproxy/testdata/emailproxy.config")
	if err != nil {
		t.Fatal(err)
	}
	s := sit(t, t.TempDir(), "account", "import", file)
	s.sees(`mail programs use for old@gmail\.com [^)]*\)\s*: `)
	s.types("mistyped")
	s.sees(`waxseal: .*password`)
	s.sees(`old@gmail\.com [^)]*\)\s*: `)
	s.types("correct horse")
	s.sees(`Me@Contoso\.example [^)]*\)\s*: `)
	s.types("")
	s.sees(`to do: the tokens of Me@Contoso\.example were left behind`)
	s.sees(`3 imported, 0 unchanged, 0 failed`)
	s.sees(`Me@Contoso\.example must still be approved`)
	s.sees(`me@corp\.example must still be approved`)
	if screen := s.ends(1); strings.Contains(screen, "horse") || strings.Contains(screen, "SECRET") {
		t.Errorf("a secret was on the screen")
	}
}

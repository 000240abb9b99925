//go:build linux

package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// wine runs the Windows program on Linux, in its own Windows that ends with the test.
type wine struct {
	t       *testing.T
	program string
	tool    string // sends console events
	loader  string
	dir     string // where programs start; "" is here
	env     []string
}

// within is the same Windows for a part of the test.
func (w *wine) within(t *testing.T) *wine {
	part := *w
	part.t = t
	return &part
}

// drive is the folder that stands for C:.
func (w *wine) drive() string { return filepath.Join(filepath.Dir(w.tool), "prefix", "drive_c") }

// emptyWine prepares what every prefix needs; a prefix is wine's word for a Windows. shim is a library
// that wine 8 lacks, to copy into system32.
func emptyWine(t *testing.T) (w *wine, shim string) {
	t.Helper()
	loader := findTool(t, "wine64", "/usr/lib/wine/wine64", "wine64", "wine")
	server := findTool(t, "wine64", filepath.Join(filepath.Dir(loader), "wineserver"), "/usr/lib/wine/wineserver", "wineserver")
	compiler := findTool(t, "gcc-mingw-w64-x86-64", "x86_64-w64-mingw32-gcc")

	dir := t.TempDir()
	w = &wine{t: t, loader: loader, program: filepath.Join(dir, "waxseal.exe"), tool: filepath.Join(dir, "consoleevent.exe")}
	w.env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + dir,
		"WINEPREFIX=" + filepath.Join(dir, "prefix"),
		"WINEDLLOVERRIDES=mscoree,mshtml=", // no .NET, no browser: wine would offer to download them
		"WINEDEBUG=-all",
		"LC_ALL=C.UTF-8", // else file names beyond ASCII cannot be passed
	}
	shim = filepath.Join(dir, "bcryptprimitives.dll")
	command(t, nil, compiler, "-shared", "-O2", "-o", shim, "testdata/wine/bcryptprimitives.c", "-ladvapi32")
	command(t, nil, compiler, "-O2", "-o", w.tool, "testdata/wine/consoleevent.c")
	t.Cleanup(func() { // before the folder is removed: the server writes to it when it ends
		for _, option := range []string{"-k", "-w"} {
			end := exec.Command(server, option)
			end.Env = w.env
			end.Run()
		}
	})
	return w, shim
}

// buildWindows builds the headless program for Windows.
func buildWindows(t *testing.T, program string, flags ...string) {
	t.Helper()
	args := append([]string{"build", "-tags", "nogui", "-buildvcs=false", "-o", program}, flags...)
	command(t, append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0"), "go", append(args, ".")...)
}

// newWine builds the program for Windows and prepares a prefix. A full prefix takes 25 seconds and 700
// MB; in its bootstrap mode wine finds its own libraries without one, and two folders and a library are
// enough for a program without windows.
func newWine(t *testing.T) *wine {
	t.Helper()
	w, shim := emptyWine(t)
	w.env = append(w.env, "WINEBOOTSTRAPMODE=1")
	prefix := filepath.Dir(w.drive())
	system32 := filepath.Join(w.drive(), "windows", "system32")
	devices := filepath.Join(prefix, "dosdevices")
	for _, err := range []error{
		os.MkdirAll(system32, 0o755),
		os.MkdirAll(devices, 0o755),
		os.Symlink("../drive_c", filepath.Join(devices, "c:")),
		os.Symlink("/", filepath.Join(devices, "z:")),
		os.WriteFile(filepath.Join(prefix, ".update-timestamp"), []byte("disable"), 0o644),
		os.WriteFile(filepath.Join(prefix, "user.reg"), []byte(noScreen), 0o644),
		os.Rename(shim, filepath.Join(system32, filepath.Base(shim))),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	buildWindows(t, w.program)
	t.Logf("%s", w.run("version"))
	return w
}

// noScreen lets wine create windows without a screen.
const noScreen = `WINE REGISTRY Version 2

[Software\\Wine\\Drivers]
"Graphics"="null"
`

// findTool returns the first of the names that is installed, or skips the test.
func findTool(t *testing.T, pkg string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("NOT TESTED: install %s (make packages)", pkg)
	return ""
}

// command runs a program of this system to its end.
func command(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// command is a Windows program whose output goes to a file: wine's own processes live on for a few
// seconds after it ends, and would keep a pipe open for as long.
func (w *wine) command(program string, args ...string) (cmd *exec.Cmd, output *os.File) {
	w.t.Helper()
	output, err := os.CreateTemp(filepath.Dir(w.tool), "output")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { output.Close() })
	cmd = exec.CommandContext(w.t.Context(), w.loader, append([]string{program}, args...)...)
	cmd.Env, cmd.Dir = w.env, w.dir
	cmd.Stdout = output
	return cmd, output
}

// content is what a file contains now.
func content(t *testing.T, file *os.File) string {
	t.Helper()
	data, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// execute runs a Windows program to its end and returns what it printed.
func (w *wine) execute(program string, args ...string) (printed string, err error) {
	w.t.Helper()
	cmd, output := w.command(program, args...)
	cmd.Stderr = output
	err = cmd.Run()
	return content(w.t, output), err
}

// run is execute of Waxseal, which must succeed.
func (w *wine) run(args ...string) string {
	w.t.Helper()
	printed, err := w.execute(w.program, args...)
	if err != nil {
		w.t.Fatalf("waxseal.exe %s: %v\n%s", strings.Join(args, " "), err, printed)
	}
	return printed
}

// instance is a Windows program that runs until it is told to end.
type instance struct {
	w      *wine
	cmd    *exec.Cmd
	log    *os.File      // what it prints
	exited chan struct{} // closed when it ends, after err is set
	err    error
}

func (w *wine) start(args ...string) *instance {
	w.t.Helper()
	cmd, log := w.command(w.program, args...)
	cmd.Stderr = log
	i := &instance{w: w, cmd: cmd, log: log, exited: make(chan struct{})}
	if err := i.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		i.err = i.cmd.Wait()
		close(i.exited)
	}()
	w.t.Cleanup(func() {
		i.cmd.Process.Kill()
		<-i.exited
		if w.t.Failed() {
			w.t.Logf("what waxseal.exe %s printed:\n%s", strings.Join(args, " "), content(w.t, i.log))
		}
	})
	return i
}

// status waits until the instance answers `status`, and returns where it accepts mail and the number
// of its process.
func (i *instance) status(t *testing.T, config string) (address string, pid int) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		select {
		case <-i.exited:
			t.Fatalf("waxseal.exe serve ended: %v", i.err)
		default:
		}
		cmd, output := i.w.command(i.w.program, "status", "--json", "--config", config)
		var status struct {
			State     string
			PID       int
			Listeners []struct{ Address string }
		}
		if cmd.Run() == nil && json.Unmarshal([]byte(content(t, output)), &status) == nil && status.State == "serving" && len(status.Listeners) > 0 {
			return status.Listeners[0].Address, status.PID
		}
	}
	t.Fatal("waxseal.exe serve does not accept mail after two minutes")
	return "", 0
}

// interrupt is Ctrl-C: wine passes the signal on as the console's event.
func (i *instance) interrupt(t *testing.T) {
	t.Helper()
	if err := i.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
}

func (i *instance) wantExit(t *testing.T, code int) {
	t.Helper()
	select {
	case <-i.exited:
	case <-time.After(2 * time.Minute):
		t.Fatal("waxseal.exe serve has not ended two minutes after it was asked to")
	}
	if got := i.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("waxseal.exe serve ended with %d (%v), want %d", got, i.err, code)
	}
}

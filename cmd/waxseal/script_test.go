package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxseal/waxseal/proxy/control"
)

func TestMain(m *testing.M) {
	// These tests mostly wait for programs, so more of them than there are processors may do so at a time.
	if runtime.GOMAXPROCS(0) < 4 {
		flag.Set("test.parallel", "4")
	}
	testscript.Main(m, map[string]func(){"waxseal": main, "sendmail": main})
}

// TestScripts runs the program itself, as users do: see testdata/script. Besides
// testscript's own commands there are
//
//	provider [hold]         start a provider; write config.toml and accounts.json for it.
//	                        hold: it answers no message before "release"
//	serve [ARG...]          start `waxseal serve` and wait until it accepts mail
//	expect REGEXP           wait for a line on serve's standard error
//	signal NAME             send serve a signal: TERM, INT, HUP, KILL or QUIT
//	ended CODE              wait for serve's end, which must have that exit code
//	send FILE               send a message with the settings in FILE, of `account password --json`
//	begin FILE              the same, but return once the provider has the message
//	answered                wait for the result of "begin"
//	arrived N [FILE]        the provider has N messages, the last as it was sent, or as in FILE
//	revoke ADDRESS          revoke the consent at the provider
//	watch [ARG...]          start `waxseal status --watch` and wait until it shows something
//	watched REGEXP          wait until it shows that
//	watched end CODE        wait for its end, which must have that exit code
//	ask WHAT                what the icon's menu does: pause, resume or quit
//	etcd VAR                start etcd, and set VAR to its URL
//	taken VAR               take a port, and set VAR to its address
//	mode PERM FILE          FILE has these permissions
//	json FILE               FILE is JSON and nothing else
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("USERPROFILE", env.WorkDir)
			env.Setenv("WAXSEAL_CONFIG", filepath.Join(env.WorkDir, "config.toml"))
			env.Setenv("WAXSEAL_KEYSTORE", "memory") // scripts about the keystore file say so
			env.Setenv("WAXSEAL_KEYSTORE_PASSPHRASE", "correct horse")
			env.Values[worldKey{}] = &world{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"provider": cmdProvider, "release": cmdRelease, "revoke": cmdRevoke, "arrived": cmdArrived,
			"send": cmdSend, "begin": cmdBegin, "answered": cmdAnswered,
			"serve": cmdServe, "expect": cmdExpect, "signal": cmdSignal, "ended": cmdEnded,
			"watch": cmdWatch, "watched": cmdWatched,
			"etcd": func(ts *testscript.TestScript, _ bool, args []string) { ts.Setenv(args[0], startEtcd(t)) },
			"ask":  cmdAsk, "taken": cmdTaken, "mode": cmdMode, "json": cmdJSON,
		},
	})
}

// scriptPatience limits every wait of a script; only waits that fail reach it.
const scriptPatience = 30 * time.Second

// served is the program, running in the background.
type served struct {
	cmd    *exec.Cmd
	exited chan struct{}

	mu   sync.Mutex
	text string // what it wrote that nobody has waited for
	more chan struct{}
}

// Write takes what the program prints.
func (s *served) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text += string(p)
	close(s.more)
	s.more = make(chan struct{})
	return len(p), nil
}

// await waits until the program has printed something that matches, and drops all up to it.
func (s *served) await(ts *testscript.TestScript, pattern string) {
	re := regexp.MustCompile("(?m)" + pattern)
	limit := time.After(scriptPatience)
	for {
		s.mu.Lock()
		at, more, text := re.FindStringIndex(s.text), s.more, s.text
		if at != nil {
			s.text = s.text[at[1]:]
		}
		s.mu.Unlock()
		if at != nil {
			return
		}
		select {
		case <-more:
		case <-s.exited:
			ts.Fatalf("it ended without printing %q:\n%s", pattern, text)
		case <-limit:
			ts.Fatalf("it does not print %q:\n%s", pattern, text)
		}
	}
}

func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	w.serve = start(ts, append([]string{"serve"}, args...)...)
	w.serve.await(ts, `^waxseal: accepting mail on 127\.0\.0\.1:\d+ \(STARTTLS\)`)
}

func cmdWatch(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	w.watch = start(ts, append([]string{"status", "--watch"}, args...)...)
	w.watch.await(ts, `serving`)
}

func cmdWatched(ts *testscript.TestScript, neg bool, args []string) {
	s := worldOf(ts).watch
	if args[0] == "end" {
		s.wait(ts, args[1])
		return
	}
	s.await(ts, args[0])
}

// start runs the program in the background. What it writes is kept.
func start(ts *testscript.TestScript, args ...string) *served {
	s := &served{exited: make(chan struct{}), more: make(chan struct{})}
	s.cmd = exec.Command(lookPath(ts, "waxseal"), args...)
	s.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "USERPROFILE", "TMPDIR", "SystemRoot", "WAXSEAL_CONFIG", "WAXSEAL_KEYSTORE",
		"WAXSEAL_KEYSTORE_FILE", "WAXSEAL_KEYSTORE_PASSPHRASE", "WAXSEAL_KEYSTORE_PASSPHRASE_FILE", "WAXSEAL_INSTANCE", "GOCOVERDIR"} {
		s.cmd.Env = append(s.cmd.Env, name+"="+ts.Getenv(name))
	}
	s.cmd.Stdout, s.cmd.Stderr = s, s
	ts.Check(s.cmd.Start())
	go func() {
		s.cmd.Wait()
		close(s.exited)
	}()
	ts.Defer(func() {
		s.cmd.Process.Kill()
		<-s.exited
	})
	return s
}

func lookPath(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path := filepath.Join(dir, name); exec.Command(path).Err == nil {
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				return path
			}
		}
	}
	ts.Fatalf("%s is not in PATH", name)
	return ""
}

func cmdAsk(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	c, err := control.Dial(ctx, ts.Getenv("WAXSEAL_CONFIG"))
	ts.Check(err)
	defer c.Close()
	switch args[0] {
	case "quit":
		ts.Check(c.Quit(ctx))
	default:
		ts.Check(c.SetPaused(ctx, args[0] == "pause"))
	}
}

func cmdExpect(ts *testscript.TestScript, neg bool, args []string) {
	worldOf(ts).serve.await(ts, args[0])
}

func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL, "QUIT": syscall.SIGQUIT}
	ts.Check(worldOf(ts).serve.cmd.Process.Signal(signals[args[0]]))
}

func cmdEnded(ts *testscript.TestScript, neg bool, args []string) {
	worldOf(ts).serve.wait(ts, args[0])
}

// wait waits for the program's end, which must have an exit code.
func (s *served) wait(ts *testscript.TestScript, want string) {
	select {
	case <-s.exited:
	case <-time.After(scriptPatience):
		ts.Fatalf("it has not ended")
	}
	s.mu.Lock()
	ts.Logf("[what it printed last]\n%s", s.text)
	s.mu.Unlock()
	if code := fmt.Sprint(s.cmd.ProcessState.ExitCode()); code != want {
		ts.Fatalf("it ended with %s, want exit code %s", s.cmd.ProcessState, want)
	}
}

func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatInt(int64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	var v any
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(d.Decode(&v))
	if d.More() {
		ts.Fatalf("%s holds more than one JSON value", args[0])
	}
}

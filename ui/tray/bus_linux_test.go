package tray

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/ui/tray/traytest"
)

// TestMain is also the program with the tray: there is one tray in a process.
func TestMain(m *testing.M) {
	if os.Getenv("WAXSEAL_TRAY_CHILD") == "" {
		os.Exit(m.Run())
	}
	ctx, cancel := context.WithCancel(context.Background())
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	t := New(Actions{
		Show:     func(page, account string) { say("show %s %s", page, account) },
		SendTest: func(account string) { say("test %s", account) },
		SetPaused: func(on bool) {
			say("pause %t", on)
		},
		PauseHour: func() { say("pause hour") },
		Unlock:    func() { say("unlock") },
		Retry:     func() { say("retry") },
		Quit: func() {
			say("quit")
			cancel()
		},
	})
	ready := make(chan struct{})
	go func() {
		var s State
		for lines := json.NewDecoder(os.Stdin); lines.Decode(&s) == nil; s = (State{}) {
			if s.Version == "figures" {
				var mem runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&mem)
				say("figures %d %d", runtime.NumGoroutine(), mem.HeapAlloc)
				continue
			}
			t.Show(s)
			select {
			case <-ready:
			default:
				close(ready)
			}
		}
	}()
	<-ready
	if err := t.Run(ctx); err != nil {
		say("%v", err)
		os.Exit(1)
	}
}

// child is a process with a tray.
type child struct {
	t    *testing.T
	in   *json.Encoder
	out  *bufio.Scanner
	done func() error
}

func start(t *testing.T, bus *traytest.Bus, first State) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WAXSEAL_TRAY_CHILD=1", "DBUS_SESSION_BUS_ADDRESS="+bus.Address, "LC_ALL=C.UTF-8", "GORACE=exitcode=0")
	var stderr bytes.Buffer
	cmd.Stderr = io.MultiWriter(os.Stderr, &stderr)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, in: json.NewEncoder(in), out: bufio.NewScanner(out)}
	c.done = sync.OnceValue(func() error {
		err := cmd.Wait()
		if n := races(stderr.String()); n > 0 {
			t.Errorf("%d data races in the process with the tray", n)
		}
		return err
	})
	t.Cleanup(func() {
		cmd.Process.Kill()
		io.Copy(io.Discard, out)
		c.done()
	})
	c.show(first)
	return c
}

// races counts the race detector's reports, but for those of a race in systray:
// it announces the layout anew 150 ms behind a panel's first look, and writes its
// number under another lock than a second look reads it under.
func races(stderr string) (n int) {
	for report := range strings.SplitSeq(stderr, "==================") {
		systrays := strings.Contains(report, "systray.refresh()") && strings.Contains(report, "systray.(*tray).GetLayout()")
		if strings.Contains(report, "WARNING: DATA RACE") && !systrays {
			n++
		}
	}
	return n
}

func (c *child) show(s State) {
	c.t.Helper()
	if err := c.in.Encode(s); err != nil {
		c.t.Fatal(err)
	}
}

// says is the next line that the child prints.
func (c *child) says(want string) {
	c.t.Helper()
	if !c.out.Scan() || c.out.Text() != want {
		c.t.Fatalf("it says %q, want %q", c.out.Text(), want)
	}
}

func (c *child) figures() (goroutines, heap int) {
	c.t.Helper()
	c.show(State{Snapshot: api.Snapshot{Version: "figures"}})
	c.out.Scan()
	if _, err := fmt.Sscanf(c.out.Text(), "figures %d %d", &goroutines, &heap); err != nil {
		c.t.Fatalf("%q: %v", c.out.Text(), err)
	}
	return goroutines, heap
}

func TestTray(t *testing.T) {
	bus := traytest.Start(t)
	panel := bus.StartPanel()
	s := serving(func(s *State) {
		s.Accounts = []api.AccountStatus{{Address: "first_last@x.example", State: api.Ready}}
		s.Connections = 2
	})
	c := start(t, bus, s)
	item := panel.Item()
	if item.Title() != "Waxseal" {
		t.Errorf("its title is %q", item.Title())
	}
	account := "first_last@x.example · ready"
	want := []string{"1 account · 2 connections · 0 messages", "-",
		account, account + " > Mail settings…", account + " > Copy password", account + " > Send a test", account + " > Sign in again…", "-",
		"Add account…", "Pause", "Pause for an hour", "Open Waxseal", "-", "Quit"}
	traytest.Until(t, "the menu is whole", func() bool { return slices.Equal(item.Menu(), want) })

	for click, says := range map[string]string{
		"Add account…": "show add ", "Open Waxseal": "show  ", "Pause": "pause true", "Pause for an hour": "pause hour",
		account + " > Copy password":  "show password first_last@x.example",
		account + " > Mail settings…": "show setup first_last@x.example",
		account + " > Send a test":    "test first_last@x.example",
		account + " > Sign in again…": "show add first_last@x.example",
	} {
		item.Click(click)
		c.says(says)
	}
	item.Tap()
	c.says("show  ")

	calm := item.Pixels()
	if len(calm) != 64*64*4 {
		t.Fatalf("%d bytes of icon", len(calm))
	}
	s.State, s.PortTaken = api.Paused, &api.PortTakenError{}
	c.show(s)
	traytest.Until(t, "the icon is drawn", func() bool { return item.Tooltip() == "Waxseal: Not accepting mail" })
	if slices.Equal(item.Pixels(), calm) {
		t.Error("the icon is the same")
	}
	traytest.Until(t, "mail can go on", func() bool {
		return item.Has("Resume") && !item.Has("Pause for an hour") && item.Has("A port is taken. Choose another…")
	})
	item.Click("Resume")
	c.says("pause false")
	item.Click("A port is taken. Choose another…")
	c.says("show settings ")

	s.PortTaken, s.State, s.Keystore.Problem = nil, api.Serving, locked
	s.Breakers = []api.Breaker{{Name: "b", Provider: "X", Mail: true, State: api.Open}}
	c.show(s)
	traytest.Until(t, "the menu offers what helps", func() bool { return item.Has("Unlock keychain") && item.Has("Try again now") })
	item.Click("Unlock keychain")
	c.says("unlock")
	item.Click("Try again now")
	c.says("retry")

	item.Click("Quit")
	c.says("quit")
	if err := c.done(); err != nil {
		t.Error(err)
	}
}

// The panel ends and starts again, as it does when it crashes.
func TestTrayComesBack(t *testing.T) {
	bus := traytest.Start(t)
	panel := bus.StartPanel()
	c := start(t, bus, serving(nil))
	// systray listens for new panels a moment after it is registered; what the
	// click goes through takes longer.
	for range 4 {
		panel.Item().Click("Add account…")
		c.says("show add ")
		panel.Stop()
		panel = bus.StartPanel()
	}
}

// Whatever happens, items are used again: systray forgets none that it made.
func TestRedrawingLeaksNothing(t *testing.T) {
	bus := traytest.Start(t)
	panel := bus.StartPanel()
	state := func(n int) State {
		return serving(func(s *State) {
			s.Connections, s.WindowFailed = int64(n), n%3 == 0
			for i := range n / 10 % 20 {
				a := api.AccountStatus{Address: fmt.Sprintf("a%d@x.example", i), State: api.Ready}
				if i == 0 {
					a.Messages = int64(n % 2)
				}
				s.Accounts = append(s.Accounts, a)
			}
		})
	}
	c := start(t, bus, state(0))
	item := panel.Item()
	top := item.Everything()[0].ID
	redraw := func(from, to int) {
		for n := from; n < to; n++ {
			c.show(state(n))
			want := menuOf(state(n)).status
			traytest.Until(t, "it shows "+want, func() bool { return item.Label(top) == want })
		}
	}
	english(t)
	redraw(1, 201) // each line once
	lines := linesIn(item.Everything())
	goroutines, heap := c.figures()
	redraw(201, 1201)
	if now := linesIn(item.Everything()); now != lines {
		t.Errorf("%d lines in the menu, %d before", now, lines)
	}
	if g, h := c.figures(); g > goroutines || h > heap+1<<20 {
		t.Errorf("%d goroutines and %d bytes after 1,000 redraws, %d and %d before", g, h, goroutines, heap)
	}
	for n := range 1000 { // faster than they are drawn
		c.show(state(n + 2000))
	}
	traytest.Until(t, "the last one is shown", func() bool { return item.Has("19 accounts · 2999 connections · 0 messages") })
}

func linesIn(all []traytest.Entry) int {
	n := len(all)
	for _, e := range all {
		n += linesIn(e.Sub)
	}
	return n
}

func TestWatchHost(t *testing.T) {
	hostPatience = 50 * time.Millisecond
	defer func() { hostPatience = 2 * time.Second }()
	bus := traytest.Start(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", bus.Address)
	ctx, cancel := context.WithCancel(t.Context())
	reports := make(chan bool, 16)
	ended := make(chan struct{})
	go func() {
		WatchHost(ctx, func(present bool) { reports <- present })
		close(ended)
	}()
	expect := func(want bool) {
		t.Helper()
		select {
		case got := <-reports:
			if got != want {
				t.Fatalf("present: %t, want %t", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("it does not say %t", want)
		}
	}
	expect(false)
	panel := bus.StartPanel()
	expect(true)
	panel.Stop()
	expect(false)
	bus.StartPanel()
	expect(true)
	cancel()
	<-ended
	ctx, cancel = context.WithCancel(t.Context())
	WatchHost(ctx, func(present bool) {
		if !present {
			t.Error("a panel that is there at once is not seen")
		}
		cancel()
	})
}

// TestNoSessionBus: a bus below XDG_RUNTIME_DIR is none for godbus, which looks
// below /run/user only; the tray took it for one, and godbus then started another.
func TestNoSessionBus(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	if keystore.HasSessionBus() {
		t.Skip("NOT TESTED where a session bus is in /run/user")
	}
	dir := t.TempDir()
	wire := filepath.Join(dir, "tripped")
	for name, text := range map[string]string{"bus": "", "dbus-launch": "#!/bin/sh\n: >" + wire + "\nexit 1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("PATH", dir)
	WatchHost(t.Context(), func(present bool) {
		if present {
			t.Error("a host without a bus")
		}
	})
	if err := Notify(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "session bus") {
		t.Errorf("Notify: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := New(Actions{}).Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := os.Stat(wire); err == nil {
		t.Error("godbus started a bus")
	}
}

func TestNotify(t *testing.T) {
	english(t)
	bus := traytest.Start(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", bus.Address)
	service := bus.StartNotices()
	ctx, cancel := context.WithCancel(t.Context())
	notices, clicked, ended := make(chan Notice), make(chan Notice, 1), make(chan error, 1)
	go func() { ended <- Notify(ctx, notices, func(n Notice) { clicked <- n }) }()
	next := func() traytest.Notice {
		t.Helper()
		select {
		case n := <-service.Sent:
			return n
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was sent")
			panic("unreachable")
		}
	}
	notices <- Notice{Kind: AccountFault, State: api.NeedsConsent, Account: "me@x.example"}
	first := next()
	if first.Title != "Sign in again: me@x.example" || len(first.Actions) != 2 || first.Actions[0] != "default" {
		t.Errorf("sent %+v", first)
	}
	notices <- Notice{Kind: ProviderLost}
	other := next()
	notices <- Notice{Kind: AccountFault, State: api.NeedsConsent, Account: "other@x.example"}
	if second := next(); second.Replaces != first.ID || other.Replaces != 0 {
		t.Errorf("the second account replaces %d, want %d; the other replaces %d", second.Replaces, first.ID, other.Replaces)
	}
	service.Click(other)
	if n := <-clicked; n.Kind != ProviderLost {
		t.Errorf("clicked %v", n)
	}
	service.Click(first)
	if n := <-clicked; n.Account != "other@x.example" {
		t.Errorf("clicked %v", n)
	}
	service.Close(first)
	service.Click(first) // is off the screen
	service.Click(other)
	if n := <-clicked; n.Kind != ProviderLost {
		t.Errorf("clicked %v", n)
	}
	notices <- Notice{Kind: AccountFault}
	if third := next(); third.Replaces != 0 {
		t.Errorf("replaces %d, which is gone", third.Replaces)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(clicked) != 0 {
		t.Errorf("clicked %v", <-clicked)
	}
}

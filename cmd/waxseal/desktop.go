//go:build !nogui

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/ui/tray"
)

// desktop is the program that people double-click: the server and the icon in one process, and
// the window in another one that only exists while the window is open. This process does not use
// the window system, so trouble with that cannot hurt mail.
type desktop struct {
	path   string // of the configuration
	server *proxy.Server
	log    *slog.Logger
	window *window
	tray   *tray.Tray
	hidden bool // started at login: never open the window unasked

	revived bool // the previous instance died

	notices  chan tray.Notice
	approved chan string // accounts whose user has just approved
	working  sync.WaitGroup

	mu          sync.Mutex
	windowFault bool
	pausedUntil time.Time     // when pauseHour resumes; zero if it does not
	changed     chan struct{} // capacity 1
}

// hasDisplay reports whether a window could be opened.
func (m *Main) hasDisplay() bool {
	return runtime.GOOS == "windows" || runtime.GOOS == "darwin" || m.Getenv("DISPLAY") != "" || m.Getenv("WAYLAND_DISPLAY") != ""
}

// desktop runs the tray program, or `waxseal serve` if nobody could see that.
func (m *Main) desktop(ctx context.Context, hidden bool) error {
	if !m.hasDisplay() {
		fmt.Fprintln(m.Err, "waxseal: there is no display, so Waxseal runs as `waxseal serve`")
		return m.serve(ctx)
	}
	begun, err := m.tray(ctx, hidden)
	if err != nil && !begun && !hidden && !m.fromTerminal() {
		m.showFault(err)
	}
	return err
}

// tray runs the tray program. begun reports whether its icon appeared.
func (m *Main) tray(ctx context.Context, hidden bool) (begun bool, err error) {
	m.logBeside()
	path, cfg, err := m.load()
	if err != nil {
		return false, err
	}
	level := levelAt(cfg.LogLevel)
	log, closeLog, err := m.openLog(level)
	if err != nil {
		return false, err
	}
	defer closeLog()
	listener, err := control.Listen(ctx, path)
	var running *control.RunningError
	if errors.As(err, &running) && running.PID != 0 {
		return false, showRunning(ctx, path, hidden)
	}
	if err != nil {
		return false, err
	}
	defer listener.Close()
	defer m.reportCrashes(m.crashReport(path), log)()
	secrets, err := m.openKeystore(path, cfg, log, false)
	if err != nil {
		// The window can say so, and mail programs are told to try again later.
		log.Error("the keystore cannot be opened", "err", err)
		kind, _ := m.keystoreKind(cfg)
		secrets = keystore.Unavailable(kind, err, cureOf(err))
	}
	defer secrets.Close()
	o, err := m.options(path, cfg, secrets, log)
	if err != nil {
		return false, err
	}
	o.LogLevel, o.WaitForPort = level, true
	server, err := proxy.New(o)
	if err != nil {
		return false, err
	}
	d := newDesktop(path, server, log, hidden, m.windowArgs(path))
	if d.revived = m.flags.revived; d.revived {
		log.Error("the previous instance died; its window has started this one")
	} else {
		d.window.args = append(d.window.args, "--revive")
	}
	return d.run(ctx, work{server: server, listener: listener, log: log})
}

// demoDesktop is the demo with icon and window, in which the user takes the steps that are
// simulated otherwise.
func (m *Main) demoDesktop(ctx context.Context, d *demo, w work) error {
	fmt.Fprint(m.Out, demoText)
	w.ready = func(ctx context.Context) (bool, error) {
		d.report(ctx, 1)
		return false, nil
	}
	_, err := newDesktop(d.config, d.server, w.log, false, m.windowArgs(d.config)).run(ctx, w)
	return err
}

const demoText = `
Waxseal's icon is in the tray now, and its window is open. Try this:

  1. Enter ` + demoAddress + ` as the email address and sign in.
  2. Approve on the page of the built-in provider.
  3. Send the test message, or a message from your own mail program; the window
     shows the settings. It arrives here and goes no further.
     If the account also reads mail, messages to it are in its inbox.
  4. Close the window: Waxseal keeps sending. The icon opens the window again,
     and its menu quits Waxseal.

`

// showRunning is a second start: it brings the first one's window to the front.
func showRunning(ctx context.Context, path string, hidden bool) error {
	if hidden {
		return nil
	}
	client, err := control.Dial(ctx, path)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Show(ctx, "", "")
}

func newDesktop(path string, server *proxy.Server, log *slog.Logger, hidden bool, windowArgs []string) *desktop {
	d := &desktop{path: path, server: server, log: log, hidden: hidden,
		notices: make(chan tray.Notice, 8), approved: make(chan string, 4), changed: make(chan struct{}, 1)}
	server.OnApproved(func(address string) {
		select {
		case d.approved <- address:
		default: // several windows are on their way to the front
		}
	})
	d.window = &window{args: windowArgs, log: log, failed: d.windowFailed}
	return d
}

// run serves, and shows the tray until the server ends. The server listens before anything of the
// desktop is touched; if it cannot, begun is false.
func (d *desktop) run(ctx context.Context, w work) (begun bool, err error) {
	// The messages of systray go to the log.
	slog.SetDefault(d.log)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	working, leave := context.WithCancel(ctx)
	w.desktop = control.Desktop{Show: d.window.open, Quit: leave}
	if w.ready == nil {
		w.ready = func(context.Context) (bool, error) { return false, nil }
	}
	d.tray = tray.New(tray.Actions{Show: d.show, SendTest: func(a string) { d.sendTest(ctx, a) }, SetPaused: d.server.SetPaused, Quit: leave,
		PauseHour: func() { d.pauseHour(ctx) }, Unlock: func() { d.unlock(ctx) }, Retry: func() { d.server.RetryNow(ctx) }})

	ended := make(chan error, 1)
	go func() {
		err := w.run(working)
		cancel() // the tray goes once the last message is done
		ended <- err
	}()
	if err := tray.Speak(d.server.Language()); err != nil {
		d.log.Error("the texts could not be loaded", "err", err)
	}
	d.settle(ctx)
	if ctx.Err() != nil {
		return false, <-ended
	}
	d.working.Go(func() { d.follow(ctx) })
	d.working.Go(func() { d.notify(ctx) })
	d.working.Go(func() { d.begin(ctx) })
	if err = d.tray.Run(ctx); errors.Is(err, tray.ErrNotEnded) {
		d.log.Warn("Waxseal ends without waiting for its tray icon", "err", err)
		err = nil
	}
	leave()
	err = errors.Join(err, <-ended)
	d.window.close()
	d.working.Wait()
	return true, err
}

// settle waits until the server accepts mail, or says why it does not.
func (d *desktop) settle(ctx context.Context) {
	for s := range d.server.Watch(ctx, time.Millisecond) {
		if s.State != "starting" || s.PortTaken != nil {
			return
		}
	}
}

// begin opens the window, unless Waxseal was started at login.
func (d *desktop) begin(ctx context.Context) {
	first := true
	tray.WatchHost(ctx, func(present bool) {
		d.window.setTrayMissing(!present)
		if !first {
			return
		}
		first = false
		switch s := d.server.Snapshot(); {
		case d.hidden:
		case s.PortTaken != nil:
			d.show("settings", "")
		case len(s.Accounts) == 0:
			d.show("add", "")
		default:
			d.show("overview", "")
		}
		if d.revived {
			d.tell(tray.Notice{Kind: tray.Revived})
		}
		if !present {
			d.log.Warn("this desktop shows no tray icons; start Waxseal again to see its window")
		}
	})
}

// follow has the tray draw each change, and sends the notifications about it.
func (d *desktop) follow(ctx context.Context) {
	var told tray.Told
	show := func(s api.Snapshot) {
		if err := tray.Speak(d.server.Language()); err != nil {
			d.log.Error("the texts could not be loaded", "err", err)
		}
		d.mu.Lock()
		state := tray.State{Snapshot: s, WindowFailed: d.windowFault, PausedUntil: d.pausedUntil, Now: time.Now()}
		d.mu.Unlock()
		d.tray.Show(state)
		var notices []tray.Notice
		notices, told = told.Notices(state)
		for _, n := range notices {
			d.tell(n)
		}
	}
	snapshots := make(chan api.Snapshot)
	d.working.Go(func() {
		for s := range d.server.Watch(ctx, trayInterval) {
			select {
			case snapshots <- s:
			case <-ctx.Done():
				return
			}
		}
	})
	overdue := time.NewTicker(time.Minute) // trouble that lasts is told though nothing changes
	defer overdue.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-snapshots:
			show(s)
		case <-d.changed:
			show(d.server.Snapshot())
		case address := <-d.approved: // in the browser, behind which the window may be, if it is open at all
			d.show("signed-in", address)
		case <-overdue.C:
			show(d.server.Snapshot())
		}
	}
}

// trayInterval is the minimum time between two looks at the server.
const trayInterval = 250 * time.Millisecond

// tell sends a notification, if the user wants them. Notifications that come faster than they can
// be shown are dropped: the icon shows the same.
func (d *desktop) tell(n tray.Notice) {
	if !d.server.Notifications() {
		return
	}
	select {
	case d.notices <- n:
	default:
	}
}

func (d *desktop) notify(ctx context.Context) {
	err := tray.Notify(ctx, d.notices, func(n tray.Notice) { d.show(n.Page(), n.Account) })
	if err != nil {
		d.log.Warn("notifications are not available", "err", err)
	}
}

// change records something that only the desktop knows, and has it drawn.
func (d *desktop) change(note func()) {
	d.mu.Lock()
	note()
	d.mu.Unlock()
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

func (d *desktop) windowFailed(failed bool) { d.change(func() { d.windowFault = failed }) }

// pauseHour pauses, and resumes after an hour unless somebody does before.
func (d *desktop) pauseHour(ctx context.Context) {
	d.server.SetPaused(true)
	until := time.Now().Add(time.Hour)
	d.change(func() { d.pausedUntil = until })
	hour, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for s := range d.server.Watch(hour, trayInterval) {
		if s.State != api.Paused {
			break // by hand
		}
	}
	d.change(func() { d.pausedUntil = time.Time{} })
	if hour.Err() != nil && ctx.Err() == nil {
		d.server.SetPaused(false)
	}
}

// unlock has the keychain put up its prompt. While that is open, the menu says what is wrong.
func (d *desktop) unlock(ctx context.Context) {
	if err := d.server.UnlockKeystore(ctx); err != nil {
		d.log.Warn("the keychain is not unlocked", "err", err)
	}
}

// show brings the open window to the front with a page, or opens the window on that page.
func (d *desktop) show(page, account string) {
	ctx, cancel := context.WithTimeout(context.Background(), showPatience)
	defer cancel()
	client, err := control.Dial(ctx, d.path)
	if err == nil {
		defer client.Close()
		err = client.Show(ctx, page, account)
	}
	if err != nil {
		d.log.Error("the window could not be shown", "err", err)
	}
}

// showPatience limits a request to our own control socket.
const showPatience = 5 * time.Second

// sendTest sends a message from an account to itself.
func (d *desktop) sendTest(ctx context.Context, address string) {
	ctx, cancel := context.WithTimeout(ctx, testPatience)
	defer cancel()
	kind := tray.TestSent
	if err := d.server.SendTest(ctx, address, address, func(api.Check) {}); err != nil {
		d.log.Warn("the test message was not sent", "account", address, "err", err)
		kind = tray.TestFailed
	}
	if !d.server.Notifications() {
		d.show("activity", address)
		return
	}
	d.tell(tray.Notice{Kind: kind, Account: address, Provider: d.providerOf(address)})
}

// providerOf is the name of an account's provider.
func (d *desktop) providerOf(address string) string {
	for _, a := range d.server.Accounts() {
		if a.Address == address {
			return a.Name
		}
	}
	return ""
}

// testPatience limits a test message.
const testPatience = 2 * time.Minute

// program is the path of this program.
func program() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return path, nil
}

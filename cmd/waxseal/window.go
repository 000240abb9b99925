//go:build !nogui

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os/exec"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver"
	"fyne.io/fyne/v2/widget"
	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/assets"
	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/ui"
)

// hasWindow reports whether this build has a window.
const hasWindow = true

// windowFlags are the flags with which the tray's process starts the window's.
type windowFlags struct {
	page, account string
	trayMissing   bool
	revive        bool // start Waxseal again if it dies
}

// windowCommands are the commands that need a window.
func (m *Main) windowCommands() []*cobra.Command {
	var f windowFlags
	cmd := &cobra.Command{
		Use:    "window",
		Short:  "Show the window of the running instance, which starts this command when needed",
		Hidden: true,
		Args:   exactly(),
		RunE:   func(cmd *cobra.Command, _ []string) error { return m.window(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.page, "page", "", "`PAGE` to start with")
	cmd.Flags().StringVar(&f.account, "account", "", "`ADDRESS` that the page is about")
	cmd.Flags().BoolVar(&f.trayMissing, "tray-missing", false, "the desktop does not show the icon")
	cmd.Flags().BoolVar(&f.revive, "revive", false, "start Waxseal again if it dies")
	return []*cobra.Command{cmd}
}

// windowArgs are the global flags for the window's process, which may have to start this program
// again.
func (m *Main) windowArgs(path string) []string {
	args := []string{"--config", path}
	for _, f := range [][2]string{{"--keystore", m.flags.keystore}, {"--log-level", m.flags.logLevel}, {"--log-file", m.flags.logFile}} {
		if f[1] != "" {
			args = append(args, f[0], f[1])
		}
	}
	return args
}

// window is the window's process. It talks to the tray's process over the control socket, and
// ends with it.
func (m *Main) window(ctx context.Context, f windowFlags) error {
	client, err := m.running(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	settings, err := client.Settings(ctx)
	if err != nil {
		return err
	}
	died := func() {}
	if f.revive {
		died = m.revive
	}
	command, _, _, err := m.ownCommand()
	if err != nil {
		return err
	}
	a := newApp()
	failed := false
	a.Lifecycle().SetOnStarted(func() {
		if failed = !onScreen(a.Driver()); failed {
			a.Quit()
			return
		}
		beStill(a)
	})
	ui.Run(a, client, ui.Options{
		Version: versionText(), Waxseal: command, Language: settings.Language, Theme: settings.Theme, NoScheme: saysNoScheme(ctx),
		OpenURL: m.openBrowser, OpenFolder: openFolder,
		SaveReport: func(ctx context.Context, checks string) (string, error) { return m.saveReport(ctx, client, checks) },
		Autostart:  autostart, SetAutostart: setAutostart, Cure: cureOf, Restart: func() error { return m.startDesktop("restart", "--open") }, TrayMissing: f.trayMissing,
		Page: ui.Page{Name: f.page, Account: f.account}, Pages: pages(client, died),
	})
	if failed {
		return errors.New("the window could not be opened: this screen or its driver has no usable OpenGL")
	}
	return nil
}

// newApp is Fyne's application. It repeats what FyneApp.toml says, which only gets into the program
// if Fyne's tool builds it.
func newApp() fyne.App {
	app.SetMetadata(fyne.AppMetadata{
		ID: appID, Name: "Waxseal", Version: versionText(), Release: true,
		Icon: fyne.NewStaticResource("waxseal.png", assets.Icon), Migrations: map[string]bool{"fyneDo": true},
	})
	return app.NewWithID(appID)
}

// beStill keeps a running application's controls from moving by themselves. Before it runs, Fyne
// compares the application's settings with its own, to decide whether to follow the desktop.
func beStill(a fyne.App) {
	fyne.SetCurrentApp(still{a})
	for _, w := range a.Driver().AllWindows() { // a cursor may be blinking already
		focused := w.Canvas().Focused()
		w.Canvas().Unfocus()
		w.Canvas().Focus(focused)
	}
}

// still is an application whose controls do not move by themselves. A cursor that fades in and
// out has Fyne draw the whole window many times a second, which takes a fifth of a core where
// OpenGL draws in software.
type still struct{ fyne.App }

// Settings implements fyne.App.
func (s still) Settings() fyne.Settings { return stillSettings{s.App.Settings()} }

type stillSettings struct{ fyne.Settings }

// ShowAnimations implements fyne.Settings.
func (stillSettings) ShowAnimations() bool { return false }

// showFault shows why the program cannot start, and waits until the user has read it. A program
// that was started with a double click has nowhere else to say so.
func (m *Main) showFault(err error) {
	a := newApp()
	a.Lifecycle().SetOnStarted(func() {
		if !onScreen(a.Driver()) {
			a.Quit()
		}
	})
	w := a.NewWindow("Waxseal")
	title := widget.NewLabel("Waxseal cannot start")
	title.TextStyle.Bold = true
	text := widget.NewLabel(clean(err.Error()) + "\n\n" + clean(cureOf(err)))
	text.Wrapping = fyne.TextWrapWord
	w.SetContent(container.NewBorder(title, widget.NewButton("OK", a.Quit), nil, nil, text))
	w.Resize(fyne.NewSize(480, 240))
	w.ShowAndRun()
}

// onScreen reports whether the window is there. If the system has no usable OpenGL, Fyne says so in
// its log and goes on without a window.
func onScreen(d fyne.Driver) bool {
	there := false
	for _, w := range d.AllWindows() {
		native, ok := w.(driver.NativeWindow)
		if !ok {
			return true // nothing can be known
		}
		native.RunNative(func(context any) {
			switch c := context.(type) {
			case driver.X11WindowContext:
				there = there || c.WindowHandle != 0
			case driver.WaylandWindowContext:
				there = there || c.WaylandSurface != 0
			case driver.WindowsWindowContext:
				there = there || c.HWND != 0
			case driver.MacWindowContext:
				there = there || c.NSWindow != 0
			default:
				there = true
			}
		})
	}
	return there
}

// openFolder shows a folder in the system's file manager.
func openFolder(path string) error {
	if _, err := launch(systemOpener(path)); err != nil {
		return fmt.Errorf("open the folder %s: %w", path, err)
	}
	return nil
}

// revive starts Waxseal again after it has died, so that mail programs can go on sending. The new
// instance's window does not do so again: something that dies at once would be started for ever.
func (m *Main) revive() {
	if err := m.startDesktop("--revived"); err != nil {
		m.say("Waxseal could not be started again: %v", err)
	}
}

// startDesktop starts this program once more, with the same global flags, and does not wait for it.
func (m *Main) startDesktop(args ...string) error {
	path, err := m.configPath()
	if err != nil {
		return err
	}
	self, err := program()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, append(m.windowArgs(path), args...)...)
	hideConsole(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start Waxseal: %w", err)
	}
	return nil
}

// pages are the pages that the tray's process asks for. died is called if that has died.
func pages(client *control.Client, died func()) func(context.Context) iter.Seq2[ui.Page, error] {
	return func(ctx context.Context) iter.Seq2[ui.Page, error] {
		return func(yield func(ui.Page, error) bool) {
			for p, err := range client.Pages(ctx) {
				if errors.Is(err, control.ErrDied) {
					died()
				}
				if errors.Is(err, control.ErrNotRunning) {
					fyne.Do(fyne.CurrentApp().Quit) // the window ends with its program
				}
				if !yield(ui.Page{Name: p.Page, Account: p.Account}, err) {
					return
				}
			}
		}
	}
}

// openBrowser shows a page in the system's own browser. It does not wait for it.
func (m *Main) openBrowser(page string) error {
	_, err := m.startBrowser(page)
	return err
}

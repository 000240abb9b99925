//go:build !nogui

package main

import (
	"context"
	"errors"
	"iter"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"
	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/assets"
	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/ui"
)

// windowFlags are how the tray process starts the window's.
type windowFlags struct {
	page, account string
	trayMissing   bool
}

// windowCommands are the commands that need a window.
func (m *Main) windowCommands() []*cobra.Command {
	var f windowFlags
	cmd := &cobra.Command{
		Use:    "window",
		Short:  "Show the window of the running instance, which starts it as it is needed",
		Hidden: true,
		Args:   exactly(),
		RunE:   func(cmd *cobra.Command, _ []string) error { return m.window(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.page, "page", "", "`PAGE` to begin with")
	cmd.Flags().StringVar(&f.account, "account", "", "`ADDRESS` that the page is about")
	cmd.Flags().BoolVar(&f.trayMissing, "tray-missing", false, "no panel shows the icon")
	return []*cobra.Command{cmd}
}

// windowArgs are the global flags that the window's process has to have too.
func (m *Main) windowArgs(path string) []string { return []string{"--config", path} }

// window is the window's process. It talks to the tray's over the control
// socket, and ends with it.
func (m *Main) window(ctx context.Context, f windowFlags) error {
	path, err := m.configPath()
	if err != nil {
		return err
	}
	client, err := control.Dial(ctx, path)
	if err != nil {
		return err
	}
	defer client.Close()
	app.SetMetadata(fyne.AppMetadata{
		ID: appID, Name: "Waxseal", Version: versionText(), Release: true,
		Icon: fyne.NewStaticResource("waxseal.png", assets.Icon), Migrations: map[string]bool{"fyneDo": true},
	})
	ui.Run(app.NewWithID(appID), client, ui.Options{
		Version: versionText(), OpenURL: openBrowser, OpenFolder: openFolder,
		Autostart: autostart, SetAutostart: setAutostart, Cure: cureOf, TrayMissing: f.trayMissing,
		Page: ui.Page{Name: f.page, Account: f.account}, Pages: pages(client),
	})
	return nil
}

// pages are those that the tray's process asks for.
func pages(client *control.Client) func(context.Context) iter.Seq2[ui.Page, error] {
	return func(ctx context.Context) iter.Seq2[ui.Page, error] {
		return func(yield func(ui.Page, error) bool) {
			for p, err := range client.Pages(ctx) {
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

//go:build !nogui

package main

import (
	"context"
	"errors"
	"iter"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"
	"fyne.io/fyne/v2/widget"
	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/assets"
	"github.com/waxseal/waxseal/proxy/control"
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
	a := app.NewWithID(appID)
	w := a.NewWindow("Waxseal")
	w.SetContent(widget.NewLabel("page " + f.page))
	w.Show()
	go func() {
		for p, err := range client.Pages(ctx) {
			if errors.Is(err, control.ErrNotRunning) {
				fyne.Do(a.Quit)
				return
			}
			fyne.Do(func() { w.SetContent(widget.NewLabel("page " + p.Page)); w.RequestFocus() })
		}
	}()
	a.Run()
	return nil
}

var _ iter.Seq[context.Context]

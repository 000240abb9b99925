package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/control"
)

func (m *Main) restartCommand() *cobra.Command {
	var open bool
	cmd := &cobra.Command{
		Use:   "restart",
		Short: "Restart the running instance, as after an update",
		Long: `End the instance that runs with an icon and start this program in its place.
Messages in progress are finished first. What runs as ` + "`waxseal serve`" + ` belongs to
whoever started it, mostly systemd, and is restarted there.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return m.restart(ctx, open)
		},
	}
	cmd.Flags().BoolVar(&open, "open", false, "open the window afterwards")
	return cmd
}

func (m *Main) restart(ctx context.Context, open bool) error {
	path, err := m.configPath()
	if err != nil {
		return err
	}
	client, err := control.Dial(ctx, path)
	if err != nil {
		return err
	}
	defer client.Close()
	if !client.Desktop() {
		return withCure(fmt.Errorf("the running Waxseal, version %s, has no icon and cannot be restarted from here", client.Version()), restartService)
	}
	if !hasWindow {
		return withCure(errors.New("this build has no window and cannot take the place of one that has"), "quit Waxseal from its icon, and start the program with the window")
	}
	if err := m.end(ctx, client, path); err != nil {
		return err
	}
	args := []string{"--hidden"}
	if open {
		args = nil
	}
	if err := m.startDesktop(args...); err != nil {
		return err
	}
	m.say("restarted with version %s", versionText())
	return nil
}

const restartService = "restart its service (`systemctl --user restart waxseal`), or end it and run `waxseal serve` again"

// tellVersions says that the running instance is of another version than this program, as it is until
// the first restart after an update.
func (m *Main) tellVersions(client *control.Client) {
	if theirs := client.Version(); theirs != "" && theirs != versionText() {
		how := "`waxseal restart`"
		if !client.Desktop() {
			how = restartService
		}
		m.say("the running Waxseal is version %s, and this program is %s; to change to this one: %s", theirs, versionText(), how)
	}
}

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/control"
)

func (m *Main) quitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "quit",
		Short: "End the running instance",
		Long: `End the running instance, and wait until it has ended. It finishes the messages in
progress first, as with *Quit* in the icon's menu.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := m.configPath()
			if err != nil {
				return err
			}
			return m.withRunning(cmd, func(ctx context.Context, c *control.Client) error {
				if err := c.Quit(ctx); err != nil {
					return err
				}
				c.Close() // the instance waits for its clients
				if err := control.AwaitEnd(ctx, path); err != nil {
					return err
				}
				m.say("Waxseal has ended")
				return nil
			})
		},
	}
}

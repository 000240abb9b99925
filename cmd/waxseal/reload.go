package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/control"
)

func (m *Main) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Reload the configuration",
		Long: `Make the running instance read its configuration again, as SIGHUP does on systems
with signals. The command names changes that only take effect at the next start.
If the configuration has an error, the command says where, and the instance keeps
the configuration it had.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.withRunning(cmd, func(ctx context.Context, c *control.Client) error {
				notes, err := c.Reload(ctx)
				if err != nil {
					return err
				}
				m.say("reloaded the configuration")
				for _, n := range notes {
					m.say("%s", n)
				}
				return nil
			})
		},
	}
}

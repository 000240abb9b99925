package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/control"
)

func (m *Main) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have the running instance read its configuration again",
		Long: `Have the running instance read its configuration again, as SIGHUP does where
there are signals. What changes at the next start only is named. When the
configuration is wrong, it says where, and the instance goes on with what it had.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.withRunning(cmd, func(ctx context.Context, c *control.Client) error {
				notes, err := c.Reload(ctx)
				if err != nil {
					return err
				}
				m.say("the configuration was read again")
				for _, n := range notes {
					m.say("%s", n)
				}
				return nil
			})
		},
	}
}

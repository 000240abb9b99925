package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/control"
)

func (m *Main) quitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "quit",
		Short: "End the running instance",
		Long: `End the running instance, and wait until it has ended. It finishes the messages in
progress first, as with *Quit* in the icon's menu, for at most shutdown_timeout.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := m.configPath()
			if err != nil {
				return err
			}
			return m.withRunning(cmd, func(ctx context.Context, c *control.Client) error {
				if err := m.end(ctx, c, path); err != nil {
					return err
				}
				m.say("Waxseal has ended")
				return nil
			})
		},
	}
}

// endPatience is how long an instance may take to end, besides what it gives the messages in progress.
// Tests wait less.
var endPatience = time.Minute

// end ends the running instance, and waits until it has ended. It gives up when that should have
// happened long ago.
func (m *Main) end(ctx context.Context, c *control.Client, path string) error {
	cfg, err := config.Load(path)
	if err != nil {
		cfg = config.Default() // the instance reads no mistakes either
	}
	if err := c.Quit(ctx); err != nil {
		return err
	}
	c.Close() // the instance waits for its clients
	limit := time.Duration(cfg.ShutdownTimeout) + endPatience
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = control.AwaitEnd(waiting, path)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return withCure(fmt.Errorf("the running Waxseal (process %d) has not ended within %s", c.PID(), limit),
			"`waxseal logs` may say why; if it goes on, end its process")
	}
	return err
}

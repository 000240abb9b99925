package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/control"
)

func (m *Main) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run without a window",
		Long: `Run without a window until SIGINT or SIGTERM. Messages in progress are finished
first, for at most shutdown_timeout; a second signal stops Waxseal at once. With
drain_delay, SIGTERM first lets /readyz say no for that long, and a second signal
ends the delay. SIGHUP
or ` + "`waxseal reload`" + ` reloads the configuration.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return m.serve(cmd.Context()) },
	}
}

func (m *Main) serve(ctx context.Context) error {
	path, cfg, err := m.load()
	if err != nil {
		return err
	}
	level := levelAt(cfg.LogLevel)
	log, closeLog, err := m.openLog(level)
	if err != nil {
		return err
	}
	defer closeLog()
	listener, err := control.Listen(ctx, path)
	if err != nil {
		return err
	}
	defer listener.Close()
	defer m.reportCrashes(m.crashReport(path), log)()
	secrets, err := m.openKeystore(path, cfg, log, false)
	if err != nil {
		return err
	}
	defer secrets.Close()
	o, err := m.options(path, cfg, secrets, log)
	if err != nil {
		return err
	}
	o.LogLevel = level
	server, err := proxy.New(o)
	if err != nil {
		return err
	}
	return work{
		server: server, listener: listener, log: log,
		ready: func(context.Context) (bool, error) {
			m.say("accepting mail on %s", addresses(server.Snapshot()))
			return false, nil
		},
	}.run(ctx)
}

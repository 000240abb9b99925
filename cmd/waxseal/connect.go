package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/control"
)

// connection is a client of the running instance or, if there is none, of a server in this
// process that does not listen.
type connection struct {
	*control.Client
	running bool
	cfg     config.Config // of the server in this process
	close   []func()
}

// Close ends the server in this process, if there is one.
func (c *connection) Close() {
	for i := len(c.close) - 1; i >= 0; i-- {
		c.close[i]()
	}
}

// running connects to the running instance, and fails if there is none.
func (m *Main) running(ctx context.Context) (*control.Client, error) {
	path, err := m.configPath()
	if err != nil {
		return nil, err
	}
	return control.Dial(ctx, path)
}

// connect finds the server to ask about accounts. secrets is for commands that read or change
// secrets: if there is no instance, they keep all others out until they end.
func (m *Main) connect(ctx context.Context, secrets bool) (*connection, error) {
	client, err := m.running(ctx)
	if err == nil {
		return &connection{Client: client, running: true, close: []func(){client.Close}}, nil
	}
	if !errors.Is(err, control.ErrNotRunning) {
		return nil, err
	}
	c := &connection{}
	if err := m.connectHere(ctx, c, secrets); err != nil {
		c.Close()
		var running *control.RunningError
		if errors.As(err, &running) && running.PID != 0 { // it started a moment ago
			return m.connect(ctx, secrets)
		}
		return nil, err
	}
	return c, nil
}

// connected runs do with a connection, until it ends or Ctrl-C.
func (m *Main) connected(cmd *cobra.Command, secrets bool, do func(ctx context.Context, c *connection) error) error {
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	c, err := m.connect(ctx, secrets)
	if err != nil {
		return err
	}
	defer c.Close()
	if c.running {
		m.tellVersions(c.Client)
	}
	return do(ctx, c)
}

// withRunning is connected for what only a running instance can do.
func (m *Main) withRunning(cmd *cobra.Command, do func(ctx context.Context, c *control.Client) error) error {
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	c, err := m.running(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	m.tellVersions(c)
	return do(ctx, c)
}

// connectHere creates the server in this process.
func (m *Main) connectHere(ctx context.Context, c *connection, secrets bool) error {
	path, err := m.configPath()
	if err != nil {
		return err
	}
	log, closeLog, err := m.openLog(levelAt("warn"))
	if err != nil {
		return err
	}
	c.close = append(c.close, closeLog)
	if secrets {
		release, err := control.Hold(ctx, path)
		if err != nil {
			return err
		}
		c.close = append(c.close, release)
	}
	if c.cfg, err = config.Load(path); err != nil {
		return err
	}
	store := keystore.Memory() // enough to list accounts, unless they are in etcd
	if kind, err := m.keystoreKind(c.cfg); err != nil {
		return err
	} else if secrets || kind == keystore.EtcdKind {
		if store, err = m.lastingKeystore(path, c.cfg, log); err != nil {
			return err
		}
	}
	c.close = append(c.close, func() { store.Close() })
	o, err := m.options(path, c.cfg, store, log)
	if err != nil {
		return err
	}
	server, err := proxy.New(o)
	if err != nil {
		return err
	}
	c.close = append(c.close, func() { server.Shutdown(context.WithoutCancel(ctx)) })
	c.Client = control.Local(server)
	return nil
}

// lastingKeystore opens the keystore, unless it would be lost when this command ends.
func (m *Main) lastingKeystore(path string, cfg config.Config, log *slog.Logger) (*keystore.Store, error) {
	kind, err := m.keystoreKind(cfg)
	if err != nil {
		return nil, err
	}
	if kind == keystore.MemoryKind {
		return nil, withCure(errors.New("no Waxseal is running, and a keystore in memory would be lost when this command ends"),
			"start `waxseal serve` first, or choose another keystore with --keystore")
	}
	return m.openKeystore(path, cfg, log, true)
}

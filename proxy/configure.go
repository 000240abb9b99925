package proxy

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/machine"
)

// Settings returns the current settings.
func (s *Server) Settings() api.Settings {
	c := s.config()
	settings := api.Settings{
		Listen: slices.Clone(c.Listen), ListenTLS: slices.Clone(c.ListenTLS),
		ListenIMAP: slices.Clone(c.ListenIMAP), ListenIMAPTLS: slices.Clone(c.ListenIMAPTLS),
		ListenPOP: slices.Clone(c.ListenPOP), ListenPOPTLS: slices.Clone(c.ListenPOPTLS), AllowRemote: c.AllowRemote, Metrics: c.Metrics, Keystore: s.secrets.Kind(),
		HTTPProxy: c.HTTPProxy, LogLevel: c.LogLevel, LogFolder: logFolder(s.opts.LogFile), LogFile: s.opts.LogFile, Notifications: c.Notifications,
		History: c.History, Theme: c.Theme, Language: c.Language,
	}
	networks := machine.Networks()
	for _, n := range networks {
		settings.Networks = append(settings.Networks, n.String())
	}
	if ports := remotePorts(c.Listeners()); len(ports) > 0 && len(networks) > 0 {
		settings.Firewall = machine.FirewallRule(networks[0], ports)
	}
	return settings
}

// Language is the language of window, tray and notifications: "system", "en" or "de".
func (s *Server) Language() string { return s.config().Language }

// Notifications reports whether the desktop shows them. Unlike [Server.Settings], it and
// Language ask nobody else, so that the tray can ask at each change.
func (s *Server) Notifications() bool { return s.config().Notifications }

// remotePorts are the ports that other computers can connect to, each of them once.
func remotePorts(listeners []api.Listener) (ports []string) {
	for _, l := range listeners {
		host, port, err := net.SplitHostPort(l.Address)
		if err == nil && !api.IsLoopback(host) && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

// Configure changes settings at once, and in the configuration file, which keeps its
// comments and order. New addresses are opened before old ones are closed, and open
// connections continue. After an error everything is as it was before; if another program
// uses an address, the error is a *PortTakenError. The notes name the changes that take
// effect at the next start. Configure does not change the keystore and the log's folder.
func (s *Server) Configure(ctx context.Context, to api.SettingsChange) (notes []string, err error) {
	ctx, done := s.editing(ctx)
	defer done()
	if to.Keystore != nil && *to.Keystore != s.secrets.Kind() {
		return nil, &api.Problem{Lasting: true, What: api.Say("The keystore can’t be changed like a setting."), Cure: api.Say("Move the secrets to the other keystore.")}
	}
	was := s.config()
	changes := was.Changes(to)
	if len(changes) == 0 {
		return nil, nil
	}
	cfg := *was
	changes.Apply(&cfg)
	return s.change(ctx, cfg, func() error {
		if s.opts.ConfigPath == "" {
			return nil
		}
		return changes.Write(s.opts.ConfigPath)
	})
}

// Reload reads the configuration file again. Accounts, providers, limits and settings
// change at once, addresses as with Configure, and no connection is dropped. The keystore
// and idle_timeout change at the next start, which the returned notes say. If the file has
// mistakes or is missing, or an address cannot be listened on, everything stays as it was.
func (s *Server) Reload(ctx context.Context) (notes []string, err error) {
	if s.opts.ConfigPath == "" {
		return nil, &api.Problem{Lasting: true, What: api.Say("This Waxseal has no configuration file.")}
	}
	ctx, done := s.editing(ctx)
	defer done()
	cfg, err := config.Read(s.opts.ConfigPath)
	if err != nil {
		return nil, configMistakes(err)
	}
	if cfg, err = s.withShared(cfg); err != nil {
		return nil, err
	}
	was := s.config()
	s.clients.Forget() // a ca_file may have changed
	if notes, err = s.change(ctx, cfg, func() error { return nil }); err != nil {
		return nil, fmt.Errorf("the configuration was not changed: %w", err)
	}
	s.preload(ctx)
	if was.Keystore != cfg.Keystore {
		notes = append(notes, "keystore takes effect at the next start")
	}
	if was.IdleTimeout != cfg.IdleTimeout {
		notes = append(notes, "idle_timeout takes effect at the next start")
	}
	return notes, nil
}

// change puts a configuration into effect, including the addresses it listens on. It calls
// write once nothing else can fail. The caller holds s.edit.
func (s *Server) change(ctx context.Context, cfg config.Config, write func() error) (notes []string, err error) {
	if s.hall.Stopping() {
		return nil, errStopping
	}
	return s.put(ctx, cfg, write)
}

// put is change, even while the server stops; then it leaves the addresses alone.
func (s *Server) put(ctx context.Context, cfg config.Config, write func() error) (notes []string, err error) {
	boxes, err := s.plan(cfg)
	if err != nil {
		return nil, err
	}
	own, err := s.planCertificate(cfg)
	if err != nil {
		return nil, err
	}
	listening := &listenPlan{s: s}
	opens := (s.isOpen || s.portTaken.Load() != nil) && !s.hall.Stopping()
	if opens {
		if listening, err = s.planListening(cfg); err != nil {
			return nil, err
		}
	}
	if err := write(); err != nil {
		listening.undo()
		return nil, err
	}
	was := s.config()
	s.use(ctx, cfg, boxes)
	s.cert.own.Store(own)
	if !slices.Equal(cfg.ProxyProtocol.From, was.ProxyProtocol.From) {
		s.warnAboutBalancers()
	}
	if s.opts.LogLevel != nil && cfg.LogLevel != was.LogLevel {
		s.opts.LogLevel.UnmarshalText([]byte(cfg.LogLevel)) // plan has validated it
	}
	s.history.Keep(cfg.History)
	if cfg.HTTPProxy != was.HTTPProxy {
		s.outbound.Set(cfg.HTTPProxy)
		for _, b := range boxes {
			b.CloseIdle()
		}
	}
	if opens {
		err = listening.apply()
		select {
		case s.configured <- struct{}{}:
		default:
		}
	}
	return listening.notes, err
}

func logFolder(file string) string {
	if file == "" {
		return ""
	}
	return filepath.Dir(file)
}

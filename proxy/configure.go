package proxy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// Settings are the settings as they are.
func (s *Server) Settings() api.Settings {
	c := s.config()
	return api.Settings{
		Listen: slices.Clone(c.Listen), ListenTLS: slices.Clone(c.ListenTLS), Metrics: c.Metrics, Keystore: s.secrets.Kind(),
		HTTPProxy: c.HTTPProxy, LogLevel: c.LogLevel, LogFolder: logFolder(s.opts.LogFile), LogFile: s.opts.LogFile, Notifications: c.Notifications,
	}
}

// Configure changes the settings at once, and in the configuration file, where
// comments and order stay. New addresses are opened before old ones are closed,
// and open connections go on. On an error everything is as it was; an address
// that another program has is a *PortTakenError. The notes name what holds only
// from the next start on. The keystore and the log's folder are not changed here.
func (s *Server) Configure(ctx context.Context, to api.Settings) (notes []string, err error) {
	ctx, done := s.editing(ctx)
	defer done()
	if to.Keystore != "" && to.Keystore != s.secrets.Kind() {
		return nil, errors.New("another keystore is chosen by moving the secrets there")
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

// Reload reads the configuration file again. Accounts, providers, limits and
// settings change at once, addresses as Configure changes them, and no connection
// is dropped; the keystore and idle_timeout change at the next start, and the
// returned notes say so. When the file is bad or gone, or an address cannot be listened on,
// everything stays as it was.
func (s *Server) Reload(ctx context.Context) (notes []string, err error) {
	if s.opts.ConfigPath == "" {
		return nil, errors.New("this instance has no configuration file")
	}
	ctx, done := s.editing(ctx)
	defer done()
	cfg, err := config.Read(s.opts.ConfigPath)
	if err != nil {
		return nil, fmt.Errorf("the configuration stays as it was: %w", err)
	}
	was := s.config()
	s.clients.forget() // a ca_file may hold something new
	if notes, err = s.change(ctx, cfg, func() error { return nil }); err != nil {
		return nil, fmt.Errorf("the configuration stays as it was: %w", err)
	}
	s.preload(ctx, s.log)
	if was.Keystore != cfg.Keystore {
		notes = append(notes, "keystore changes at the next start")
	}
	if was.IdleTimeout != cfg.IdleTimeout {
		notes = append(notes, "idle_timeout changes at the next start")
	}
	return notes, nil
}

// change puts a configuration to work, with all that it listens on. write comes
// when nothing else can fail any more. The caller holds s.edit.
func (s *Server) change(ctx context.Context, cfg config.Config, write func() error) (notes []string, err error) {
	if s.stopping.Load() {
		return nil, errStopping
	}
	boxes, err := s.plan(cfg)
	if err != nil {
		return nil, err
	}
	o := &openings{s: s}
	opens := s.isOpen || s.portTaken.Load() != nil
	if opens {
		if o, err = s.open(cfg); err != nil {
			return nil, err
		}
	}
	if err := write(); err != nil {
		o.undo()
		return nil, err
	}
	was := s.config()
	s.use(ctx, cfg, boxes)
	if s.opts.LogLevel != nil && cfg.LogLevel != was.LogLevel {
		s.opts.LogLevel.UnmarshalText([]byte(cfg.LogLevel)) // it was validated
	}
	if cfg.HTTPProxy != was.HTTPProxy {
		s.outbound.set(cfg.HTTPProxy)
		for _, b := range boxes {
			b.hangUp()
		}
	}
	if opens {
		err = o.use()
		select {
		case s.configured <- struct{}{}:
		default:
		}
	}
	return o.notes, err
}

func logFolder(file string) string {
	if file == "" {
		return ""
	}
	return filepath.Dir(file)
}

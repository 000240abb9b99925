package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/config"
)

const etcdPasswordEnv = "WAXSEAL_ETCD_PASSWORD" // #nosec G101 -- a name

// etcdPatience is how long a start waits for the records in etcd. A server then goes on without them, and has
// mail programs try again later; a command fails.
const etcdPatience = 5 * time.Second

// openEtcd opens the records that several machines share. passing is for a command that ends soon.
func (m *Main) openEtcd(configPath string, cfg config.Config, passphrase string, log *slog.Logger, passing bool) (keystore.Backend, error) {
	cfg.Keystore = keystore.EtcdKind // it may have been chosen with a flag
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	instance, err := m.instance()
	if err != nil {
		return nil, err
	}
	engine, err := newEtcd(cfg.Etcd, m.etcdPassword)
	if err != nil {
		return nil, err
	}
	store := shared.Open(shared.Options{
		Engine: engine, Passphrase: passphrase, Instance: instance, Version: versionText(),
		Folder: filepath.Dir(configPath), Log: log, Passing: passing,
	})
	patience, cancel := context.WithTimeout(context.Background(), etcdPatience)
	defer cancel()
	select {
	case <-store.Loaded():
		return store.Secrets(), nil
	case <-store.Failed():
		err = store.Failure()
	case <-patience.Done():
		if !passing {
			return store.Secrets(), nil
		}
		if err = store.Err(); err == nil {
			err = keystore.Failed(keystore.EtcdKind, "load", "all records", fmt.Errorf("%w: they did not come within %v", keystore.ErrTimeout, etcdPatience))
		}
	}
	store.Close()
	return nil, err
}

package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/config"
)

// Environment variables that stand in for flags.
const (
	configEnv         = "WAXSEAL_CONFIG"
	keystoreEnv       = "WAXSEAL_KEYSTORE"
	keystoreFileEnv   = "WAXSEAL_KEYSTORE_FILE"
	passphraseEnv     = "WAXSEAL_KEYSTORE_PASSPHRASE"      // #nosec G101 -- a name
	passphraseFileEnv = "WAXSEAL_KEYSTORE_PASSPHRASE_FILE" // #nosec G101 -- a name
)

// keychainService is the name of Waxseal's secrets in the system's keychain.
const keychainService = "waxseal"

// configPath is the path of the configuration file, whether the file exists or not.
func (m *Main) configPath() (string, error) {
	if path := cmp.Or(m.flags.config, m.Getenv(configEnv)); path != "" {
		return filepath.Abs(path)
	}
	return defaultConfigPath()
}

// defaultConfigPath is the path of the configuration file that is used if none is named.
func defaultConfigPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", withCure(fmt.Errorf("find your configuration folder: %w", err), "name the configuration file with --config or "+configEnv)
	}
	return filepath.Join(dir, "waxseal", "config.toml"), nil
}

// load reads the configuration.
func (m *Main) load() (path string, cfg config.Config, err error) {
	if path, err = m.configPath(); err != nil {
		return path, cfg, err
	}
	cfg, err = config.Load(path)
	return path, cfg, err
}

// keystoreKind says where the secrets are: as the flag says, else the environment, else the
// configuration, else in the system's keychain.
func (m *Main) keystoreKind(cfg config.Config) (string, error) {
	kind := cmp.Or(m.flags.keystore, m.Getenv(keystoreEnv), cfg.Keystore, keystore.SystemKind)
	if _, ok := keystore.KindOf(kind); !ok {
		return "", &usageError{fmt.Errorf("%q is not a keystore; use %s", kind, keystore.Choice(false))}
	}
	return kind, nil
}

// openKeystore opens the keystore. It waits for nothing but the records in etcd: a keystore
// that cannot be read is reported when it is first needed. passing is for a command that
// ends soon.
func (m *Main) openKeystore(configPath string, cfg config.Config, log *slog.Logger, passing bool) (*keystore.Store, error) {
	kind, err := m.keystoreKind(cfg)
	if err != nil {
		return nil, err
	}
	return m.openKind(configPath, cfg, kind, log, passing)
}

// options are a server's options, with an open keystore.
func (m *Main) options(configPath string, cfg config.Config, secrets *keystore.Store, log *slog.Logger) (proxy.Options, error) {
	instance, err := m.instance()
	if err != nil {
		return proxy.Options{}, err
	}
	warnAbout(secrets, log)
	return proxy.Options{
		Config: cfg, ConfigPath: configPath, Secrets: secrets, Log: log, Version: versionText(), UpdateKey: updateKey, Instance: instance,
		OpenKeystore: func(kind string) (*keystore.Store, error) {
			store, err := m.openKind(configPath, cfg, kind, log, true)
			if err == nil {
				warnAbout(store, log)
			}
			return store, err
		},
		KeystoreFixed: cmp.Or(m.flags.keystore, m.Getenv(keystoreEnv)) != "",
		LogFile:       m.logFile(), LastCrash: lastCrash(m.crashReport(configPath)),
	}, nil
}

// warnAbout logs what is wrong with a keystore although it works.
func warnAbout(store *keystore.Store, log *slog.Logger) {
	if w := store.Warning(); w != "" {
		log.Warn("the keystore is not well protected", "why", w)
	}
}

func (m *Main) openKind(configPath string, cfg config.Config, kind string, log *slog.Logger, passing bool) (*keystore.Store, error) {
	place := keystore.Place{
		Service:        keychainService,
		Path:           cmp.Or(m.Getenv(keystoreFileEnv), filepath.Join(filepath.Dir(configPath), "secrets.age")),
		Passphrase:     m.passphrase,
		PassphraseFile: m.Getenv(passphraseFileEnv),
	}
	if hasEtcd {
		place.Etcd = func(passphrase string) (keystore.Backend, error) {
			return m.openEtcd(configPath, cfg, passphrase, log, passing)
		}
	}
	return keystore.Open(kind, place)
}

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy"
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
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", withCure(fmt.Errorf("find your configuration folder: %w", err), "name the configuration file with --config or "+configEnv)
	}
	return filepath.Join(dir, "waxseal", "config.toml"), nil
}

// load reads the configuration.
func (m *Main) load() (path string, cfg proxy.Config, err error) {
	if path, err = m.configPath(); err != nil {
		return path, cfg, err
	}
	cfg, err = proxy.LoadConfig(path)
	return path, cfg, err
}

// keystoreKind says where the secrets are: as the flag says, else the environment, else the
// configuration, else in the system's keychain.
func (m *Main) keystoreKind(cfg proxy.Config) (string, error) {
	kind := cmp.Or(m.flags.keystore, m.Getenv(keystoreEnv), cfg.Keystore, "system")
	switch kind {
	case "system", "file", "memory":
		return kind, nil
	}
	return "", &usageError{fmt.Errorf("%q is not a keystore; use system, file or memory", kind)}
}

// openKeystore opens the keystore. It waits for nothing: a keystore that cannot be read is
// reported when it is first needed.
func (m *Main) openKeystore(configPath string, cfg proxy.Config) (*keystore.Store, error) {
	kind, err := m.keystoreKind(cfg)
	if err != nil {
		return nil, err
	}
	return m.openKind(configPath, kind)
}

// options are a server's options, with an open keystore.
func (m *Main) options(configPath string, cfg proxy.Config, secrets *keystore.Store, log *slog.Logger) proxy.Options {
	return proxy.Options{
		Config: cfg, ConfigPath: configPath, Secrets: secrets, Log: log, Version: versionText(),
		OpenKeystore:  func(kind string) (*keystore.Store, error) { return m.openKind(configPath, kind) },
		KeystoreFixed: cmp.Or(m.flags.keystore, m.Getenv(keystoreEnv)) != "",
		LogFile:       m.logFile(), LastCrash: lastCrash(m.crashReport(configPath)),
	}
}

func (m *Main) openKind(configPath, kind string) (*keystore.Store, error) {
	switch kind {
	case "memory":
		return keystore.Memory(), nil
	case "system":
		return keystore.System(keychainService), nil
	}
	passphrase, err := m.readPassphrase()
	if err != nil {
		return nil, err
	}
	path := cmp.Or(m.Getenv(keystoreFileEnv), filepath.Join(filepath.Dir(configPath), "secrets.age"))
	store, err := keystore.File(path, passphrase)
	if err != nil {
		return nil, fmt.Errorf("keystore file %s: %w", path, err)
	}
	return store, nil
}

// readPassphrase reads the passphrase of the keystore file. The line end that editors add to a
// file is not part of it.
func (m *Main) readPassphrase() ([]byte, error) {
	passphrase := []byte(m.passphrase)
	if path := m.Getenv(passphraseFileEnv); len(passphrase) == 0 && path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, withCure(fmt.Errorf("read the keystore's passphrase: %w", err), "set "+passphraseFileEnv+" to a file that contains it")
		}
		passphrase = bytes.TrimRight(data, "\r\n")
	}
	if len(passphrase) == 0 {
		return nil, withCure(errors.New("the keystore file needs a passphrase, and none was given"),
			"set "+passphraseFileEnv+" to a file that contains it, or "+passphraseEnv+" to the passphrase itself")
	}
	return passphrase, nil
}

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
)

// configHead is the beginning of a file that Waxseal creates.
const configHead = `# Waxseal's configuration. "waxseal account" adds and removes accounts and keeps
# everything else that you write here. This file contains no secrets.

`

// editing is locked from reading the file until it has been written.
var editing sync.Mutex

// AddAccounts adds accounts to the configuration file, and the providers in own that the
// file does not have yet. Comments and order stay as they are. An account replaces the one
// with the same address; if both are equal, nothing changes. If the file does not exist,
// it is created, together with its folder. The result is validated first and put in place
// in one step, so after an error the file is unchanged.
func AddAccounts(path string, own []Provider, add []api.Account) error {
	return editConfig(path, func(text string, c Config) (string, Config) {
		var blocks []string
		c.Providers = slices.Clone(c.Providers)
		for _, p := range own {
			if !slices.ContainsFunc(c.Providers, func(q Provider) bool { return strings.EqualFold(q.ID, p.ID) }) {
				c.Providers = append(c.Providers, p)
				blocks = append(blocks, providerBlock(p))
			}
		}
		at := make(map[string]int, len(c.Accounts))
		for i, a := range c.Accounts {
			at[Fold(a.Address)] = i
		}
		replacements := map[int]string{}
		old := len(c.Accounts)
		c.Accounts = slices.Clone(c.Accounts)
		for _, a := range add {
			i, ok := at[Fold(a.Address)]
			switch {
			case !ok:
				at[Fold(a.Address)] = len(c.Accounts)
				c.Accounts = append(c.Accounts, a)
			case !c.Accounts[i].Equal(a):
				c.Accounts[i] = a
				if i < old {
					replacements[i] = accountBlock(a)
				}
			}
		}
		for _, a := range c.Accounts[old:] {
			blocks = append(blocks, accountBlock(a))
		}
		return appendBlocks(replaceAccounts(text, replacements), blocks), c
	}, true)
}

// RemoveAccount removes an account from the configuration file, as carefully as
// AddAccounts adds it. It also works if the file has wrong values, so that a bad account
// can be removed.
func RemoveAccount(path, address string) error {
	missing := false
	err := editConfig(path, func(text string, c Config) (string, Config) {
		i := slices.IndexFunc(c.Accounts, func(a api.Account) bool { return Fold(a.Address) == Fold(address) })
		if missing = i < 0; missing {
			return text, c
		}
		c.Accounts = slices.Delete(slices.Clone(c.Accounts), i, i+1)
		return replaceAccounts(text, map[int]string{i: ""}), c
	}, false)
	if err == nil && missing {
		return fmt.Errorf(`account %s is not in %s; "waxseal account list" shows the accounts`, address, path)
	}
	return err
}

// SetKeystore changes the file's keystore setting, as carefully as AddAccounts adds an
// account.
func SetKeystore(path, kind string) error {
	return editConfig(path, func(text string, c Config) (string, Config) {
		c.Keystore = kind
		return setKey(text, "keystore", quote(kind)), c
	}, false)
}

// MoveAccounts changes the file's keystore setting and, at the same time, takes all accounts and providers out of
// the file, or puts these in.
func MoveAccounts(path, kind string, own []Provider, accounts []api.Account) error {
	return editConfig(path, func(text string, c Config) (string, Config) {
		for table, n := range map[string]int{"account": len(c.Accounts), "provider": len(c.Providers)} {
			gone := make(map[int]string, n)
			for i := range n {
				gone[i] = ""
			}
			text = replaceTables(text, table, gone)
		}
		c.Keystore, c.Providers, c.Accounts = kind, own, accounts
		var blocks []string
		for _, p := range own {
			blocks = append(blocks, providerBlock(p))
		}
		for _, a := range accounts {
			blocks = append(blocks, accountBlock(a))
		}
		return appendBlocks(setKey(text, "keystore", quote(kind)), blocks), c
	}, true)
}

// byteOrderMark is what some Windows editors put before UTF-8.
const byteOrderMark = "\ufeff"

// editConfig reads the file, has change produce the new text and the configuration that
// the text must mean, and writes it. If the text means something else, because the file
// uses an unusual notation, the whole file is written from scratch; the old one, with its
// comments, is then kept beside it as a .bak file. A file in UTF-16 becomes one in UTF-8 with
// a byte order mark, which the same editors understand.
func editConfig(path string, change func(text string, c Config) (string, Config), validate bool) error {
	editing.Lock()
	defer editing.Unlock()
	raw, err := readConfigFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = []byte(configHead), nil
	}
	if err != nil {
		return err
	}
	before, err := safeio.Text(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	before = safeio.UnixLines(before)
	old, err := decodeConfig(path, []byte(before))
	if err != nil {
		return fmt.Errorf("correct the configuration file first:\n%w", err)
	}
	text, want := change(before, old)
	if sameConfig(old, want) && reflect.DeepEqual(old.Accounts, want.Accounts) {
		return nil
	}
	if validate {
		if err := want.Validate(); err != nil {
			return fmt.Errorf("configuration file %s was not changed: %w", path, err)
		}
	}
	keep := false
	if got, err := decodeConfig(path, []byte(text)); err != nil || !sameConfig(got, want) {
		if text, err = wholeConfig(path, want); err != nil {
			return err
		}
		keep = true
	}
	if strings.Contains(before, "\r\n") {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	}
	if before != string(raw) {
		text = byteOrderMark + text
	}
	return writeConfig(path, raw, []byte(text), keep)
}

// writeConfig puts the new text in place and, if keep is set, the old one beside it.
func writeConfig(path string, old, text []byte, keep bool) error {
	mode, err := safeio.Writable(path)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil && keep {
		err = safeio.Replace(path+".bak", old, mode)
	}
	if err == nil {
		err = safeio.Replace(path, text, mode)
	}
	if err != nil {
		return fmt.Errorf("configuration file %s cannot be written and was not changed; let this user write it and its folder, or choose another file with --config: %w", path, err)
	}
	return nil
}

// wholeConfig returns a configuration as text, and makes sure that the text means it.
func wholeConfig(path string, want Config) (string, error) {
	body, err := toml.Marshal(want)
	if err != nil {
		return "", fmt.Errorf("write configuration file %s: %w", path, err)
	}
	text := configHead + string(body)
	got, err := decodeConfig(path, []byte(text))
	if err != nil || !sameConfig(got, want) {
		return "", fmt.Errorf("configuration file %s cannot be edited by Waxseal; change its [[account]] tables by hand", path)
	}
	return text, nil
}

// sameConfig reports whether two configurations are equal. A list of accounts that is
// empty equals one that is missing.
func sameConfig(a, b Config) bool {
	x, errX := toml.Marshal(a)
	y, errY := toml.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y) && reflect.DeepEqual(a.Providers, b.Providers)
}

// Changes contains only the settings that differ from a configuration, so that
// whatever somebody has written into the file in the meantime stays.
type Changes []change

// change is a setting: its key in the file and its new value in TOML.
type change struct {
	key, value string
	apply      func(*Config)
}

// Changes returns the settings in to that differ from the configuration.
func (c Config) Changes(to api.SettingsChange) Changes {
	var all Changes
	list := func(to *[]string, key string, of func(*Config) *[]string) {
		if to != nil && !slices.Equal(*of(&c), *to) {
			all = append(all, change{key, quoteList(*to), func(c *Config) { *of(c) = slices.Clone(*to) }})
		}
	}
	word := func(to *string, key string, of func(*Config) *string) {
		if to != nil && *of(&c) != *to {
			all = append(all, change{key, quote(*to), func(c *Config) { *of(c) = *to }})
		}
	}
	list(to.Listen, "listen", func(c *Config) *[]string { return &c.Listen })
	list(to.ListenTLS, "listen_tls", func(c *Config) *[]string { return &c.ListenTLS })
	list(to.ListenIMAP, "listen_imap", func(c *Config) *[]string { return &c.ListenIMAP })
	list(to.ListenIMAPTLS, "listen_imap_tls", func(c *Config) *[]string { return &c.ListenIMAPTLS })
	list(to.ListenPOP, "listen_pop", func(c *Config) *[]string { return &c.ListenPOP })
	list(to.ListenPOPTLS, "listen_pop_tls", func(c *Config) *[]string { return &c.ListenPOPTLS })
	word(to.Metrics, "metrics", func(c *Config) *string { return &c.Metrics })
	word(to.LogLevel, "log_level", func(c *Config) *string { return &c.LogLevel })
	word(to.Theme, "theme", func(c *Config) *string { return &c.Theme })
	word(to.Language, "language", func(c *Config) *string { return &c.Language })
	word(to.HTTPProxy, "http_proxy", func(c *Config) *string { return &c.HTTPProxy })
	truth := func(to *bool, key string, of func(*Config) *bool) {
		if to != nil && *of(&c) != *to {
			all = append(all, change{key, fmt.Sprint(*to), func(c *Config) { *of(c) = *to }})
		}
	}
	truth(to.Notifications, "notifications", func(c *Config) *bool { return &c.Notifications })
	truth(to.History, "history", func(c *Config) *bool { return &c.History })
	truth(to.AllowRemote, "allow_remote", func(c *Config) *bool { return &c.AllowRemote })
	return all
}

// Apply makes the changes in c.
func (l Changes) Apply(c *Config) {
	for _, one := range l {
		one.apply(c)
	}
}

// Write makes the changes in the configuration file; see editConfig.
func (l Changes) Write(path string) error {
	return editConfig(path, func(text string, c Config) (string, Config) {
		l.Apply(&c)
		for _, one := range l {
			text = setKey(text, one.key, one.value)
		}
		return text, c
	}, true)
}

// RemoveLeftovers removes the temporary files beside the configuration file that a program
// left when it was killed while writing.
func RemoveLeftovers(path string) {
	editing.Lock()
	defer editing.Unlock()
	safeio.RemoveLeftovers(path)
	safeio.RemoveLeftovers(path + ".bak")
}

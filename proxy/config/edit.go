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

// configHead opens a file that Waxseal makes.
const configHead = `# Waxseal's configuration. Accounts are added and removed by "waxseal account";
# what you write here stays. There are no secrets in this file.

`

// editing is held from reading the file to having written it.
var editing sync.Mutex

// AddAccounts writes accounts into the configuration file, with the providers that
// they bring along. The text is edited, so that comments and order stay; an
// account whose address is there already takes the place of the old one, and one
// that is there just so changes nothing. A provider whose id is there already
// stays as it is. A missing file is made, with its folder. The result is
// validated first and put in place in one step: on an error the file is as it was.
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
		swaps := map[int]string{}
		old := len(c.Accounts)
		c.Accounts = slices.Clone(c.Accounts)
		for _, a := range add {
			i, ok := at[Fold(a.Address)]
			switch {
			case !ok:
				at[Fold(a.Address)] = len(c.Accounts)
				c.Accounts = append(c.Accounts, a)
			case c.Accounts[i] != a:
				c.Accounts[i] = a
				if i < old {
					swaps[i] = accountBlock(a)
				}
			}
		}
		for _, a := range c.Accounts[old:] {
			blocks = append(blocks, accountBlock(a))
		}
		return appendBlocks(swapBlocks(text, swaps), blocks), c
	}, true)
}

// RemoveAccount cuts an account out of the configuration file, as AddAccounts
// writes it in. It works on a file with wrong values too, so that a bad account
// can be removed.
func RemoveAccount(path, address string) error {
	missing := false
	err := editConfig(path, func(text string, c Config) (string, Config) {
		i := slices.IndexFunc(c.Accounts, func(a api.Account) bool { return Fold(a.Address) == Fold(address) })
		if missing = i < 0; missing {
			return text, c
		}
		c.Accounts = slices.Delete(slices.Clone(c.Accounts), i, i+1)
		return swapBlocks(text, map[int]string{i: ""}), c
	}, false)
	if err == nil && missing {
		return fmt.Errorf(`account %s is not in %s; "waxseal account list" shows those that are`, address, path)
	}
	return err
}

// SetKeystore writes into the configuration file where the secrets are, as
// AddAccounts writes an account.
func SetKeystore(path, kind string) error {
	return editConfig(path, func(text string, c Config) (string, Config) {
		c.Keystore = kind
		return setKey(text, "keystore", quote(kind)), c
	}, false)
}

// editConfig reads the file, lets change make the new text and what it must
// mean, and writes it. A text that does not mean that (a file with accounts in
// an unusual notation) is written anew as a whole; the old one, with its
// comments, is then kept beside it as a .bak file.
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
	data := bytes.TrimPrefix(raw, byteOrderMark)
	old, err := decodeConfig(path, data)
	if err != nil {
		return fmt.Errorf("correct the configuration file first:\n%w", err)
	}
	text, want := change(string(data), old)
	if sameConfig(old, want) && reflect.DeepEqual(old.Accounts, want.Accounts) {
		return nil
	}
	if validate {
		if err := want.Validate(); err != nil {
			return fmt.Errorf("configuration file %s is left as it was: %w", path, err)
		}
	}
	keep := false
	if got, err := decodeConfig(path, []byte(text)); err != nil || !sameConfig(got, want) {
		if text, err = wholeConfig(path, want); err != nil {
			return err
		}
		keep = true
	}
	if bytes.Contains(data, []byte("\r\n")) {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	}
	mark := raw[:len(raw)-len(data)]
	return writeConfig(path, raw, append(slices.Clone(mark), text...), keep)
}

// writeConfig puts the new text in place, and the old one beside it if asked.
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
		return fmt.Errorf("configuration file %s cannot be written and is left as it was; let this user write it and its folder, or name another one with --config: %w", path, err)
	}
	return nil
}

// wholeConfig writes a configuration from scratch, and makes sure of it.
func wholeConfig(path string, want Config) (string, error) {
	body, err := toml.Marshal(want)
	if err != nil {
		return "", fmt.Errorf("write configuration file %s: %w", path, err)
	}
	text := configHead + string(body)
	got, err := decodeConfig(path, []byte(text))
	if err != nil || !sameConfig(got, want) {
		return "", fmt.Errorf("configuration file %s cannot be edited; change its [[account]] tables by hand", path)
	}
	return text, nil
}

// sameConfig takes an empty list of accounts and none for the same.
func sameConfig(a, b Config) bool {
	x, errX := toml.Marshal(a)
	y, errY := toml.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y) && reflect.DeepEqual(a.Providers, b.Providers)
}

// Changes are the settings that differ from a configuration's. Those that do not
// are left alone, so that what somebody has written into the file meanwhile stays.
type Changes []change

// change is one setting: its key in the file and its new value as TOML.
type change struct {
	key, value string
	apply      func(*Config)
}

// Changes compares the configuration with the settings that it should have.
func (c Config) Changes(to api.Settings) Changes {
	var all Changes
	note := func(differs bool, key, value string, apply func(*Config)) {
		if differs {
			all = append(all, change{key, value, apply})
		}
	}
	note(!slices.Equal(c.Listen, to.Listen), "listen", quoteList(to.Listen), func(c *Config) { c.Listen = slices.Clone(to.Listen) })
	note(!slices.Equal(c.ListenTLS, to.ListenTLS), "listen_tls", quoteList(to.ListenTLS), func(c *Config) { c.ListenTLS = slices.Clone(to.ListenTLS) })
	note(c.Metrics != to.Metrics, "metrics", quote(to.Metrics), func(c *Config) { c.Metrics = to.Metrics })
	note(c.LogLevel != to.LogLevel, "log_level", quote(to.LogLevel), func(c *Config) { c.LogLevel = to.LogLevel })
	note(c.HTTPProxy != to.HTTPProxy, "http_proxy", quote(to.HTTPProxy), func(c *Config) { c.HTTPProxy = to.HTTPProxy })
	note(c.Notifications != to.Notifications, "notifications", fmt.Sprint(to.Notifications), func(c *Config) { c.Notifications = to.Notifications })
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

// RemoveLeftovers removes what a program that was killed while it wrote the
// configuration file left beside it.
func RemoveLeftovers(path string) {
	editing.Lock()
	defer editing.Unlock()
	safeio.RemoveLeftovers(path)
	safeio.RemoveLeftovers(path + ".bak")
}

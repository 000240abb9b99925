package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
)

// maxConfigSize is the largest file that is read, in bytes. 10,000 accounts take about
// 1 MB; a wrong path must not fill the memory.
const maxConfigSize = 4 << 20

// Load reads the file at path, fills in the defaults and validates it. If there is no such
// file, it returns the defaults, which is how a new machine starts. Unknown keys are
// errors. Every error names the file and, if known, line and column, and says what to do;
// several are joined, one per line.
func Load(path string) (Config, error) {
	c, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Default(), nil
	}
	return c, err
}

// Read is [Load] for a program that is already running: a missing file is an error
// (fs.ErrNotExist), not an order to forget every account.
func Read(path string) (Config, error) {
	raw, err := readConfigFile(path)
	if err != nil {
		return Config{}, err
	}
	text, err := safeio.Text(raw)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	data := []byte(safeio.UnixLines(text))
	c, err := decodeConfig(path, data)
	if err != nil {
		return Config{}, err
	}
	c = c.WithDefaults()
	for i, p := range c.Providers {
		if p.CAFile != "" && !filepath.IsAbs(p.CAFile) {
			c.Providers[i].CAFile = filepath.Join(filepath.Dir(path), p.CAFile)
		}
	}
	for _, file := range []*string{&c.TLS.Certificate, &c.TLS.Key, &c.Etcd.CAFile, &c.Etcd.CertFile, &c.Etcd.KeyFile} {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(filepath.Dir(path), *file)
		}
	}
	if found := c.problems(); len(found) > 0 {
		return Config{}, locate(path, data, found)
	}
	return c, nil
}

// readConfigFile returns the content of the file as it is, in whichever encoding.
func readConfigFile(path string) ([]byte, error) {
	f, err := safeio.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("configuration file %s does not exist; put it back, or choose another file with --config: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration file %s cannot be read; let this user read it, or choose another file with --config: %w", path, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("configuration file %s is a folder; choose a file, such as %s", path, filepath.Join(path, "config.toml"))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration file %s: %w", path, err)
	}
	if len(data) > maxConfigSize {
		return nil, fmt.Errorf("configuration file %s is larger than %d MiB; is it the right file?", path, maxConfigSize>>20)
	}
	return data, nil
}

// decodeConfig reads TOML strictly and fills in the defaults. The path is only for error
// messages. It does not check the values; see Config.problems.
func decodeConfig(path string, data []byte) (Config, error) {
	c := Default()
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&c)
	var unknown *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case err == nil:
		return c, nil
	case errors.As(err, &unknown):
		lines := make([]error, len(unknown.Errors))
		for i := range unknown.Errors {
			lines[i] = atPosition(path, &unknown.Errors[i], unknownKey(unknown.Errors[i].Key()))
		}
		return Config{}, errors.Join(shorten(lines)...)
	case errors.As(err, &wrong):
		return Config{}, atPosition(path, wrong, badValue(wrong))
	}
	return Config{}, fmt.Errorf("%s: %w", path, err)
}

// atPosition returns an error with a text and the place that go-toml found.
func atPosition(path string, e *toml.DecodeError, text string) error {
	line, column := e.Position()
	return fmt.Errorf("%s:%d:%d: %s", path, line, column, text)
}

// shorten keeps the errors of a wrong file from filling the screen.
func shorten(errs []error) []error {
	const most = 20
	if len(errs) <= most {
		return errs
	}
	more := fmt.Errorf("and %d more like these", len(errs)-most)
	return append(errs[:most:most], more)
}

// unknownKey describes a key that does not exist, and says what was probably meant.
func unknownKey(key toml.Key) string {
	table, name := "", key[len(key)-1]
	if len(key) > 1 {
		table = key[0]
	}
	text := fmt.Sprintf("unknown key %q", name)
	known := knownKeys(table)
	switch {
	case slices.Contains([]string{"client_secret", "refresh_token", "password", "smtp_password", "secret"}, name):
		return text + `; secrets do not belong in this file; use "waxseal account add" or "waxseal account import" instead`
	case table != "" && slices.Contains(knownKeys(""), name):
		header := "[[" + table + "]]"
		if table == "tls" || table == "etcd" || table == "proxy_protocol" {
			header = "[" + table + "]"
		}
		return fmt.Sprintf("%s in %s; move it above the first [[...]] of the file", text, header)
	case nearest(name, known) != "":
		return fmt.Sprintf("%s; did you mean %q?", text, nearest(name, known))
	case table == "" && slices.Contains(knownKeys("account"), name):
		return text + "; it belongs below an [[account]] line"
	case table == "" && slices.Contains(knownKeys("provider"), name):
		return text + "; it belongs below a [[provider]] line"
	}
	return fmt.Sprintf("%s; remove it. Known here: %s", text, strings.Join(known, ", "))
}

// badValue turns go-toml's message about Go types into one about the file.
func badValue(e *toml.DecodeError) string {
	text := strings.TrimPrefix(e.Error(), "toml: ")
	if strings.HasSuffix(text, "is already defined") {
		return text + "; remove one of the two"
	}
	key := e.Key()
	if len(key) == 0 {
		return "not valid TOML: " + text
	}
	if strings.HasPrefix(text, "cannot ") {
		return fmt.Sprintf("%q must be %s", strings.Join(key, "."), wanted(key))
	}
	return fmt.Sprintf("%q: %s", strings.Join(key, "."), text)
}

// wanted describes the kind of value that a known key has.
func wanted(key toml.Key) string {
	t := reflect.TypeFor[Config]()
	for _, name := range key {
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			break
		}
		f, ok := t.FieldByNameFunc(func(f string) bool {
			sf, _ := t.FieldByName(f)
			return strings.EqualFold(keyOf(sf), name)
		})
		if !ok {
			return "something else"
		}
		t = f.Type
	}
	switch {
	case t == reflect.TypeFor[Duration]():
		return `a length of time in quotes, like "5m"`
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return `a list of texts, like ["one", "two"]`
	case t.Kind() == reflect.Slice:
		return fmt.Sprintf("written as a table: a line [[%s]], and its keys below", key[0])
	case t.Kind() == reflect.Struct:
		return fmt.Sprintf("written as a table: a line [%s], and its keys below", key[0])
	case t.Kind() == reflect.Map:
		return `a table of texts, like { name = "value" }; each value is a text in quotes`
	}
	return "a text in quotes"
}

// knownKeys lists the keys of a table; "" is the top of the file.
func knownKeys(table string) []string {
	t := reflect.TypeFor[Config]()
	switch table {
	case "account":
		t = reflect.TypeFor[api.Account]()
	case "provider":
		t = reflect.TypeFor[Provider]()
	case "tls":
		t = reflect.TypeFor[TLS]()
	case "etcd":
		t = reflect.TypeFor[Etcd]()
	case "proxy_protocol":
		t = reflect.TypeFor[ProxyProtocol]()
	}
	var keys []string
	for f := range t.Fields() {
		keys = append(keys, keyOf(f))
	}
	return keys
}

func keyOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
	return name
}

package updates

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
)

// record is what is remembered between two starts.
type record struct {
	Next    time.Time `json:"next"` // when to ask again
	Version string    `json:"version,omitempty"`
	Page    string    `json:"page,omitempty"`
	Found   time.Time `json:"found,omitzero"`
}

// File is the file next to a configuration file; "" if that is "".
func File(config string) string {
	if config == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(config), "updates.json")
}

// Known is the release in a file of a [Checker] that is newer than a version, nil if there is none. It is
// for commands without a running instance.
func Known(file, than string) *api.Release {
	r, err := read(file)
	if err != nil {
		return nil
	}
	return r.newerThan(than)
}

func (r record) newerThan(than string) *api.Release {
	if !Newer(r.Version, than) {
		return nil
	}
	return &api.Release{Version: strings.TrimPrefix(r.Version, "v"), Page: r.Page, Found: r.Found}
}

func read(file string) (r record, err error) {
	if file == "" {
		return r, nil
	}
	data, err := safeio.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return record{}, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

func (r record) write(file string) error {
	if file == "" {
		return nil
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return safeio.Replace(file, append(data, '\n'), 0o600)
}

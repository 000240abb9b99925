package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// profileInUse reports whether Thunderbird runs with a profile: it then has parent.lock open and shares
// it with nobody.
func profileInUse(profile string) bool {
	f, err := os.OpenFile(filepath.Join(profile, "parent.lock"), os.O_RDWR, 0)
	if err == nil {
		f.Close()
	}
	return err != nil && !errors.Is(err, fs.ErrNotExist)
}

package keystore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// replace puts data in the place of the file at path, so that whoever reads it,
// also after a crash, finds all of the old bytes or all of the new ones. Only
// one caller at a time may replace a path: the temporary file's name is fixed,
// so that a crash leaves one at most, and the next write takes it away.
func replace(path string, data []byte) error {
	// Where path is a link, the file it leads to is the one to replace.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	temp := path + ".tmp"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeSynced(temp, data); err != nil {
		os.Remove(temp)
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncFolder makes a rename in a folder durable. Windows cannot sync a folder;
// NTFS journals the rename.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

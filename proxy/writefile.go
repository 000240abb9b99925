package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// replaceFile puts data at path in one step: whoever reads it, and whatever
// happens (kill -9, a full disk), finds the old text or the new one. The new
// file is written beside the old one and renamed over it, which replaces on
// Windows too. A symbolic link stays and its target is replaced.
func replaceFile(path string, data []byte, mode fs.FileMode) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Chmod(mode); err != nil && runtime.GOOS != "windows" {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = renameFile(f.Name(), path); err != nil {
		return err
	}
	syncFolder(filepath.Dir(path))
	return nil
}

// removeUnfinished removes the files that a replaceFile of path left when its
// program was killed. Nobody else may be writing there.
func removeUnfinished(path string) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	dir, base := filepath.Split(path)
	all, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return // there is no folder yet
	}
	for _, f := range all {
		end, ours := strings.CutPrefix(f.Name(), "."+base+".")
		// Digits as os.CreateTemp has them: an editor's .config.toml.swp stays.
		if ours && end != "" && strings.Trim(end, "0123456789") == "" && f.Type().IsRegular() {
			_ = os.Remove(filepath.Join(dir, f.Name()))
		}
	}
}

// syncFolder makes a rename outlast a power cut. Where folders cannot be synced
// (Windows, some network file systems) there is nothing better to do.
func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

// checkWritable says whether the owner wants the file left as it is: a rename
// would go over a read-only file without asking. The file's mode comes back,
// 0600 for one that is not there.
func checkWritable(path string) (fs.FileMode, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0o600, nil
	}
	if err != nil {
		return 0, err
	}
	if info.IsDir() {
		return 0, fmt.Errorf("%s is a folder", path)
	}
	if info.Mode().Perm()&0o200 == 0 { // root would get past OpenFile
		return 0, fmt.Errorf("%s is read-only: %w", path, fs.ErrPermission)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	return info.Mode().Perm(), f.Close()
}

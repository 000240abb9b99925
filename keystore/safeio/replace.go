// Package safeio reads and writes the program's own small files: the
// configuration, the keystore file, the local certificate.
//
// [Replace] puts a new file in place in one step and makes it last, so that a
// crash or a full disk leaves the old content or the new. On Windows, where no
// program can replace a file that another has open, [Replace] and [Open] wait
// for a moment until a virus scanner or an indexer lets go of it. [Text] decodes
// what editors and shells write as text.
package safeio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Replace puts data at path in one step: whoever reads it, and whatever happens
// (kill -9, a full disk), finds the old content or the new. The new file is
// written beside the old one and renamed over it. Where path is a symbolic link,
// the link stays and its target is replaced. A nil error means that the new
// content survives a power cut.
func Replace(path string, data []byte, mode fs.FileMode) (err error) {
	path = resolved(path)
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
	// The file begins as 0600. Where the mode cannot be changed (FAT, some network
	// shares, Windows), the file system's own rules apply, as they do to every
	// file there.
	keepOwner(f, path) // before the mode, from which a change of owner takes bits
	_ = f.Chmod(mode)
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// RemoveLeftovers removes the temporary files that a [Replace] of path left
// when its program was killed. Nobody else may be replacing path meanwhile.
func RemoveLeftovers(path string) {
	dir, base := filepath.Split(resolved(path))
	all, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return // there is no folder yet
	}
	for _, f := range all {
		end, ours := strings.CutPrefix(f.Name(), "."+base+".")
		// Only digits follow, as os.CreateTemp writes them: an editor's
		// .config.toml.swp stays.
		if ours && end != "" && strings.Trim(end, "0123456789") == "" && f.Type().IsRegular() {
			_ = os.Remove(filepath.Join(dir, f.Name()))
		}
	}
}

// Writable answers the mode of the file at path, 0600 when there is none, and
// an error when its owner wants it left as it is: renaming another file over a
// read-only one would succeed without asking.
func Writable(path string) (fs.FileMode, error) {
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
	if info.Mode().Perm()&0o200 == 0 { // root would get past the opening
		return 0, fmt.Errorf("%s is read-only: %w", path, fs.ErrPermission)
	}
	f, err := open(path, os.O_WRONLY)
	if err != nil {
		return 0, err
	}
	return info.Mode().Perm(), f.Close()
}

// Open opens a file for reading. On Windows it waits for up to two seconds while
// another program keeps the file to itself.
func Open(path string) (*os.File, error) { return open(path, os.O_RDONLY) }

// ReadFile is os.ReadFile with the patience of [Open].
func ReadFile(path string) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// resolved follows symbolic links, where path leads to a file.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return path
}

// syncFolder makes a rename in a folder survive a power cut. Windows cannot sync
// a folder, and NTFS journals the rename; some network file systems cannot
// either, and a folder that may be written but not listed cannot be opened.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer d.Close()
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

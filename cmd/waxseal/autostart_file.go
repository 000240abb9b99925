//go:build !windows

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// autostartFile is the file that the system reads at login.
func autostartFile() (path string, content func(program string) string, err error) {
	if runtime.GOOS == "darwin" {
		home, err := os.UserHomeDir()
		return filepath.Join(home, "Library", "LaunchAgents", appID+".plist"), launchAgent, err
	}
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "autostart", appID+".desktop"), autostartEntry, err
}

// autostart reports whether this program starts at login.
func autostart() (bool, error) {
	path, _, err := autostartFile()
	if err != nil {
		return false, fmt.Errorf("find the folder for programs that start at login: %w", err)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read whether Waxseal starts at login: %w", err)
	}
	return entryEnabled(string(data)), nil
}

// setAutostart turns on or off that this program starts at login, without a window.
func setAutostart(on bool) error {
	path, content, err := autostartFile()
	if err != nil {
		return fmt.Errorf("find the folder for programs that start at login: %w", err)
	}
	if !on {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("stop starting at login: %w", err)
		}
		return nil
	}
	program, err := os.Executable()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755) // #nosec G301 -- the desktop's folder, with its usual mode
	}
	if err == nil {
		err = os.WriteFile(path, []byte(content(program)), 0o644) // #nosec G306 -- a desktop file holds no secret
	}
	if err != nil {
		return fmt.Errorf("start at login: %w", err)
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows/registry"
)

// runKey holds what Windows starts at a user's login.
const runKey = `Software\Microsoft\Windows\CurrentVersion\Run`

// autostart tells whether this program starts at login.
func autostart() (bool, error) {
	key, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read what starts at login: %w", err)
	}
	defer key.Close()
	_, _, err = key.GetStringValue("Waxseal")
	if errors.Is(err, registry.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// setAutostart has this program start at login, without a window, or no longer.
func setAutostart(on bool) error {
	key, _, err := registry.CreateKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
	if err != nil {
		return fmt.Errorf("change what starts at login: %w", err)
	}
	defer key.Close()
	if !on {
		if err := key.DeleteValue("Waxseal"); err != nil && !errors.Is(err, registry.ErrNotExist) {
			return fmt.Errorf("stop starting at login: %w", err)
		}
		return nil
	}
	program, err := os.Executable()
	if err == nil {
		err = key.SetStringValue("Waxseal", runValue(program))
	}
	if err != nil {
		return fmt.Errorf("start at login: %w", err)
	}
	return nil
}

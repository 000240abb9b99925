package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows/registry"
)

// runKey lists the programs that Windows starts at a user's login.
const runKey = `Software\Microsoft\Windows\CurrentVersion\Run`

// autostart reports whether this program starts at login.
func autostart() (bool, error) {
	key, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read whether Waxseal starts at login: %w", err)
	}
	defer key.Close()
	_, _, err = key.GetStringValue("Waxseal")
	if errors.Is(err, registry.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// setAutostart turns on or off that this program starts at login, without a window.
func setAutostart(on bool) error {
	key, _, err := registry.CreateKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
	if err != nil {
		return fmt.Errorf("change whether Waxseal starts at login: %w", err)
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

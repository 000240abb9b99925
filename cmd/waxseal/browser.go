package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"runtime"
)

// openBrowser shows a page in the system's own browser (RFC 8252 section 8.12
// warns of any other). It does not wait for it.
func openBrowser(page string) error {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("that is no web page")
	}
	if err := open(u.String()); err != nil {
		return fmt.Errorf("open the browser: %w", err)
	}
	return nil
}

// openFolder shows a folder in the system's file manager.
func openFolder(path string) error {
	if err := open(path); err != nil {
		return fmt.Errorf("open the folder %s: %w", path, err)
	}
	return nil
}

// open has the system open a page or a folder. It does not wait for it.
func open(what string) error {
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "windows":
		cmd = exec.Command("rundll32", "url.dll,FileProtocolHandler", what)
	case "darwin":
		cmd = exec.Command("open", what)
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
			return errors.New("there is no display")
		}
		cmd = exec.Command("xdg-open", what)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release() // it ends by itself, or goes on with the browser
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// noBrowser says why no browser can be opened here; nil if one can.
func (m *Main) noBrowser() error {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		// It would open on a screen that the user is not at.
		if m.Getenv("SSH_CONNECTION") != "" {
			return errors.New("this is an ssh session, whose user does not see this computer's screen")
		}
		return nil
	}
	if m.Getenv("DISPLAY") == "" && m.Getenv("WAYLAND_DISPLAY") == "" {
		return errors.New("there is no display (DISPLAY is not set)")
	}
	if _, err := exec.LookPath("xdg-open"); err != nil {
		return errors.New("xdg-open is missing; install xdg-utils")
	}
	return nil
}

// startBrowser shows a page in the system's own browser (RFC 8252 section 8.12 warns of any other),
// and reports how the program that opens the browser ended: with an error if it found none. That
// program may run as long as the browser.
func (m *Main) startBrowser(page string) (ended <-chan error, err error) {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("this is not the address of a web page")
	}
	if err := m.noBrowser(); err != nil {
		return nil, err
	}
	if ended, err = open(u.String()); err != nil {
		return nil, fmt.Errorf("open the browser: %w", err)
	}
	return ended, nil
}

// open has the system open a page or a folder, without waiting for it. ended gets the result of the
// program that does so, and need not be read.
func open(what string) (ended <-chan error, err error) {
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "windows":
		cmd = exec.Command("rundll32", "url.dll,FileProtocolHandler", what)
	case "darwin":
		cmd = exec.Command("open", what)
	default:
		cmd = exec.Command("xdg-open", what)
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end := make(chan error, 1)
	go func() { // until that program ends, or ours does
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%s failed: %w", cmd.Args[0], err)
		}
		end <- err
	}()
	return end, nil
}

// clipboardPatience limits the wait for a clipboard tool.
const clipboardPatience = 2 * time.Second

// copyText puts a text that is not a secret into the clipboard, and reports whether one of the
// system's own tools did so.
func (m *Main) copyText(ctx context.Context, text string) bool {
	ctx, cancel := context.WithTimeout(ctx, clipboardPatience)
	defer cancel()
	for _, tool := range m.clipboards() {
		cmd := exec.CommandContext(ctx, tool[0], tool[1:]...)
		cmd.Stdin, cmd.WaitDelay = strings.NewReader(text), time.Second
		if cmd.Run() == nil {
			return true
		}
	}
	return false
}

// clipboards are the tools that might put something into the clipboard here.
func (m *Main) clipboards() (tools [][]string) {
	switch runtime.GOOS {
	case "windows":
		return [][]string{{"clip"}}
	case "darwin":
		return [][]string{{"pbcopy"}}
	}
	if m.Getenv("WAYLAND_DISPLAY") != "" {
		tools = append(tools, []string{"wl-copy"})
	}
	if m.Getenv("DISPLAY") != "" {
		tools = append(tools, []string{"xclip", "-selection", "clipboard"}, []string{"xsel", "--clipboard", "--input"})
	}
	return tools
}

// hostName is this computer's name, by which another one may know it.
func (m *Main) hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "THIS-COMPUTER"
	}
	return clean(name)
}

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

// noBrowser says why no browser can be opened here, nil where one can.
func (m *Main) noBrowser() error {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		// It would open on a screen that is elsewhere.
		if m.Getenv("SSH_CONNECTION") != "" {
			return errors.New("this session came over ssh, and its user does not see this computer's screen")
		}
		return nil
	}
	if m.Getenv("DISPLAY") == "" && m.Getenv("WAYLAND_DISPLAY") == "" {
		return errors.New("there is no display here to open a browser on")
	}
	if _, err := exec.LookPath("xdg-open"); err != nil {
		return errors.New("no browser can be opened here, since xdg-open (of xdg-utils) is missing")
	}
	return nil
}

// openBrowser shows a page in the system's own browser (RFC 8252 section 8.12
// warns of any other). It does not wait for it.
func (m *Main) openBrowser(page string) error {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("that is no web page")
	}
	if err := m.noBrowser(); err != nil {
		return err
	}
	if err := open(u.String()); err != nil {
		return fmt.Errorf("open the browser: %w", err)
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
		cmd = exec.Command("xdg-open", what)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release() // it ends by itself, or goes on with the browser
}

// clipboardPatience bounds the wait for a clipboard's tool.
const clipboardPatience = 2 * time.Second

// copyText puts a text that is no secret into the clipboard, and reports whether
// one of the system's own tools did.
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

// clipboards are the tools that may put something into the clipboard here.
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

// hostName names this computer as another one may know it.
func (m *Main) hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "THIS-COMPUTER"
	}
	return clean(name)
}

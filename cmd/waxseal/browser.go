package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// openers are the commands that may open a page here, the best first; or why there are none.
func (m *Main) openers(page string) (commands [][]string, err error) {
	switch runtime.GOOS {
	case "windows", "darwin":
		// It would open on a screen that the user is not at.
		if m.Getenv("SSH_CONNECTION") != "" {
			return nil, errors.New("this is an ssh session, whose user does not see this computer's screen")
		}
		return [][]string{systemOpener(page)}, nil
	}
	commands = browsersOf(m.Getenv("BROWSER"), page)
	hasDisplay := m.Getenv("DISPLAY") != "" || m.Getenv("WAYLAND_DISPLAY") != ""
	var system [][]string // only the first, because xdg-open has tried the others itself when it fails
	if hasDisplay {
		system = append(system, systemOpener(page), []string{"gio", "open", page}, []string{"x-www-browser", page})
	}
	if m.Getenv("WSL_DISTRO_NAME") != "" { // opens it in Windows
		system = append(system, []string{"wslview", page})
	}
	missing := func(command []string) bool {
		_, err := exec.LookPath(command[0])
		return err != nil
	}
	commands, system = slices.DeleteFunc(commands, missing), slices.DeleteFunc(system, missing)
	commands = append(commands, system[:min(len(system), 1)]...)
	switch {
	case len(commands) > 0:
		return commands, nil
	case !hasDisplay:
		return nil, errors.New("there is no display (DISPLAY is not set)")
	}
	return nil, errors.New("xdg-open is missing; install xdg-utils")
}

// browsersOf reads $BROWSER: commands with colons between them, in which %s stands for the page, which
// comes last otherwise (catb.org/~esr/BROWSER). Editors that run on another computer set it to a program
// that opens pages on the user's own screen.
func browsersOf(list, page string) (commands [][]string) {
	for _, one := range strings.Split(list, ":") {
		one = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(one), "&"))
		words := strings.Fields(one)
		if len(words) == 0 {
			continue
		}
		if _, err := exec.LookPath(one); err == nil { // spaces are part of its name
			words = []string{one}
		}
		if strings.Contains(one, "%s") {
			for i, w := range words {
				words[i] = strings.NewReplacer("%s", page, "%%", "%").Replace(strings.Trim(w, `"'`))
			}
		} else {
			words = append(words, page)
		}
		commands = append(commands, words)
	}
	return commands
}

// startBrowser shows a page in the system's own browser (RFC 8252 section 8.12 warns of any other),
// and reports how the program that opens the browser ended: with an error if none found one. That
// program may run as long as the browser.
func (m *Main) startBrowser(page string) (ended <-chan error, err error) {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("this is not the address of a web page")
	}
	openers, err := m.openers(u.String())
	if err != nil {
		return nil, err
	}
	if ended, err = launch(openers...); err != nil {
		return nil, fmt.Errorf("open the browser: %w", err)
	}
	return ended, nil
}

// systemOpener is the command by which the system opens a page or a folder.
func systemOpener(what string) []string {
	switch runtime.GOOS {
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler", what}
	case "darwin":
		return []string{"open", what}
	}
	return []string{"xdg-open", what}
}

// launch starts the first of the commands, and the next one when it fails at once. ended gets the
// result: nil, or the first error if all have failed. It need not be read.
func launch(commands ...[]string) (ended <-chan error, err error) {
	cmd, more := exec.Command(commands[0][0], commands[0][1:]...), commands[1:]
	began := time.Now()
	if err := cmd.Start(); err != nil {
		if len(more) > 0 {
			return launch(more...)
		}
		return nil, err
	}
	end := make(chan error, 1)
	go func() { // until that program ends, or ours does
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%s failed: %w", cmd.Args[0], err)
		}
		if err != nil && len(more) > 0 && time.Since(began) < browserPatience {
			if next, startErr := launch(more...); startErr == nil && <-next == nil {
				err = nil
			}
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

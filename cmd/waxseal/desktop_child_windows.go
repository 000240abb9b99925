//go:build !nogui

package main

import (
	"os/exec"
	"syscall"
)

// hideConsole keeps a console window from flashing up for a child process.
func hideConsole(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true} }

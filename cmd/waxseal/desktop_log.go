//go:build !nogui

package main

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"golang.org/x/term"
)

// maxLog is how large the log grows before the next start begins a new one. The
// one before is kept.
const maxLog = 5 << 20

// fromTerminal tells whether somebody reads standard error.
func (m *Main) fromTerminal() bool {
	f, ok := m.Err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// logBeside has a program that was started by a double click log into a file,
// unless a flag names one, and leave there what a crash would say.
func (m *Main) logBeside() {
	if m.flags.logFile == "" && !m.fromTerminal() {
		if dir := logDir(); dir != "" && os.MkdirAll(dir, 0o700) == nil {
			m.flags.logFile = filepath.Join(dir, "waxseal.log")
			if info, err := os.Stat(m.flags.logFile); err == nil && info.Size() > maxLog {
				os.Rename(m.flags.logFile, m.flags.logFile+".old")
			}
		}
	}
	if m.flags.logFile == "" {
		return
	}
	crash, err := os.OpenFile(m.flags.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		debug.SetCrashOutput(crash, debug.CrashOptions{})
		crash.Close() // a copy is held
	}
}

// logDir is where a user's logs are on this system; "" where that is not known.
func logDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	switch runtime.GOOS {
	case "darwin":
		return filepath.Join(home, "Library", "Logs", "Waxseal")
	case "windows":
		dir, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		return filepath.Join(dir, "Waxseal")
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "waxseal")
	}
	return filepath.Join(home, ".local", "state", "waxseal")
}

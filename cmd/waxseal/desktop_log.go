//go:build !nogui

package main

import (
	"os"
	"path/filepath"
)

// fromTerminal reports whether somebody reads standard error.
func (m *Main) fromTerminal() bool { return isTerminal(m.Err) }

// logBeside makes a program that was started with a double click log to the system's folder for
// logs, unless a flag names a file. If that folder cannot be created, the log goes to standard
// error.
func (m *Main) logBeside() {
	if m.flags.logFile != "" || m.fromTerminal() {
		return
	}
	if file, err := m.defaultLogFile(); err == nil && os.MkdirAll(filepath.Dir(file), 0o700) == nil {
		m.flags.logFile = file
	}
}

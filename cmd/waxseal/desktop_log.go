//go:build !nogui

package main

import (
	"os"
	"path/filepath"
)

// fromTerminal tells whether somebody reads standard error.
func (m *Main) fromTerminal() bool { return isTerminal(m.Err) }

// logBeside has a program that was started by a double click log into the folder
// that the system has for that, unless a flag names a file. Where there can be no
// such folder, standard error has to do.
func (m *Main) logBeside() {
	if m.flags.logFile != "" || m.fromTerminal() {
		return
	}
	if file, err := m.defaultLogFile(); err == nil && os.MkdirAll(filepath.Dir(file), 0o700) == nil {
		m.flags.logFile = file
	}
}

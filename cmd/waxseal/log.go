package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"gopkg.in/natefinch/lumberjack.v2"
)

// A log file is rotated at logMegabytes, and logFiles old ones are kept.
const (
	logMegabytes = 10
	logFiles     = 4
)

// openLog opens the log that the flags ask for. level applies if they do not name one, and can be
// changed later.
func (m *Main) openLog(level *slog.LevelVar) (log *slog.Logger, done func(), err error) {
	if m.flags.logLevel != "" {
		level.UnmarshalText([]byte(m.flags.logLevel)) // the flag allows four words only
	}
	var to io.Writer = m.Err
	done = func() {}
	if file := m.logFile(); file != "" {
		f, err := openLogFile(file)
		if err != nil {
			return nil, nil, withCure(fmt.Errorf("open the log: %w", err), "name another file with --log-file")
		}
		to, done = f, func() { f.Close() }
	}
	options := &slog.HandlerOptions{Level: level}
	if m.flags.logFormat == "json" {
		log = slog.New(slog.NewJSONHandler(to, options))
	} else {
		log = slog.New(slog.NewTextHandler(to, options))
	}
	if name := m.Getenv(instanceEnv); name != "" { // where the logs of several machines come together
		log = log.With("instance", name)
	}
	return log, done, nil
}

// openLogFile opens a log file with rotation. The rotation itself opens the file at the first
// line, which is too late to say that it cannot be opened.
func openLogFile(file string) (io.WriteCloser, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0) // /dev/stderr, a pipe: nothing to rotate
	}
	return &lumberjack.Logger{Filename: file, MaxSize: logMegabytes, MaxBackups: logFiles}, nil
}

// logFile is the absolute path of the log file; "" if the log goes to standard error.
func (m *Main) logFile() string {
	if m.flags.logFile == "" {
		return ""
	}
	return cmp.Or(absolute(m.flags.logFile), m.flags.logFile)
}

func absolute(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	return path
}

// defaultLogFile is the log of a program that was started without a terminal, in the system's
// folder for logs.
func (m *Main) defaultLogFile() (string, error) {
	switch runtime.GOOS {
	case "windows":
		if dir := m.Getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "waxseal", "waxseal.log"), nil
		}
		return "", errors.New("%LocalAppData% is not set")
	case "darwin":
		if home := m.Getenv("HOME"); home != "" {
			return filepath.Join(home, "Library", "Logs", "waxseal", "waxseal.log"), nil
		}
		return "", errors.New("$HOME is not set")
	}
	// XDG Base Directory Specification: a relative path must be ignored.
	if dir := m.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "waxseal", "waxseal.log"), nil
	}
	if home := m.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "waxseal", "waxseal.log"), nil
	}
	return "", errors.New("$HOME is not set")
}

// levelAt is the level with a name that was validated.
func levelAt(name string) *slog.LevelVar {
	var level slog.LevelVar
	level.UnmarshalText([]byte(name))
	return &level
}

package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
)

// crashReport is where a crash of the program would leave its goroutines' stacks:
// beside the log, or beside the configuration where the log is no file. Go prints
// where each was and no variable's content but the words of the panic, so it
// holds no secret.
func (m *Main) crashReport(configPath string) string {
	if file := m.logFile(); file != "" {
		return filepath.Join(filepath.Dir(file), "crash.txt")
	}
	return filepath.Join(filepath.Dir(configPath), "crash.txt")
}

// lastCrash is the report of a crash that nobody has taken away yet, "" for none.
func lastCrash(report string) string {
	for _, file := range []string{report, report + ".last"} {
		if info, err := os.Stat(file); err == nil && info.Size() > 0 {
			return file
		}
	}
	return ""
}

// reportCrashes has the Go runtime leave a report if the program crashes, and
// tells of the one that the last run left, which it keeps under another name:
// the one before that goes. done is for an end without a crash. Only the one
// instance of a configuration calls this.
func (m *Main) reportCrashes(report string, log *slog.Logger) (done func()) {
	if info, err := os.Stat(report); err == nil && info.Size() > 0 {
		kept := report + ".last"
		if err := os.Rename(report, kept); err != nil {
			kept = report
		}
		log.Error("the last run crashed", "report", kept, "time", info.ModTime())
		m.say("the last run crashed; its report, which holds no secret, is %s", kept)
	}
	f, err := os.OpenFile(report, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		defer f.Close() // the runtime has its own
		err = debug.SetCrashOutput(f, debug.CrashOptions{})
	}
	if err != nil {
		log.Warn("a crash would leave no report", "err", err)
		return func() {}
	}
	return func() {
		debug.SetCrashOutput(nil, debug.CrashOptions{})
		if info, err := os.Stat(report); err == nil && info.Size() == 0 {
			os.Remove(report)
		}
	}
}

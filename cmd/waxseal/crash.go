package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
)

// crashReport is the file in which a crash leaves the stacks of the goroutines: beside the log, or
// beside the configuration if the log is not a file. Go prints where each goroutine was and the
// text of the panic, but not the content of variables, so the report contains no secrets.
func (m *Main) crashReport(configPath string) string {
	if file := m.logFile(); file != "" {
		return filepath.Join(filepath.Dir(file), "crash.txt")
	}
	return filepath.Join(filepath.Dir(configPath), "crash.txt")
}

// lastCrash is the report of a crash that nobody has deleted yet; "" if there is none.
func lastCrash(report string) string {
	for _, file := range []string{report, report + ".last"} {
		if info, err := os.Stat(file); err == nil && info.Size() > 0 {
			return file
		}
	}
	return ""
}

// reportCrashes has the Go runtime leave a report if the program crashes. If the last run left
// one, it says so and keeps that report under another name, in place of an older one. done is for
// an end without a crash. Only the one instance of a configuration calls this.
func (m *Main) reportCrashes(report string, log *slog.Logger) (done func()) {
	if info, err := os.Stat(report); err == nil && info.Size() > 0 {
		kept := report + ".last"
		if err := os.Rename(report, kept); err != nil {
			kept = report
		}
		log.Error("the last run crashed", "report", kept, "time", info.ModTime())
		m.say("the last run crashed; the report is %s (it contains no secrets)", kept)
	}
	f, err := os.OpenFile(report, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		defer f.Close() // the runtime has its own copy
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

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/control"
)

// reportLines is how many lines of the log's end a report has.
const reportLines = 400

// saveReport writes a report for a bug: the versions, the checks, and the end of the log, none of
// which hold secrets. It is a file of this user alone in the home folder's Downloads or Documents,
// or else in the home folder.
func (m *Main) saveReport(ctx context.Context, client *control.Client, checks string) (string, error) {
	text := reportText(checks, m.logEnd(ctx, client), time.Now())
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find your home folder: %w", err)
	}
	dir := home
	for _, name := range []string{"Downloads", "Documents"} {
		if info, err := os.Stat(filepath.Join(home, name)); err == nil && info.IsDir() {
			dir = filepath.Join(home, name)
			break
		}
	}
	path := filepath.Join(dir, "waxseal-report-"+time.Now().Format("2006-01-02-150405")+".txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("save the report: %w", err)
	}
	_, _ = launch(systemOpener(dir)) // if that fails: the window says where the report is
	return path, nil
}

// logEnd is the end of the running instance's log, or why there is none.
func (m *Main) logEnd(ctx context.Context, client *control.Client) string {
	settings, err := client.Settings(ctx)
	if err != nil {
		return "(Waxseal does not say where its log is: " + err.Error() + ")\n"
	}
	file := settings.LogFile
	if file == "" {
		return "(Waxseal logs to no file)\n"
	}
	f, err := os.Open(file)
	if err != nil {
		return "(the log cannot be read: " + err.Error() + ")\n"
	}
	defer f.Close()
	lines, err := lastLines(f, reportLines)
	if err != nil {
		return "(the log cannot be read: " + err.Error() + ")\n"
	}
	return strings.Join(lines, "\n") + "\n"
}

// reportText puts a report together.
func reportText(checks, log string, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Waxseal %s, %s/%s, %s, %s\n\n", versionText(), runtime.GOOS, runtime.GOARCH, runtime.Version(), now.Format(time.RFC3339))
	b.WriteString("Checks\n------\n" + checks + "\nThe end of the log\n------------------\n")
	for line := range strings.Lines(log) {
		b.WriteString(clean(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}

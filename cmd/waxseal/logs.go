package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/control"
)

// followEvery is how often `waxseal logs --follow` looks for new lines.
const followEvery = 250 * time.Millisecond

func (m *Main) logsCommand() *cobra.Command {
	var follow bool
	lines := 50
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Show or follow the log",
		Long: `Show the end of the log file: the one named by --log-file, or the running
instance's, or the desktop program's. With --follow, new lines are shown as they
are written, until Ctrl-C. The log contains no secrets.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			file, err := m.findLog(ctx)
			if err != nil {
				return err
			}
			return m.showLog(ctx, file, lines, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "show new lines as they are written")
	cmd.Flags().IntVarP(&lines, "lines", "n", lines, "start with the last `N` lines")
	return cmd
}

// findLog finds the log file: the one of the flag, or the running instance's, or the desktop
// program's.
func (m *Main) findLog(ctx context.Context) (string, error) {
	if file := m.logFile(); file != "" {
		return file, nil
	}
	client, err := m.running(ctx)
	switch {
	case err == nil:
		defer client.Close()
		settings, err := client.Settings(ctx)
		if err != nil {
			return "", err
		}
		if settings.LogFile == "" {
			return "", withCure(errors.New("the running Waxseal logs to standard error"),
				"look where that goes (with systemd: `journalctl --user -u waxseal`), or start it with --log-file")
		}
		return settings.LogFile, nil
	case !errors.Is(err, control.ErrNotRunning):
		return "", err
	}
	return m.defaultLogFile()
}

// showLog prints the last lines and, with follow, new ones until ctx ends.
func (m *Main) showLog(ctx context.Context, file string, lines int, follow bool) error {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return withCure(fmt.Errorf("there is no log at %s", file), "name another file with --log-file")
	}
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer f.Close()
	last, err := lastLines(f, max(0, lines))
	if err != nil {
		return fmt.Errorf("read the log %s: %w", file, err)
	}
	for _, line := range last {
		fmt.Fprintln(m.Out, clean(line))
	}
	if !follow {
		return nil
	}
	return m.follow(ctx, f, file)
}

// follow prints new lines until ctx ends. It closes f and the files that come after it.
func (m *Main) follow(ctx context.Context, f *os.File, file string) error {
	defer func() { f.Close() }()
	read, half := bufio.NewReader(f), ""
	for {
		line, err := read.ReadString('\n')
		half += line
		switch {
		case err == nil:
			fmt.Fprintln(m.Out, clean(half[:len(half)-1]))
			half = ""
			continue
		case err != io.EOF:
			return fmt.Errorf("read the log %s: %w", file, err)
		}
		// The end of the file. If it was rotated, another file has its name.
		if next := rotated(f, file); next != nil {
			rest, _ := io.ReadAll(read) // written just before
			for line := range strings.Lines(half + string(rest)) {
				fmt.Fprintln(m.Out, clean(strings.TrimSuffix(line, "\n")))
			}
			f.Close()
			f, half = next, ""
			read.Reset(f)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

// rotated opens the file that has taken f's name, and returns nil if f still has it.
func rotated(f *os.File, file string) *os.File {
	was, err := f.Stat()
	if err != nil {
		return nil
	}
	now, err := os.Stat(file)
	if err != nil || os.SameFile(was, now) {
		return nil
	}
	next, err := os.Open(file)
	if err != nil {
		return nil // the next look may find it
	}
	return next
}

// lastLines reads to the end and returns the last n lines.
func lastLines(r io.Reader, n int) ([]string, error) {
	var lines []string
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if lines = append(lines, s.Text()); len(lines)/2 > n+500 {
			lines = append(lines[:0], lines[len(lines)-n:]...)
		}
	}
	return lines[max(0, len(lines)-n):], s.Err()
}

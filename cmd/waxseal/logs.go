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
		Short: "Show the log file, and follow it",
		Long: `Show the end of the log file: the one that the running instance writes, or that
of --log-file, or the one that the program with an icon writes. With --follow new
lines are shown as they come, until Ctrl-C. The log holds no secret.`,
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
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "show new lines as they come")
	cmd.Flags().IntVarP(&lines, "lines", "n", lines, "show the last `N` lines first")
	return cmd
}

// findLog finds the file: the running instance knows, else it is where the
// program with an icon would have it.
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
			return "", withCure(errors.New("the running Waxseal logs to its standard error"),
				"look where that goes (`journalctl --user -u waxseal` under systemd), or start it with --log-file")
		}
		return settings.LogFile, nil
	case !errors.Is(err, control.ErrNotRunning):
		return "", err
	}
	return m.defaultLogFile()
}

// showLog prints the last lines and, where asked, those that come, until ctx ends.
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

// follow prints the lines that come, until ctx ends. It closes f and those after it.
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
		// At its end: another file has its name when it was rotated.
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

// rotated opens the file that has taken f's name and place, nil where f still has it.
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
		return nil // looked for again
	}
	return next
}

// lastLines reads to the end and gives the last n whole lines.
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

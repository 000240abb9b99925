package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/control"
)

func (m *Main) statusCommand() *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the running instance's status",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.withRunning(cmd, func(ctx context.Context, c *control.Client) error {
				if watch {
					return m.watch(ctx, c, asJSON)
				}
				snap, err := c.Status(ctx)
				switch {
				case err != nil:
					return err
				case asJSON:
					return m.printJSON(snap)
				}
				printStatus(m.Out, snap, time.Now())
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&watch, "watch", false, "show each change until Ctrl-C; with --json, one object per line")
	return cmd
}

// watch shows the status at each change: in place on a terminal, one after the other elsewhere.
// Older Windows consoles cannot clear the screen.
func (m *Main) watch(ctx context.Context, c *control.Client, asJSON bool) error {
	inPlace := isTerminal(m.Out) && runtime.GOOS != "windows"
	for snap, err := range c.Watch(ctx) {
		if err != nil {
			return err
		}
		if asJSON {
			if err := json.NewEncoder(m.Out).Encode(snap); err != nil {
				return err
			}
			continue
		}
		var page strings.Builder
		if inPlace {
			page.WriteString("\x1b[H\x1b[2J")
		}
		printStatus(&page, snap, time.Now())
		if !inPlace {
			page.WriteString("\n")
		}
		if _, err := io.WriteString(m.Out, page.String()); err != nil {
			return err
		}
	}
	return nil
}

func printStatus(w io.Writer, s api.Snapshot, now time.Time) {
	rows := [][]string{
		{"waxseal", fmt.Sprintf("%s, version %s, process %d, for %s", s.State, s.Version, s.PID, rough(now.Sub(s.Started)))},
		{"mail programs", addresses(s)},
	}
	if s.Instance != "" {
		rows = append(rows, []string{"instance", s.Instance})
	}
	if s.Update != nil {
		rows = append(rows, []string{"update", updateText(s.Update)})
	}
	if s.Metrics != "" {
		rows = append(rows, []string{"metrics", "http://" + s.Metrics + "/metrics"})
	}
	rows = append(rows,
		[]string{"keystore", keystoreText(s.Keystore)},
		[]string{"connections", fmt.Sprintf("%d (%d refused over a limit, %d failed logins)", s.Programs(), s.Refused, s.AuthFailures)},
		[]string{"messages", messagesText(s)},
		[]string{"to providers", fmt.Sprintf("%d idle, %d in use, %d connecting", s.Upstream.Warm, s.Upstream.Busy, s.Upstream.Dialling)},
	)
	for _, r := range s.Reading {
		rows = append(rows, []string{"reading: " + string(r.Protocol), fmt.Sprintf("%d sessions, %d spare, %d logins; %s down, %s up",
			r.Sessions, r.Spares, r.Logins, megabytes(r.Down), megabytes(r.Up))})
	}
	if s.Fleet != nil && s.Fleet.Problem != nil {
		rows = append(rows, []string{"etcd", s.Fleet.Problem.Sentences()})
	}
	table(w, rows)
	if s.Fleet != nil {
		fmt.Fprintln(w)
		table(w, machineRows(s.Fleet, now))
	}
	if len(s.Accounts) > 0 {
		fmt.Fprintln(w)
		table(w, accountRows(s.Accounts))
	}
	if rows := limitRows(s.Accounts); len(rows) > 1 {
		fmt.Fprintln(w)
		table(w, rows)
	}
	rows = [][]string{{"PROVIDER SERVER", "STATE", "RETRY IN", "LAST ERROR"}}
	for _, b := range s.Breakers {
		retry := "-"
		if b.State == api.Open {
			retry = fmt.Sprintf("%d s", b.RetryIn)
		}
		rows = append(rows, []string{b.Name, breakerName(b.State), retry, b.Cause})
	}
	if len(s.Breakers) > 0 {
		fmt.Fprintln(w)
		table(w, rows)
	}
}

// machineRows are the machines that share the accounts.
func machineRows(f *api.Fleet, now time.Time) [][]string {
	rows := [][]string{{"MACHINE", "STATE", "VERSION", "RUNNING FOR"}}
	for _, m := range f.Machines {
		state := "alive"
		switch {
		case m.Name == f.Instance:
			state = "this one"
		case m.Gone:
			state = "not heard of"
		}
		rows = append(rows, []string{m.Name, state, m.Version, rough(now.Sub(m.Started))})
	}
	return rows
}

// limitRows is the table of the providers' sending limits, as far as something of them is used.
func limitRows(accounts []api.AccountStatus) [][]string {
	names := map[api.LimitKind]string{api.MessagesPerMinute: "messages per minute", api.MessagesPerDay: "messages in 24 hours", api.RecipientsPerDay: "recipients in 24 hours"}
	rows := [][]string{{"ACCOUNT", "SENDING LIMIT", "USED", "WAITING", "CAN SEND AGAIN"}}
	for _, a := range accounts {
		for _, u := range a.Limits {
			if u.Used == 0 {
				continue
			}
			waiting, until := "-", "-"
			if u.Kind == api.MessagesPerMinute {
				waiting = fmt.Sprint(a.Upstream.Waiting)
			}
			if !u.Until.IsZero() {
				until = u.Until.Local().Format("2006-01-02 15:04")
			}
			rows = append(rows, []string{a.Address, cmp.Or(names[u.Kind], string(u.Kind)), fmt.Sprintf("%d of %d", u.Used, u.Limit), waiting, until})
		}
	}
	return rows
}

// megabytes is a number of bytes in a unit that fits.
func megabytes(n int64) string {
	if n < 1_000_000 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// breakerName is a breaker's state as the window names it.
func breakerName(s api.BreakerState) string {
	switch s {
	case api.HalfOpen:
		return "testing"
	case api.Open:
		return "unreachable"
	}
	return "OK"
}

func keystoreText(k api.KeystoreStatus) string {
	if k.Problem == nil {
		return k.Kind
	}
	return k.Kind + ": " + k.Problem.Error()
}

// messagesText counts the messages by their result.
func messagesText(s api.Snapshot) string {
	text := fmt.Sprintf("%d in progress", s.Messages)
	for _, r := range api.Results {
		if n := s.Totals[r]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, r)
		}
	}
	return text
}

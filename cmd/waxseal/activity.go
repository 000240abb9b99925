package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
)

func (m *Main) activityCommand() *cobra.Command {
	var asCSV, asJSON, failures bool
	lines := 50
	cmd := &cobra.Command{
		Use:   "activity",
		Short: "List recent messages, reading sessions and failed logins",
		Long: `List recent messages, sessions of programs that read mail, and failed logins, the
newest last: those of the running instance or, if there is none, those that the
last one has kept. The list has neither the content of messages nor their
recipients. --csv and --json print all of them, at most a thousand.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asCSV && asJSON {
				return &usageError{errors.New("use --csv or --json, not both")}
			}
			return m.connected(cmd, false, func(ctx context.Context, c *connection) error {
				list, err := c.Activity(ctx, 0)
				if err != nil {
					return err
				}
				if failures {
					list = slices.DeleteFunc(list, func(a api.Activity) bool { return !a.Failed() })
				}
				switch {
				case asCSV:
					return api.WriteCSV(m.Out, list)
				case asJSON:
					return m.printJSON(list)
				case len(list) == 0:
					m.say("nothing has happened yet")
					return nil
				}
				table(m.Out, activityRows(list[max(0, len(list)-max(0, lines)):]))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print comma-separated values, for a spreadsheet")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&failures, "failures", false, "list only what failed")
	cmd.Flags().IntVarP(&lines, "lines", "n", lines, "list the last `N`")
	return cmd
}

func activityRows(list []api.Activity) [][]string {
	rows := [][]string{{"TIME", "ACCOUNT", "WHAT", "RECIPIENTS", "FROM", "DETAIL"}}
	for _, a := range list {
		recipients, from := fmt.Sprint(a.Recipients), "-"
		what := strings.ToLower(a.Label().String())
		if a.Kind == api.Login {
			recipients, from = "-", a.Client
		}
		if a.Kind == api.Reading {
			recipients = "-"
		}
		if a.Spoke().Reads() {
			what += " (" + string(a.Protocol) + ")"
		}
		if a.Times > 1 {
			what += fmt.Sprintf(" (%d times)", a.Times)
		}
		detail := a.Reply
		if a.Own && a.Problem != nil {
			detail = a.Problem.Error()
		}
		if a.Kind == api.Reading {
			detail = sessionText(a)
		}
		account := a.Account
		if account == "" {
			account = "-"
		}
		rows = append(rows, []string{a.Time.Local().Format(time.DateTime), account, what, recipients, from, detail})
	}
	return rows
}

// sessionText is how a session of reading ended, and the provider's last words.
func sessionText(a api.Activity) string {
	text := fmt.Sprintf("%s after %s, %s down, %s up", a.Ended.Label(), rough(a.Took), megabytes(a.Down), megabytes(a.Up))
	if a.Reply != "" {
		text += ": " + a.Reply
	}
	return strings.ToLower(text[:1]) + text[1:]
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
)

func (m *Main) accountCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "account",
		Short: "Add, list, import and remove accounts, and show their passwords",
		Long: `You can change accounts while Waxseal runs. Changes take effect at once, and no
connection is dropped.`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &usageError{errors.New("`waxseal account` needs a command: add, list, import, protocols, reauthorize, remove or password")}
		},
	}
	cmd.AddCommand(m.accountAddCommand(), m.accountReauthorizeCommand(), m.accountProtocolsCommand(), m.accountListCommand(), m.accountImportCommand(), m.accountRemoveCommand(), m.accountPasswordCommand())
	return cmd
}

func (m *Main) accountListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the accounts and their state",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.connected(cmd, false, func(ctx context.Context, c *connection) error {
				accounts, err := c.Accounts(ctx)
				switch {
				case err != nil:
					return err
				case asJSON:
					return m.printJSON(accounts)
				case len(accounts) == 0:
					m.say("there are no accounts yet; `waxseal account add ADDRESS` adds one")
					return nil
				case !c.running:
					m.say("Waxseal is not running, so the state of the accounts is unknown")
				}
				table(m.Out, accountRows(accounts))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// accountRows is the table of accounts, with a column about reading if some account reads.
func accountRows(accounts []api.AccountStatus) [][]string {
	reads := slices.ContainsFunc(accounts, api.AccountStatus.Reads)
	head := []string{"ACCOUNT", "PROVIDER", "STATE", "CONNECTIONS", "SENT", "FAILED"}
	if reads {
		head = append(head, "READING")
	}
	rows := [][]string{append(head, "DETAIL")}
	for _, a := range accounts {
		row := []string{a.Address, a.Provider, string(a.State),
			fmt.Sprint(a.Connections), fmt.Sprint(a.Sent), fmt.Sprint(a.Failed)}
		if reads {
			row = append(row, readingText(a))
		}
		rows = append(rows, append(row, trouble(a)))
	}
	return rows
}

// trouble is what is wrong with an account and what to do; "" where all is well. The
// state beside it is the identifier that --json has, for scripts.
func trouble(a api.AccountStatus) string {
	if a.Severity() < api.Passing {
		return ""
	}
	state, _, _ := a.Overall()
	return state.Label().String() + ": " + a.Trouble().Error()
}

func (m *Main) accountRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ADDRESS",
		Short: "Remove an account and revoke its access at the provider",
		Args:  exactlyAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				note, err := c.Remove(ctx, args[0])
				if err != nil {
					return err
				}
				if note != "" {
					m.say("%s", note)
				}
				m.say("removed %s", args[0])
				return nil
			})
		},
	}
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
)

func (m *Main) doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Diagnose problems and suggest fixes",
		Long: `Check the keystore, the ports, the network and each account's token and login, for
sending and for reading, and say how to fix what fails. The output contains no secrets and is useful in a
bug report.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				checks, show := m.collect(asJSON)
				failed, err := c.Doctor(ctx, show)
				if err != nil {
					return err
				}
				if asJSON {
					if err := m.printJSON(*checks); err != nil {
						return err
					}
				}
				if failed > 0 {
					m.say("%d of %d checks failed", failed, len(*checks))
					return errTold
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (m *Main) sendTestCommand() *cobra.Command {
	var asJSON bool
	var to string
	cmd := &cobra.Command{
		Use:   "send-test ADDRESS",
		Short: "Send a test message and time each stage",
		Args:  exactlyAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				to = args[0]
			} else if err := checkAddress(to); err != nil {
				return &usageError{fmt.Errorf("--to: %w", err)}
			}
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				checks, show := m.collect(asJSON)
				err := c.SendTest(ctx, args[0], to, show)
				if asJSON {
					if jerr := m.printJSON(*checks); jerr != nil {
						return jerr
					}
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the `RECIPIENT` (default: the account itself)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (m *Main) readTestCommand() *cobra.Command {
	var asJSON, pop bool
	cmd := &cobra.Command{
		Use:   "read-test ADDRESS",
		Short: "Log in for reading and time each stage",
		Long: `Log in at the provider as a mail program that reads would, list the folders (IMAP)
or count the messages (POP), and time each stage. No message is read or changed.`,
		Args: exactlyAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			protocol := api.IMAP
			if pop {
				protocol = api.POP
			}
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				checks, show := m.collect(asJSON)
				err := c.ReadTest(ctx, args[0], protocol, show)
				if asJSON {
					if jerr := m.printJSON(*checks); jerr != nil {
						return jerr
					}
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&pop, "pop", false, "with POP instead of IMAP")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// collect keeps all checks, and prints each one as it ends unless JSON is wanted.
func (m *Main) collect(asJSON bool) (all *[]api.Check, show func(api.Check)) {
	all = &[]api.Check{}
	return all, func(c api.Check) {
		*all = append(*all, c)
		if !asJSON {
			m.printCheck(c)
		}
	}
}

// printCheck prints a check on one line, and the fix on the next.
func (m *Main) printCheck(c api.Check) {
	mark := "ok  "
	if !c.OK {
		mark = "FAIL"
	}
	fmt.Fprintln(m.Out, clean(fmt.Sprintf("%s  %8s  %s", mark, c.Took.Round(100*time.Microsecond), c.Line())))
	if c.Problem == nil {
		return
	}
	if cure := c.Problem.Remedy(); cure != "" {
		fmt.Fprintln(m.Out, clean("                -> "+cure))
	}
}

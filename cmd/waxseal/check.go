package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy"
)

func (m *Main) doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that must work, each with its cure",
		Long: `Look at the keystore, the ports, the network and each account's token and login.
What it prints holds no secret and is useful in a bug report.`,
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
		Use:   "send-test ADDRESS --to RECIPIENT",
		Short: "Send one message from an account, each stage named and timed",
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
	cmd.Flags().StringVar(&to, "to", "", "the `RECIPIENT`; the account itself when left out")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// collect keeps checks, and prints each as it comes unless JSON is wanted.
func (m *Main) collect(asJSON bool) (all *[]proxy.Check, show func(proxy.Check)) {
	all = &[]proxy.Check{}
	return all, func(c proxy.Check) {
		*all = append(*all, c)
		if !asJSON {
			m.printCheck(c)
		}
	}
}

// printCheck prints a check on a line, and what to do on the next.
func (m *Main) printCheck(c proxy.Check) {
	mark := "ok  "
	if !c.OK {
		mark = "FAIL"
	}
	fmt.Fprintln(m.Out, clean(fmt.Sprintf("%s  %8s  %s: %s", mark, c.Took.Round(100*time.Microsecond), c.Name, c.Result)))
	if c.Cure != "" {
		fmt.Fprintln(m.Out, clean("                -> "+c.Cure))
	}
}

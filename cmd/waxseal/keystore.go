package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/keystore"
)

func (m *Main) keystoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keystore",
		Short: "Choose where tokens and passwords are kept",
		Args:  noSuchCommand,
		RunE: func(*cobra.Command, []string) error {
			return &usageError{fmt.Errorf("`waxseal keystore` needs a command; it is move")}
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "move " + strings.Join(keystore.Names(true), "|"),
		Short: "Move all tokens and passwords into another keystore",
		Long: `Move all tokens and passwords into the system's keychain or into the encrypted
file, which takes its passphrase from ` + passphraseEnv + ` or
` + passphraseFileEnv + ` (of the running instance, if there is one).
Each is read back and compared before the configuration names the new keystore
and the old copies are deleted. When it fails or is interrupted nothing is lost,
and the same command finishes the work.`,
		Args: exactly(keystore.Choice(true)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(keystore.Names(true), args[0]) {
				return &usageError{fmt.Errorf("secrets can be moved to %s, not to %q", keystore.Choice(true), args[0])}
			}
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				moved, err := c.MoveSecrets(ctx, args[0])
				if err != nil {
					return err
				}
				m.say("secrets moved: %d; they are in the %s keystore now", moved, args[0])
				return nil
			})
		},
	})
	return cmd
}

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
			return &usageError{fmt.Errorf("`waxseal keystore` needs a command: move")}
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "move " + strings.Join(keystore.Names(true), "|"),
		Short: "Move all tokens and passwords to another keystore",
		Long: `Move all tokens and passwords to the system's keychain, to the encrypted file
or to etcd, which several machines can share (docs/scaling.md).
The passphrase of the file and of etcd comes from ` + passphraseEnv + `
or ` + passphraseFileEnv + ` (of the running instance, if there is one).
Each secret is read back and compared before the configuration names the new
keystore and the old copies are deleted. If the move fails or is interrupted,
nothing is lost; run the same command again to finish it.
To etcd and back, accounts and providers move too. Stop Waxseal first, and on
the way back on all other machines as well; [etcd] in the configuration says
where etcd is.`,
		Args: exactly(keystore.Choice(true)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(keystore.Names(true), args[0]) {
				return &usageError{fmt.Errorf("secrets cannot be moved to %q; choose %s", args[0], keystore.Choice(true))}
			}
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				moved, err := c.MoveSecrets(ctx, args[0])
				if err != nil {
					return err
				}
				m.say("moved %d secrets to the %s keystore", moved, args[0])
				return nil
			})
		},
	})
	return cmd
}

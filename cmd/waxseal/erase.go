package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/keystore"
)

// eraseCommand is what the Windows uninstaller runs if the user wants everything to go. The
// uninstaller then deletes the folders.
func (m *Main) eraseCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:    "erase --yes",
		Hidden: true,
		Short:  "Remove all accounts and secrets of this user",
		Long: `Remove all accounts, give their consents back to the providers, and delete every
secret of Waxseal from the keychain. On Windows this includes those that no
account uses any more. Uninstallers run it.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return &usageError{errors.New("`waxseal erase` deletes all accounts; add --yes if you want that")}
			}
			err := m.connected(cmd, true, m.removeAll)
			return errors.Join(err, keystore.Clear(keychainService))
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really delete everything")
	return cmd
}

// removeAll removes all accounts. One that cannot be removed does not keep the others.
func (m *Main) removeAll(ctx context.Context, c *connection) error {
	accounts, err := c.Accounts(ctx)
	for _, a := range accounts {
		note, removeErr := c.Remove(ctx, a.Address)
		if note != "" {
			m.say("%s", note)
		}
		err = errors.Join(err, removeErr)
	}
	return err
}

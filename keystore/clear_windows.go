package keystore

import (
	"errors"
	"fmt"

	"github.com/danieljoos/wincred"
)

// Clear deletes all of a service's items from Windows' Credential Manager, those
// included that no account uses any more.
func Clear(service string) error {
	found, err := wincred.FilteredList(service + ":*") // go-keyring puts the colon there
	if errors.Is(err, wincred.ErrElementNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the secrets in the Credential Manager: %w", err)
	}
	for _, c := range found {
		if deleteErr := (&wincred.GenericCredential{Credential: *c}).Delete(); deleteErr != nil {
			err = errors.Join(err, fmt.Errorf("delete a secret from the Credential Manager: %w", deleteErr))
		}
	}
	return err
}

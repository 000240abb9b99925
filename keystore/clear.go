package keystore

import (
	"fmt"
	"runtime"

	"github.com/zalando/go-keyring"
)

// Clear deletes all items of a service from Windows' Credential Manager, those
// included that no account uses any more. Other keychains cannot list items without
// a prompt; there it does nothing.
func Clear(service string) error {
	if runtime.GOOS != "windows" {
		return nil
	}
	if err := keyring.DeleteAll(service); err != nil {
		return fmt.Errorf("delete the secrets from the Credential Manager: %w", err)
	}
	return nil
}

package keystore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
)

const credentialService = "waxseal-test-credentials"

var credentialSizes = []int{100, 2400, 2401, 2560, 4096, 8192}

func credentialKey(size int) string { return fmt.Sprintf("refresh/%d@example.org", size) }

func init() { helpers["credentials"] = readCredentials }

// The real Credential Manager, used by two processes one after the other. (There
// is no such test for macOS's Keychain: it would ask the person at the machine.)
func TestCredentialManager(t *testing.T) {
	s := System(credentialService)
	for _, n := range credentialSizes {
		if err := s.Set(t.Context(), credentialKey(n), noise(n)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := helper(t, "credentials")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("another process: %v", err)
	}
	for _, n := range credentialSizes {
		if err := s.Delete(t.Context(), credentialKey(n)); err != nil {
			t.Error(err)
		}
		if _, err := s.Get(t.Context(), credentialKey(n)); !errors.Is(err, ErrNotFound) {
			t.Errorf("%d bytes, deleted: %v", n, err)
		}
	}
}

func readCredentials() error {
	s := System(credentialService)
	for _, n := range credentialSizes {
		if got, err := s.Get(context.Background(), credentialKey(n)); err != nil || got != noise(n) {
			return fmt.Errorf("%d bytes: got %d, %w", n, len(got), err)
		}
	}
	return nil
}

package keystore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// Clear deletes what no account uses any more, and leaves other programs' secrets alone.
func TestClear(t *testing.T) {
	ours, other := System(credentialService+"-clear"), System(credentialService)
	const key = "client/left"
	for _, s := range []*Store{ours, other} {
		if err := s.Set(t.Context(), key, noise(4096)); err != nil {
			t.Fatal(err)
		}
	}
	defer other.Delete(context.Background(), key)
	err := Clear(credentialService + "-clear")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("this wine has no services, which it asks for a list; TestWindowsSetup runs this test where it has them")
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Errorf("after Clear: %v", err)
	}
	if _, err := other.Get(t.Context(), key); err != nil {
		t.Errorf("another service's secret: %v", err)
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

package keystore

import (
	"errors"
	"fmt"
	"testing"
)

// The real Credential Manager. (macOS's Keychain has no such test: it would
// ask the person at the machine.)
func TestCredentialManager(t *testing.T) {
	service := fmt.Sprintf("waxseal-test-%p", t)
	for _, n := range []int{100, 2400, 2401, 2560, 4096, 8192} {
		key := fmt.Sprintf("refresh/%d@example.org", n)
		if err := System(service).Set(t.Context(), key, noise(n)); err != nil {
			t.Fatal(err)
		}
		again := System(service)
		if got, err := again.Get(t.Context(), key); err != nil || got != noise(n) {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
		if err := again.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		if _, err := again.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("%d bytes, deleted: %v", n, err)
		}
	}
}

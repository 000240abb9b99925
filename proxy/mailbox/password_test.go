package mailbox

import (
	"sync"
	"testing"

	"github.com/waxseal/waxseal/keystore"
)

// TestNewPasswordWins over one that is being loaded at the same moment.
func TestNewPasswordWins(t *testing.T) {
	secrets := keystore.Memory()
	password := Password{once: make(chan struct{}, 1)}
	for range 1000 {
		password.sum.Store(nil)
		var loading sync.WaitGroup
		loading.Go(func() { password.Load(t.Context(), secrets, "me@corp.test") })
		fresh := NewPassword()
		if _, err := password.Store(t.Context(), secrets, "me@corp.test", fresh); err != nil {
			t.Fatal(err)
		}
		loading.Wait()
		if !password.matches(fresh) {
			t.Fatal("the new password is refused")
		}
	}
}

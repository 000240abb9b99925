package mailbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/text/unicode/norm"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/config"
)

// Password is an account's local password as memory keeps it: a hash, loaded from the keystore
// once, so that no keychain is asked while mail flows.
type Password struct {
	sum     atomic.Pointer[[sha256.Size]byte]
	missing atomic.Bool   // the keystore had none when it was last asked
	once    chan struct{} // one load at a time; capacity 1
}

// Set takes a password over into memory.
func (l *Password) Set(password string) {
	sum := hashOf(password)
	l.sum.Store(&sum)
	l.missing.Store(false)
}

// hashOf is a password's hash. A letter with an accent is the same whether it is written as one
// character or as two (RFC 8265 section 4.2.2).
func hashOf(password string) [sha256.Size]byte {
	return sha256.Sum256([]byte(norm.NFC.String(password)))
}

// matches compares in constant time. Nothing matches a password that was not loaded.
func (l *Password) matches(password string) bool {
	var want [sha256.Size]byte
	known := l.sum.Load()
	if known != nil {
		want = *known
	}
	got := hashOf(password)
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && known != nil
}

// Store keeps a password in the keystore and in memory. It takes turns with Load, which must not put
// an old password that it has just read in place of the new one.
func (l *Password) Store(ctx context.Context, secrets *keystore.Store, address, password string) (changed bool, err error) {
	select {
	case l.once <- struct{}{}:
		defer func() { <-l.once }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if changed, err = PutSecret(ctx, secrets, PasswordKey(address), password); err != nil {
		return false, err
	}
	l.Set(password)
	return changed, nil
}

// PutSecret stores a secret unless it is stored already.
func PutSecret(ctx context.Context, secrets *keystore.Store, key, secret string) (changed bool, err error) {
	was, err := secrets.Get(ctx, key)
	if err == nil && was == secret {
		return false, nil
	}
	if err != nil && !errors.Is(err, keystore.ErrNotFound) {
		return false, err
	}
	return true, secrets.Set(ctx, key, secret)
}

// ready is load for a login. A password that was missing is missing until somebody else asks the
// keystore: the time that this takes would tell such an account from one that does not exist.
func (l *Password) ready(ctx context.Context, secrets *keystore.Store, address string) error {
	if l.missing.Load() {
		return fmt.Errorf("local password of %s: %w", address, keystore.ErrNotFound)
	}
	return l.Load(ctx, secrets, address)
}

// Load reads the password from the keystore unless it is in memory.
func (l *Password) Load(ctx context.Context, secrets *keystore.Store, address string) error {
	if l.sum.Load() != nil {
		return nil
	}
	select {
	case l.once <- struct{}{}:
		defer func() { <-l.once }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for the local password of %s: %w", address, ctx.Err())
	}
	if l.sum.Load() != nil {
		return nil
	}
	password, err := secrets.Get(ctx, PasswordKey(address))
	l.missing.Store(errors.Is(err, keystore.ErrNotFound))
	if err != nil {
		return fmt.Errorf("local password of %s: %w", address, err)
	}
	l.Set(password)
	return nil
}

// PasswordKey is the password's key in the keystore. Addresses are folded, so that a mailbox has one
// secret.
func PasswordKey(address string) string { return "password/" + config.Fold(address) }

// NewPassword makes a local password: 28 letters and digits without look-alikes, 140 random bits, in
// groups of four for people who have to type it on a scanner.
func NewPassword() string {
	letters := strings.ToLower(rand.Text() + rand.Text())
	var groups []string
	for i := 0; i < 28; i += 4 {
		groups = append(groups, letters[i:i+4])
	}
	return strings.Join(groups, "-")
}

// Forget is for a password that was deleted.
func (l *Password) Forget() {
	l.sum.Store(nil)
	l.missing.Store(true)
}

// Known reports whether the password is in memory.
func (l *Password) Known() bool { return l.sum.Load() != nil }

// Preload reads local passwords into memory, so that the first login does not wait for a
// keychain. Passwords that cannot be read now are read at the first login; ok reports whether
// all could be, or are missing.
func (h *Hall) Preload(ctx context.Context) (ok bool) {
	for _, b := range h.Mailboxes() {
		if ctx.Err() != nil {
			return false
		}
		err := b.Password.Load(ctx, h.Secrets, b.Address)
		switch {
		case errors.Is(err, keystore.ErrUnavailable):
			h.Log.Error("the keystore cannot be read; logins get a temporary error until it can", "err", err, "cure", keystore.Cure(err))
			return false
		case errors.Is(err, keystore.ErrNotFound):
			b.Trouble(NoPassword(b.Address))
			h.Log.Warn("the account has no local password", "account", b.Address, "cure", "waxseal account password "+b.Address+" --new")
		}
	}
	return ctx.Err() == nil
}

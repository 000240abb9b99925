package proxy

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

// localPassword is an account's local password as memory keeps it: a hash, loaded from the keystore
// once, so that no keychain is asked while mail flows.
type localPassword struct {
	sum     atomic.Pointer[[sha256.Size]byte]
	missing atomic.Bool   // the keystore had none when it was last asked
	once    chan struct{} // one load at a time; capacity 1
}

func (l *localPassword) set(password string) {
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
func (l *localPassword) matches(password string) bool {
	var want [sha256.Size]byte
	known := l.sum.Load()
	if known != nil {
		want = *known
	}
	got := hashOf(password)
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && known != nil
}

// store keeps a password in the keystore and in memory. It takes turns with load, which must not put
// an old password that it has just read in place of the new one.
func (l *localPassword) store(ctx context.Context, secrets *keystore.Store, address, password string) (changed bool, err error) {
	select {
	case l.once <- struct{}{}:
		defer func() { <-l.once }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if changed, err = putSecret(ctx, secrets, passwordKey(address), password); err != nil {
		return false, err
	}
	l.set(password)
	return changed, nil
}

// putSecret stores a secret unless it is stored already.
func putSecret(ctx context.Context, secrets *keystore.Store, key, secret string) (changed bool, err error) {
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
func (l *localPassword) ready(ctx context.Context, secrets *keystore.Store, address string) error {
	if l.missing.Load() {
		return fmt.Errorf("local password of %s: %w", address, keystore.ErrNotFound)
	}
	return l.load(ctx, secrets, address)
}

// load reads the password from the keystore unless it is in memory.
func (l *localPassword) load(ctx context.Context, secrets *keystore.Store, address string) error {
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
	password, err := secrets.Get(ctx, passwordKey(address))
	l.missing.Store(errors.Is(err, keystore.ErrNotFound))
	if err != nil {
		return fmt.Errorf("local password of %s: %w", address, err)
	}
	l.set(password)
	return nil
}

// passwordKey is the password's key in the keystore. Addresses are folded, so that a mailbox has one
// secret.
func passwordKey(address string) string { return "password/" + config.Fold(address) }

// newPassword makes a local password: 28 letters and digits without look-alikes, 140 random bits, in
// groups of four for people who have to type it on a scanner.
func newPassword() string {
	letters := strings.ToLower(rand.Text() + rand.Text())
	var groups []string
	for i := 0; i < 28; i += 4 {
		groups = append(groups, letters[i:i+4])
	}
	return strings.Join(groups, "-")
}

package keystore

import (
	"context"
	"errors"
)

// probe is a key that no secret has. Reading it shows whether a store can be read.
const probe = "probe"

// quietly marks a context whose calls put up no prompt.
type quietly struct{}

// Unlock has the keychain ask the person to unlock it, or to create the default
// keyring if there is none yet, even if such a prompt was dismissed a moment ago. It
// returns nil once the store can be read. While a prompt is open, the error is
// [ErrTimeout] after a few seconds, and the prompt stays. Stores that never ask are only
// read.
func (s *Store) Unlock(ctx context.Context) error {
	_, b := s.where()
	if asking, ok := b.(interface{ askAgain() }); ok {
		asking.askAgain()
	}
	return s.Ready(ctx)
}

// Ready reads the store, for which the keychain may ask the person to unlock it, or to
// choose a password for its default keyring. It returns nil if the store can be used.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.Get(ctx, probe)
	if errors.Is(err, ErrNoKeyring) {
		if err = s.Set(ctx, probe, "x"); err == nil { // for which the service makes a keyring
			err = s.Delete(ctx, probe)
		}
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Look reads the store without asking anybody, and returns why it cannot be read. A
// keychain that would ask is not read: Look returns what [Store.Err] does.
func (s *Store) Look(ctx context.Context) error {
	_, b := s.where()
	if asking, ok := b.(interface{ canBeQuiet() bool }); ok && !asking.canBeQuiet() {
		return s.Err()
	}
	_, err := s.Get(context.WithValue(ctx, quietly{}, true), probe)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (s *system) askAgain() {
	if r, ok := s.secrets.items.(*remote); ok {
		r.again.Store(true)
	}
}

func (s *system) canBeQuiet() bool {
	_, ok := s.secrets.items.(*remote)
	return ok
}

// Package keystore keeps small secrets: refresh tokens, local passwords and
// client secrets, one secret to a key.
//
// A [Store] is one of three kinds. [System] is the keychain of the operating
// system: the Secret Service on Linux, the Credential Manager on Windows, the
// Keychain on macOS. [File] is one file encrypted with a passphrase, for
// machines that have no keychain. [Memory] forgets everything when the program
// ends; tests and demonstrations use it.
//
// Keys are names such as "refresh/me@example.org", "password/me@example.org"
// or "client/CLIENT-ID@HOST". They are not secret: error texts and keychain
// programs show them. Values never appear in an error.
//
// # What can be relied upon
//
// A call never waits longer than its context, nor much longer than five
// seconds for one answer, whatever the keychain does: a prompt that nobody
// answers costs one goroutine, however many calls come after it. A call that
// ran into its limit may still take effect later, in its order.
//
// [Store.Set] returns nil once the new value is kept, and until then the old
// one is still there, also when the program or the machine stops in between.
//
// [ErrNotFound] means that the store was read and has no such secret. Every
// other failure, save a caller's own cancellation and a key or a secret that no
// store would take (see [Store.Set]), is [ErrUnavailable], mostly
// as one of the finer [ErrLocked], [ErrDenied], [ErrMissing], [ErrTimeout] and
// [ErrDamaged]. It says nothing about the secret, which is to be asked for
// again later and never to be taken for lost. [Cure] has the next step for a
// person.
package keystore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

const (
	maxKey    = 400       // bytes; leaves room for it in a macOS command line of 4096
	maxSecret = 64 * 1024 // bytes; anything larger is not a credential
)

// Store keeps secrets in one place. It is made by [System], [File] or [Memory]
// and is safe for concurrent use.
type Store struct {
	place   sync.RWMutex // guards what follows, which Move changes
	kind    string
	backend backend

	writes sync.RWMutex // held for reading by Set and Delete, for writing by Move
	closed atomic.Bool
	last   atomic.Pointer[callError] // the last call's ErrUnavailable; nil when it worked
}

// backend is what the three kinds have in common. Keys and sizes have been
// checked before; errors are one of the sentinels, a context's error, or
// anything else, which counts as ErrUnavailable.
type backend interface {
	get(ctx context.Context, key string) (string, error)
	set(ctx context.Context, key, secret string) error
	delete(ctx context.Context, key string) error
	close()
}

// Get answers the secret kept under key, or [ErrNotFound].
func (s *Store) Get(ctx context.Context, key string) (string, error) {
	secret := ""
	err := s.do(ctx, "read", key, func(b backend) (err error) {
		for {
			secret, err = b.get(ctx, key)
			_, now := s.where()
			if err == nil || now == b {
				return err
			}
			b = now // it has moved meanwhile
		}
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// Set keeps secret under key, in place of an earlier one. A secret is any
// string of bytes up to 64 KiB. A key is UTF-8 without control characters, up
// to 400 bytes, and does not begin with "part/".
func (s *Store) Set(ctx context.Context, key, secret string) error {
	return s.change(ctx, "write", key, func(b backend) error {
		if len(secret) > maxSecret {
			return fmt.Errorf("%w: a secret of %d bytes is over the limit of %d", errArgument, len(secret), maxSecret)
		}
		return b.set(ctx, key, secret)
	})
}

// Delete forgets the secret under key. It is fine when there is none.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.change(ctx, "delete", key, func(b backend) error {
		err := b.delete(ctx, key)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
}

// Kind answers "system", "file" or "memory".
func (s *Store) Kind() string {
	kind, _ := s.where()
	return kind
}

func (s *Store) where() (kind string, b backend) {
	s.place.RLock()
	defer s.place.RUnlock()
	return s.kind, s.backend
}

// Close waits for a call under way to end, as long as one call may take, and
// forgets what is held in memory. Later calls fail with [ErrUnavailable].
func (s *Store) Close() error {
	if s.closed.CompareAndSwap(false, true) {
		_, b := s.where()
		b.close()
	}
	return nil
}

// Fail makes every later call of a memory store fail with err, and work again
// after Fail(nil): for tests of what happens while a keychain is locked or
// away. What is in the store stays there. It panics for another kind.
func (s *Store) Fail(err error) {
	_, b := s.where()
	b.(*memory).fail(err)
}

// change is do for what must not happen while the secrets are on the move.
func (s *Store) change(ctx context.Context, op, key string, call func(backend) error) error {
	return s.do(ctx, op, key, func(backend) error {
		if !s.writes.TryRLock() {
			return errMoving
		}
		defer s.writes.RUnlock()
		_, b := s.where()
		return call(b)
	})
}

// do runs one call and says in its error what was tried, on what, and where.
func (s *Store) do(ctx context.Context, op, key string, call func(backend) error) error {
	err := checkKey(key)
	kind, b := s.where()
	switch {
	case err != nil:
	case s.closed.Load():
		err = errClosed
	case ctx.Err() != nil:
		err = contextError(ctx)
	default:
		err = call(b)
	}
	if err == nil {
		s.last.Store(nil)
		return nil
	}
	failed := &callError{op: op, key: key, kind: kind, err: unavailable(err)}
	switch {
	case errors.Is(failed, ErrUnavailable):
		s.last.Store(failed)
	case errors.Is(failed, ErrNotFound):
		s.last.Store(nil) // it was read
	}
	return failed
}

// Err is why the store could not be used when that was last tried, an
// [ErrUnavailable]; nil when it could.
func (s *Store) Err() error {
	if failed := s.last.Load(); failed != nil {
		return failed
	}
	return nil
}

// checkKey refuses what one of the keychains could not take or would change.
func checkKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: the key is empty", errArgument)
	case len(key) > maxKey:
		return fmt.Errorf("%w: the key is longer than %d bytes", errArgument, maxKey)
	case !utf8.ValidString(key), strings.ContainsFunc(key, unicode.IsControl):
		return fmt.Errorf("%w: the key holds control characters or is not UTF-8", errArgument)
	case strings.HasPrefix(key, partPrefix):
		return fmt.Errorf("%w: keys that begin with %q are taken", errArgument, partPrefix)
	}
	return nil
}

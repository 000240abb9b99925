// Package keystore keeps small secrets: refresh tokens, local passwords and
// client secrets, one secret per key.
//
// A [Store] is of one of the [Kinds]. [System] is the keychain of the operating
// system: the Secret Service on Linux, the Credential Manager on Windows, the
// Keychain on macOS. [File] is one file encrypted with a passphrase, for
// machines without a keychain. Etcd is shared by several machines; package shared
// has it. [Memory] forgets everything when the program ends; tests and
// demonstrations use it.
//
// Keys are names such as "refresh/me@example.org", "password/me@example.org"
// or "client/CLIENT-ID@HOST". They are not secret: error texts and keychain
// programs show them. Values never appear in an error.
//
// # Guarantees
//
// A call never waits longer than its context allows, nor much longer than five
// seconds for one answer, whatever the keychain does: a prompt that nobody
// answers costs one goroutine, however many calls come after it. A call that
// ran into its limit may still take effect later, in its order.
//
// When [Store.Set] returns nil, the new value is stored. Until then the old
// value is still there, even if the program or the machine stops in between.
//
// [ErrNotFound] means that the store was read and has no such secret. Every
// other failure is [ErrUnavailable], except a caller's own cancellation and a
// key or a secret that no store would accept (see [Store.Set]). Mostly it is one
// of the finer [ErrLocked], [ErrNoKeyring], [ErrDenied], [ErrMissing],
// [ErrTimeout] and [ErrDamaged]. It says nothing about the secret: ask for it
// again later, and never take it for lost. [Cure] has the next step for a
// person, and [ReasonOf] tells the failures apart.
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

// Store keeps secrets in one place. [Open], [System], [File] or [Memory] makes it.
// It is safe for concurrent use.
type Store struct {
	place   sync.RWMutex // guards the three below, which Move changes
	kind    string
	backend backend
	warning string // about the passphrase

	writes sync.RWMutex // held for reading by Set and Delete, for writing by Move
	closed atomic.Bool
	last   atomic.Pointer[callError] // the last call's ErrUnavailable; nil when it worked
}

// Backend is a kind of store that is made elsewhere; see Place.Etcd. Its errors are [ErrNotFound], one of the
// forms of [ErrUnavailable], a context's, or anything else, which counts as ErrUnavailable. It is closed
// once.
type Backend interface {
	Get(ctx context.Context, key string) (string, error)
	Set(ctx context.Context, key, secret string) error
	Delete(ctx context.Context, key string) error
	Close()
}

// elsewhere makes a Backend a backend.
type elsewhere struct{ Backend }

func (e elsewhere) get(ctx context.Context, key string) (string, error) { return e.Get(ctx, key) }
func (e elsewhere) set(ctx context.Context, key, secret string) error   { return e.Set(ctx, key, secret) }
func (e elsewhere) delete(ctx context.Context, key string) error        { return e.Delete(ctx, key) }
func (e elsewhere) close()                                              { e.Close() }

// backend is what all kinds have in common. The Store has checked keys and
// sizes; an error is one of the sentinels, a context's error, or anything else,
// which counts as ErrUnavailable.
type backend interface {
	get(ctx context.Context, key string) (string, error)
	set(ctx context.Context, key, secret string) error
	delete(ctx context.Context, key string) error
	close()
}

// Get answers the secret stored under key, or [ErrNotFound].
func (s *Store) Get(ctx context.Context, key string) (string, error) {
	secret := ""
	err := s.do(ctx, "read", key, func(b backend) (err error) {
		for {
			secret, err = b.get(ctx, key)
			_, now := s.where()
			if err == nil || now == b {
				return err
			}
			b = now // the secrets have been moved meanwhile
		}
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// Set stores secret under key and replaces an earlier one. A secret is any
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

// Delete removes the secret under key. It does nothing if there is none.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.change(ctx, "delete", key, func(b backend) error {
		err := b.delete(ctx, key)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
}

// Kind answers the name of the store's [Kind].
func (s *Store) Kind() string {
	kind, _ := s.where()
	return kind
}

func (s *Store) where() (kind string, b backend) {
	s.place.RLock()
	defer s.place.RUnlock()
	return s.kind, s.backend
}

// Backend is what was made elsewhere for this store; nil if nothing was.
func (s *Store) Backend() Backend {
	_, b := s.where()
	if e, ok := b.(elsewhere); ok {
		return e.Backend
	}
	return nil
}

// Warning answers what is wrong with the store although it works, such as a
// passphrase that other users can read, in one sentence for people; "" mostly.
func (s *Store) Warning() string {
	s.place.RLock()
	defer s.place.RUnlock()
	return s.warning
}

// Close waits for a call in progress to end, as long as one call may take, and
// forgets what is held in memory. Later calls fail with [ErrUnavailable].
func (s *Store) Close() error {
	if s.closed.CompareAndSwap(false, true) {
		_, b := s.where()
		b.close()
	}
	return nil
}

// Fail makes every later call of a memory store fail with err, until Fail(nil).
// Tests use it to see what happens while a keychain is locked or missing. The
// store's content stays. It panics for another kind.
func (s *Store) Fail(err error) {
	_, b := s.where()
	b.(*memory).fail(err)
}

// change is do for calls that must not happen while the secrets are being moved.
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

// do runs one call. Its error says what was tried, with which key, and where.
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
		s.last.Store(nil) // the store could be read
	}
	return failed
}

// Err is the [ErrUnavailable] of the last call, nil when that call worked.
func (s *Store) Err() error {
	if failed := s.last.Load(); failed != nil {
		return failed
	}
	return nil
}

// checkKey refuses keys that one of the keychains would reject or change.
func checkKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: the key is empty", errArgument)
	case len(key) > maxKey:
		return fmt.Errorf("%w: the key is longer than %d bytes", errArgument, maxKey)
	case !utf8.ValidString(key), strings.ContainsFunc(key, unicode.IsControl):
		return fmt.Errorf("%w: the key contains control characters or is not UTF-8", errArgument)
	case strings.HasPrefix(key, partPrefix):
		return fmt.Errorf("%w: keys that begin with %q are reserved", errArgument, partPrefix)
	}
	return nil
}

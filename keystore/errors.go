package keystore

import (
	"context"
	"errors"
	"fmt"
)

// ErrNotFound says that the store was read and holds no such secret.
var ErrNotFound = errors.New("there is no such secret")

// ErrUnavailable says that the store could not do what was asked, now. The
// secret may well be there. The errors below are finer forms of it.
var ErrUnavailable = errors.New("it cannot be used")

// Finer forms of [ErrUnavailable].
var (
	ErrLocked    = finer("it is locked")
	ErrNoKeyring = finer("it has no default keyring yet")
	ErrDenied    = finer("access is denied")
	ErrMissing   = finer("no keychain service is running")
	ErrTimeout   = finer("it did not answer in time")
	ErrDamaged   = finer("its content is damaged")
	ErrFull      = finer("it has no space left")
)

var (
	errClosed         = finer("it has been closed")
	errMoving         = finer("its secrets are being moved")
	errNoEtcd         = finer("this program was built without etcd")
	errHelper         = finer("its helper process is not running")
	errNoPassphrase   = finer("no passphrase is given")
	errPassphraseFile = finer("its passphrase cannot be read")
)

// errArgument is the caller's mistake and says nothing about the store.
var errArgument = errors.New("it cannot be stored")

// finerError is a finer form of ErrUnavailable.
type finerError struct{ text string }

func finer(text string) error { return &finerError{text} }

func (e *finerError) Error() string { return e.text }
func (e *finerError) Unwrap() error { return ErrUnavailable }

// callError is what the methods of a Store return.
type callError struct {
	op, key, kind string
	err           error
}

func (e *callError) Error() string {
	return fmt.Sprintf("%s %s in %s: %v", e.op, e.key, labelOf(e.kind), e.err)
}

func (e *callError) Unwrap() error { return e.err }

// Failed is the error of a call that a store of a kind could not carry out, for packages that make one. An err
// not of this package counts as [ErrUnavailable].
func Failed(kind, op, key string, err error) error {
	return &callError{op: op, key: key, kind: kind, err: unavailable(err)}
}

// labelOf is the label of a kind, or its name where [Unavailable] was given
// another.
func labelOf(kind string) string {
	if k, ok := KindOf(kind); ok {
		return k.Label
	}
	return fmt.Sprintf("the keystore %q", kind)
}

// unavailable makes a backend's untyped error an ErrUnavailable.
func unavailable(err error) error {
	for _, known := range []error{ErrNotFound, ErrUnavailable, errArgument, context.Canceled} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// contextError is a finished context's error. A deadline is also ErrTimeout: it
// makes no difference to a person whose deadline it was.
func contextError(ctx context.Context) error {
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrTimeout, context.DeadlineExceeded)
}

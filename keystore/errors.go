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
	ErrLocked  = finer("it is locked")
	ErrDenied  = finer("access is denied")
	ErrMissing = finer("no keychain service is running")
	ErrTimeout = finer("it did not answer in time")
	ErrDamaged = finer("what it holds is damaged")
)

var (
	errClosed = finer("it has been closed")
	errMoving = finer("its secrets are being moved")
	errHelper = finer("the helper process for it does not run")
)

// errArgument is the caller's mistake and says nothing about the store.
var errArgument = errors.New("it cannot be kept")

// reason is a finer form of ErrUnavailable.
type reason struct{ text string }

func finer(text string) error { return &reason{text} }

func (r *reason) Error() string { return r.text }
func (r *reason) Unwrap() error { return ErrUnavailable }

// callError is what the methods of a Store return.
type callError struct {
	op, key, kind string
	err           error
}

func (e *callError) Error() string {
	return fmt.Sprintf("%s %s in the %s: %v", e.op, e.key, places[e.kind], e.err)
}

func (e *callError) Unwrap() error { return e.err }

var places = map[string]string{
	"system": "system keychain",
	"file":   "keystore file",
	"memory": "memory keystore",
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

// contextError is a finished context's error. A deadline is also ErrTimeout:
// who set it does not matter to the one who asks what is wrong.
func contextError(ctx context.Context) error {
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrTimeout, context.DeadlineExceeded)
}

// Cure answers what a person can do about err, in one sentence, and "" when
// err is no failure of a store.
func Cure(err error) string {
	if !errors.Is(err, ErrUnavailable) {
		return ""
	}
	if opened, ok := errors.AsType[*openError](err); ok {
		return opened.cure
	}
	cures := systemCures
	if call, ok := errors.AsType[*callError](err); ok && call.kind == "file" {
		cures = fileCures
	}
	for _, c := range cures {
		if errors.Is(err, c.of) {
			return c.text
		}
	}
	return "Try again, and see the log for the cause."
}

type cure struct {
	of   error
	text string
}

var systemCures = []cure{
	{ErrLocked, "Unlock the keychain, by its prompt or by logging in to the desktop, and Waxseal goes on by itself; where nobody can, choose the encrypted file with --keystore file."},
	{ErrDenied, "Allow Waxseal to use the keychain, in its prompt or in the keychain's own settings, or choose the encrypted file with --keystore file."},
	{ErrMissing, "Start a keychain service such as GNOME Keyring or KeePassXC in this desktop session, or choose the encrypted file with --keystore file."},
	{ErrTimeout, "Answer the keychain's unlock prompt if one is open, and Waxseal goes on by itself; where nobody can, choose the encrypted file with --keystore file."},
	{errHelper, "Check that this user may start more processes, or choose the encrypted file with --keystore file."},
	{ErrDamaged, "Store the secret anew, by signing in again or by making a new local password."},
	{errClosed, "Start Waxseal again."},
	{errMoving, "Try again in a minute."},
	{ErrUnavailable, "Check that the desktop's keychain works, or choose the encrypted file with --keystore file."},
}

var fileCures = []cure{
	{ErrDenied, "Check the passphrase in WAXSEAL_KEYSTORE_PASSPHRASE or WAXSEAL_KEYSTORE_PASSPHRASE_FILE, and that you may read and write the keystore file and its folder."},
	{ErrTimeout, "Check the disk that holds the keystore file, and that no other program keeps the file locked."},
	{ErrDamaged, "Put the keystore file back from a backup, or move it away and sign in again."},
	{errClosed, "Start Waxseal again."},
	{errMoving, "Try again in a minute."},
	{ErrUnavailable, "Check that the folder of the keystore file exists, can be written, and has space left."},
}

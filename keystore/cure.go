package keystore

import (
	"cmp"
	"errors"
)

// Reason is why a store cannot be used, for programs to tell apart. It is part
// of what Waxseal's own processes tell each other, so its words do not change.
type Reason string

// The reasons.
const (
	ReasonLocked       Reason = "locked"     // the keychain waits to be unlocked
	ReasonNoKeyring    Reason = "no-keyring" // the keychain runs, and nobody has set it up yet
	ReasonNoService    Reason = "no-service" // no keychain runs
	ReasonDenied       Reason = "denied"     // a refused prompt, a wrong passphrase, no rights to a file
	ReasonTimeout      Reason = "timeout"    // no answer in time, mostly because a prompt is open
	ReasonDamaged      Reason = "damaged"
	ReasonNoPassphrase Reason = "no-passphrase" // the encrypted file's passphrase is not given, or cannot be read
	ReasonBusy         Reason = "busy"          // secrets are being moved
	ReasonClosed       Reason = "closed"
	ReasonHelper       Reason = "helper"  // the process that speaks to the keychain cannot be started
	ReasonUnknown      Reason = "unknown" // any other failure
)

// ReasonOf answers why a store could not be used, "" when err is not a failure of a
// store.
func ReasonOf(err error) Reason {
	if f, ok := failureOf(err); ok {
		return f.reason
	}
	return ""
}

// Cure answers what a person can do about err, in one sentence, and "" when err
// is not a failure of a store.
func Cure(err error) string {
	f, ok := failureOf(err)
	if !ok {
		return ""
	}
	if opened, ok := errors.AsType[*openError](err); ok {
		return opened.cure
	}
	cure := func(f failure) string { return cmp.Or(f.inKeychain, f.inFile) }
	if call, ok := errors.AsType[*callError](err); ok {
		if k, ok := KindOf(call.kind); ok {
			cure = k.cure
		}
	}
	return cmp.Or(cure(f), cure(failures[len(failures)-1]))
}

// failure is a way in which a store cannot be used, and its cure: in the
// system's keychain and in the encrypted file.
type failure struct {
	err                error
	reason             Reason
	inKeychain, inFile string
}

// useFile names a flag; the window has words of its own for these cures.
const useFile = ", or choose the encrypted file with --keystore file."

// failures are all of them. The last is any other.
var failures = []failure{
	{ErrLocked, ReasonLocked,
		"Unlock the keychain in its own prompt or by logging in to the desktop, and Waxseal carries on by itself" + useFile, ""},
	{ErrNoKeyring, ReasonNoKeyring,
		"Have the keychain create a default keyring, for which it asks you for a new password; or create one in the system's password manager, such as Passwords and Keys, KeePassXC or Keychain Access" + useFile, ""},
	{ErrDenied, ReasonDenied,
		"Allow Waxseal to use the keychain, in its prompt or in the keychain's own settings" + useFile,
		"Check the passphrase in WAXSEAL_KEYSTORE_PASSPHRASE or WAXSEAL_KEYSTORE_PASSPHRASE_FILE, and that you may read and write the encrypted file and its folder."},
	{ErrMissing, ReasonNoService,
		"Start a keychain service such as GNOME Keyring or KeePassXC in this desktop session" + useFile, ""},
	{ErrTimeout, ReasonTimeout,
		"Answer the keychain's prompt if one is open, and Waxseal carries on by itself" + useFile,
		"Check the disk that holds the encrypted file, and that no other program keeps the file locked."},
	{ErrDamaged, ReasonDamaged,
		"Store the secret again, by signing in again or by making a new local password.",
		"Put the encrypted file back from a backup, or move it away and sign in again."},
	{errNoPassphrase, ReasonNoPassphrase, "",
		"Set WAXSEAL_KEYSTORE_PASSPHRASE_FILE to a file that holds the passphrase, or WAXSEAL_KEYSTORE_PASSPHRASE to the passphrase itself."},
	{errPassphraseFile, ReasonNoPassphrase, "",
		"Check WAXSEAL_KEYSTORE_PASSPHRASE_FILE: it names a text file with nothing but the passphrase in it, which you may read."},
	{errHelper, ReasonHelper,
		"Check that this user may start more processes" + useFile, ""},
	{errMoving, ReasonBusy, "Try again in a minute.", "Try again in a minute."},
	{errClosed, ReasonClosed, "Start Waxseal again.", "Start Waxseal again."},
	{ErrUnavailable, ReasonUnknown,
		"Check that the desktop's keychain works" + useFile,
		"Check that the folder of the encrypted file exists, can be written to, and has space left."},
}

// Advice is what a person can do about a failure: in the system's keychain and in the encrypted file,
// "" where it does not happen.
type Advice struct {
	Reason             Reason
	Err                error // one with this reason
	InKeychain, InFile string
}

// Advices are the cures of all failures, for the documentation.
func Advices() []Advice {
	all := make([]Advice, len(failures))
	for i, f := range failures {
		all[i] = Advice{f.reason, f.err, f.inKeychain, f.inFile}
	}
	return all
}

// failureOf finds the failure that err is.
func failureOf(err error) (failure, bool) {
	for _, f := range failures {
		if errors.Is(err, f.err) {
			return f, true
		}
	}
	return failure{}, false
}

// errorFor is the error of a reason, [ErrUnavailable] for one that is not known.
func errorFor(r Reason) error {
	for _, f := range failures {
		if f.reason == r {
			return f.err
		}
	}
	return ErrUnavailable
}

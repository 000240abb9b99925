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
	ReasonFull         Reason = "full"          // no space is left
	ReasonNoEtcd       Reason = "no-etcd"       // the program was built without it
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
	if call, ok := errors.AsType[*callError](err); ok {
		return f.cureIn(call.kind)
	}
	return f.cureIn("")
}

// cureIn is the cure in a store of a kind, or in any where that is not known.
func (f failure) cureIn(kind string) string {
	cure := func(f failure) string { return cmp.Or(f.inKeychain, f.inFile, f.inEtcd) }
	if k, ok := KindOf(kind); ok {
		cure = k.cure
	}
	return cmp.Or(cure(f), cure(failures[len(failures)-1]))
}

// failure is a way in which a store cannot be used, and its cure: in the
// system's keychain, in the encrypted file and in etcd.
type failure struct {
	err                        error
	reason                     Reason
	inKeychain, inFile, inEtcd string
}

// useFile names a flag; the window has words of its own for these cures.
const useFile = ", or choose the encrypted file with --keystore file."

// etcdAway is the cure where etcd cannot be reached.
const etcdAway = "Check that etcd runs and that this machine reaches the endpoints in [etcd]; Waxseal then carries on by itself."

const (
	givePassphrase  = "Set WAXSEAL_KEYSTORE_PASSPHRASE_FILE to a file that holds the passphrase, or WAXSEAL_KEYSTORE_PASSPHRASE to the passphrase itself." // #nosec G101 -- names
	checkPassphrase = "Check WAXSEAL_KEYSTORE_PASSPHRASE_FILE: it names a text file with nothing but the passphrase in it, which you may read."            // #nosec G101 -- a name
)

// failures are all of them. The last is any other.
var failures = []failure{
	{ErrLocked, ReasonLocked,
		"Unlock the keychain in its own prompt or by logging in to the desktop, and Waxseal carries on by itself" + useFile, "", ""},
	{ErrNoKeyring, ReasonNoKeyring,
		"Have the keychain create a default keyring, for which it asks you for a new password; or create one in the system's password manager, such as Passwords and Keys, KeePassXC or Keychain Access" + useFile, "", ""},
	{ErrDenied, ReasonDenied,
		"Allow Waxseal to use the keychain, in its prompt or in the keychain's own settings" + useFile,
		"Check the passphrase in WAXSEAL_KEYSTORE_PASSPHRASE or WAXSEAL_KEYSTORE_PASSPHRASE_FILE, and that you may read and write the encrypted file and its folder.",
		"Check the passphrase, the certificates or the user and password in [etcd], and that they may read and write everything under the prefix."},
	{ErrMissing, ReasonNoService,
		"Start a keychain service such as GNOME Keyring or KeePassXC in this desktop session" + useFile, "", ""},
	{ErrTimeout, ReasonTimeout,
		"Answer the keychain's prompt if one is open, and Waxseal carries on by itself" + useFile,
		"Check the disk that holds the encrypted file, and that no other program keeps the file locked.", etcdAway},
	{ErrDamaged, ReasonDamaged,
		"Store the secret again, by signing in again or by making a new local password.",
		"Put the encrypted file back from a backup, or move it away and sign in again.",
		"Check the prefix in [etcd] and the versions of Waxseal on all machines; or sign in again."},
	{ErrFull, ReasonFull, "", "",
		"Compact and defragment etcd, then clear its alarm; until then, accounts go on with the tokens that they have."},
	{errNoPassphrase, ReasonNoPassphrase, "", givePassphrase, givePassphrase},
	{errPassphraseFile, ReasonNoPassphrase, "", checkPassphrase, checkPassphrase},
	{errNoEtcd, ReasonNoEtcd, "", "", "Use the program of the package waxseal-headless, or choose another keystore."},
	{errHelper, ReasonHelper,
		"Check that this user may start more processes" + useFile, "", ""},
	{errMoving, ReasonBusy, "Try again in a minute.", "Try again in a minute.", "Try again in a minute."},
	{errClosed, ReasonClosed, "Start Waxseal again.", "Start Waxseal again.", "Start Waxseal again."},
	{ErrUnavailable, ReasonUnknown,
		"Check that the desktop's keychain works" + useFile,
		"Check that the folder of the encrypted file exists, can be written to, and has space left.", etcdAway},
}

// Advice is what a person can do about a failure: in the system's keychain, in the encrypted file and in
// etcd, "" where it does not happen.
type Advice struct {
	Reason                     Reason
	Err                        error // one with this reason
	InKeychain, InFile, InEtcd string
}

// Advices are the cures of all failures, for the documentation.
func Advices() []Advice {
	all := make([]Advice, len(failures))
	for i, f := range failures {
		all[i] = Advice{f.reason, f.err, f.inKeychain, f.inFile, f.inEtcd}
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

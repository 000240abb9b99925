package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os/exec"
	"strings"
	"syscall"

	"github.com/godbus/dbus/v5"
)

// classify finds the sentinel for an error of go-keyring on an operating system.
// go-keyring's errors have no types of their own: they are D-Bus errors, exit
// codes of macOS's security program, Windows error numbers, and some texts.
// The original text stays for the log; it never contains a secret.
func classify(goos string, err error) error {
	var kind error
	switch goos {
	case "windows":
		kind = windowsReason(err)
	case "darwin":
		kind = darwinReason(err)
	default:
		kind = busReason(err)
	}
	if kind == nil {
		kind = ErrUnavailable
	}
	return fmt.Errorf("%w (%w)", kind, err)
}

// busReason reads the answers of the Secret Service and of the bus, by the
// names in the Secret Service API draft (section "Errors") and the D-Bus
// specification.
func busReason(err error) error {
	if name := busErrorName(err); name != "" {
		return busErrorReason(name)
	}
	text := err.Error()
	switch {
	// A prompt that the user dismissed ends like this too: go-keyring drops that
	// part of the answer.
	case strings.Contains(text, "failed to unlock correct collection"):
		return ErrLocked
	case errors.Is(err, dbus.ErrClosed), errors.Is(err, io.EOF),
		errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound),
		strings.Contains(text, "address of session bus"):
		return ErrMissing
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return ErrMissing
	}
	return nil
}

const (
	busPrefix     = "org.freedesktop.DBus.Error."
	secretPrefix  = "org.freedesktop.Secret.Error."
	unknownPrefix = busPrefix + "Unknown" // UnknownObject, UnknownMethod, ...
)

func busErrorName(err error) string {
	e, _ := errors.AsType[dbus.Error](err)
	return e.Name
}

func busErrorReason(name string) error {
	switch name {
	case secretPrefix + "IsLocked":
		return ErrLocked
	// What is missing is the keyring: whether there is a service has been found
	// out before (see ready). GNOME Keyring answers UnknownMethod.
	case secretPrefix + "NoSuchObject", unknownPrefix + "Object", unknownPrefix + "Method":
		return ErrNoKeyring
	case busPrefix + "AccessDenied", busPrefix + "AuthFailed":
		return ErrDenied
	case busPrefix + "NoReply", busPrefix + "Timeout", busPrefix + "TimedOut":
		return ErrTimeout
	case busPrefix + "ServiceUnknown", busPrefix + "NameHasNoOwner", busPrefix + "NoServer", busPrefix + "Disconnected":
		return ErrMissing
	}
	if strings.HasPrefix(name, busPrefix+"Spawn.") {
		return ErrMissing
	}
	return nil
}

// darwinReason reads the exit code of the security program: the low byte of
// the OSStatus in Apple's SecBase.h.
func darwinReason(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return ErrMissing
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return nil
	}
	switch exit.ExitCode() {
	case 36: // errSecInteractionNotAllowed -25308: locked, and there is no way to ask
		return ErrLocked
	case 51, 128: // errSecAuthFailed -25293, userCanceledErr -128
		return ErrDenied
	case 37, 50: // errSecNoDefaultKeychain -25307, errSecNoSuchKeychain -25294
		return ErrNoKeyring
	}
	return nil
}

// windowsReason reads the errors of CredReadW, CredWriteW and CredDeleteW, by
// the numbers of winerror.h.
func windowsReason(err error) error {
	number, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return nil
	}
	switch number {
	case 5: // ERROR_ACCESS_DENIED
		return ErrDenied
	case 1312, 1722: // ERROR_NO_SUCH_LOGON_SESSION, RPC_S_SERVER_UNAVAILABLE
		return ErrMissing
	}
	return nil
}

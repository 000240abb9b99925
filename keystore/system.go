package keystore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/zalando/go-keyring"
)

// System answers the keychain of the operating system. Service is the name that
// Waxseal's items have there. The keychain is not used before the first call.
//
// Except on Windows and macOS it is reached through a helper process, for which
// the program's main must call [Helper]. A prompt to unlock the keychain stays
// open for two minutes. If it is ignored or dismissed, it does not appear again
// for five minutes; meanwhile calls answer [ErrLocked] or [ErrTimeout].
//
// KeePassXC damages a secret that is not UTF-8; all of Waxseal's are ASCII.
func System(service string) *Store {
	switch runtime.GOOS {
	case "windows", "darwin":
		return newSystem(ring{service}, itemLimit(runtime.GOOS), runtime.GOOS == "darwin")
	}
	r := newRemote(service)
	s := newSystem(r, itemLimit(runtime.GOOS), false)
	backend := s.backend.(*system)
	backend.guard.stop, backend.end = promptLimit, r.close
	return s
}

func newSystem(items items, limit int, verify bool) *Store {
	return &Store{kind: SystemKind, backend: &system{
		guard:   newGuard(),
		secrets: parts{items: items, limit: limit, verify: verify},
	}}
}

// itemLimit is the largest secret, in bytes, that fits one item. Windows has
// CRED_MAX_CREDENTIAL_BLOB_SIZE, 5*512 bytes, all of them for the secret
// (go-keyring does not turn it into UTF-16, which would leave half). On macOS the
// secret travels in base64 on a command line of 4096 bytes, together with the
// service and the key: about 2900 remain, 2600 with our longest key. The Secret
// Service has no limit, so only our own counts there.
func itemLimit(goos string) int {
	switch goos {
	case "windows", "darwin":
		return 2400
	default:
		return maxSecret
	}
}

// system puts the guard in front of a keychain. A call keeps its turn for all the
// parts of its secret, so two calls never mix their parts.
type system struct {
	guard   *guard
	secrets parts
	end     func() // ends the helper process; nil where there is none
}

func (s *system) get(ctx context.Context, key string) (string, error) {
	secret := ""
	err := s.guard.do(ctx, func(ctx context.Context) (err error) {
		secret, err = s.secrets.get(ctx, key)
		return err
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

func (s *system) set(ctx context.Context, key, secret string) error {
	return s.guard.do(ctx, func(ctx context.Context) error {
		return s.secrets.set(ctx, key, secret)
	})
}

func (s *system) delete(ctx context.Context, key string) error {
	return s.guard.do(ctx, func(ctx context.Context) error {
		return s.secrets.delete(ctx, key)
	})
}

func (s *system) close() {
	s.guard.close()
	if s.end != nil {
		s.end()
	}
}

// items is a keychain of items. An absent item is ErrNotFound, on delete too.
// The context ends at the call's limit; an implementation that can stop then,
// should.
type items interface {
	get(ctx context.Context, key string) (string, error)
	set(ctx context.Context, key, secret string) error
	delete(ctx context.Context, key string) error
}

// ring is the keychain as go-keyring reaches it, with no way to stop a call.
// On Linux only a helper process uses it (see remote).
type ring struct{ service string }

func (r ring) get(_ context.Context, key string) (secret string, err error) {
	err = r.call(func() error {
		secret, err = keyring.Get(r.service, key)
		return err
	})
	return secret, err
}

func (r ring) set(_ context.Context, key, secret string) error {
	return r.call(func() error { return keyring.Set(r.service, key, secret) })
}

func (r ring) delete(_ context.Context, key string) error {
	return r.call(func() error { return keyring.Delete(r.service, key) })
}

func (r ring) call(f func() error) error {
	switch runtime.GOOS {
	case "windows", "darwin":
	default:
		// Without an address godbus has dbus-launch start a bus: a stray daemon
		// on which no keychain listens.
		if !HasSessionBus() {
			return fmt.Errorf("%w: there is no D-Bus session bus (DBUS_SESSION_BUS_ADDRESS is not set)", ErrMissing)
		}
	}
	err := f()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, ErrUnavailable):
		return err
	}
	return classify(runtime.GOOS, err)
}

// HasSessionBus reports whether godbus will find a bus that is already running: by
// its address, or among the sockets in the user's runtime folder, as after a login
// without a desktop. godbus finds that folder by the user's number, whatever
// XDG_RUNTIME_DIR says.
func HasSessionBus() bool {
	return hasSessionBus(os.Getenv("DBUS_SESSION_BUS_ADDRESS"), filepath.Join("/run/user", strconv.Itoa(os.Getuid())))
}

func hasSessionBus(address, runtimeDir string) bool {
	if address != "" && address != "autolaunch:" {
		return true
	}
	for _, name := range []string{"bus", "dbus-session"} {
		if _, err := os.Stat(filepath.Join(runtimeDir, name)); err == nil {
			return true
		}
	}
	return false
}

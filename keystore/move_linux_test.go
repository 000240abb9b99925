package keystore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/godbus/dbus/v5"
)

func init() { helpers["move"] = moveSteps }

// Secrets move from the real GNOME Keyring to a file and back.
func TestMoveKeychain(t *testing.T) { onBus(t, "move", plainBus) }

func moveSteps() error {
	ctx := context.Background()
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return err
	}
	stop, err := startKeyring(conn, true)
	if err != nil {
		return err
	}
	s := System(testService)
	for _, key := range moveKeys[:4] {
		if err := s.Set(ctx, key, noise(4096)+key); err != nil {
			return err
		}
	}
	open := map[string]func() (*Store, error){
		"system": func() (*Store, error) { return System(testService), nil },
		"file": func() (*Store, error) {
			return File(filepath.Join(os.Getenv("HOME"), "secrets"), []byte("passphrase"))
		},
	}
	for _, kind := range []string{"file", "system", "file"} {
		other, err := open[kind]()
		if err != nil {
			return err
		}
		moved, err := s.Move(ctx, other, moveKeys, func() error { return nil })
		if err != nil || moved != 4 || s.Kind() != kind {
			return fmt.Errorf("into the %s: %d secrets, %w", kind, moved, err)
		}
		for _, key := range moveKeys[:4] {
			if got, err := s.Get(ctx, key); got != noise(4096)+key {
				return fmt.Errorf("in the %s: %d bytes, %w", kind, len(got), err)
			}
		}
	}
	keychain := System(testService)
	defer keychain.Close()
	for _, key := range moveKeys {
		if _, err := keychain.Get(ctx, key); !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("left in the keychain: %s, %w", key, err)
		}
	}
	// Nothing is moved to a locked keychain.
	stop()
	if stop, err = startKeyring(conn, false); err != nil {
		return err
	}
	defer stop()
	if _, err := s.Move(ctx, keychain, moveKeys, func() error { return errors.New("settled") }); !errors.Is(err, ErrLocked) {
		return fmt.Errorf("into a locked keychain: %w", err)
	}
	got, err := s.Get(ctx, moveKeys[0])
	if got == "" {
		return fmt.Errorf("and then: %w", err)
	}
	return s.Close()
}

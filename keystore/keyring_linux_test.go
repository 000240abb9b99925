package keystore

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/godbus/dbus/v5"
)

func init() {
	helpers["never set up"] = neverSetUp
	helpers["new user"] = newUser
}

// A new user may have a keychain that nobody has set up. It is neither locked nor
// missing, although the answers of the real GNOME Keyring look like that.
func TestSecretServiceNeverSetUp(t *testing.T) { onBus(t, "never set up", "") }

// neverSetUp has no screen for the prompt that asks for the new keyring's
// password.
func neverSetUp() error {
	s := System(testService)
	defer s.Close()
	ctx := context.Background()
	_, get := s.Get(ctx, "k")
	for op, err := range map[string]error{
		"Get": get, "Set": s.Set(ctx, "k", "v"), "Set again": s.Set(ctx, "k", "v"), "Delete": s.Delete(ctx, "k"),
	} {
		if ReasonOf(err) != ReasonNoKeyring || errors.Is(err, ErrLocked) || errors.Is(err, ErrMissing) || errors.Is(err, ErrNotFound) {
			return fmt.Errorf("%s answered %w", op, err)
		}
		fmt.Println(err, Cure(err))
	}
	return nil
}

// The first write asks the user for the new keyring's password. Reading never asks.
func TestFirstKeyring(t *testing.T) { onBus(t, "new user", plainBus) }

// newcomer is a locksmith who has no keyring until the user makes one.
type newcomer struct {
	*locksmith
	made        chan bool              // holds whether the keyring has been made
	collections chan []dbus.ObjectPath // those there are without it
	stored      chan string
}

// peek reads the value that a channel holds, and leaves it there.
func peek[T any](c chan T) T {
	v := <-c
	c <- v
	return v
}

func (n *newcomer) Get(face, property string) (dbus.Variant, *dbus.Error) {
	if property == "Locked" {
		return n.locksmith.Get(face, property)
	}
	all := peek(n.collections)
	if peek(n.made) {
		all = append(all, "/org/freedesktop/secrets/collection/Default_keyring")
	}
	return dbus.MakeVariant(all), nil
}

func (n *newcomer) ReadAlias(name string) (dbus.ObjectPath, *dbus.Error) {
	if name == "default" && peek(n.made) {
		return "/org/freedesktop/secrets/collection/Default_keyring", nil
	}
	return noPath, nil
}

func (n *newcomer) CreateCollection(properties map[string]dbus.Variant, alias string) (made, prompt dbus.ObjectPath, _ *dbus.Error) {
	if alias != "default" || properties["org.freedesktop.Secret.Collection.Label"].Value() == "" {
		return noPath, noPath, dbus.MakeFailedError(errors.New("no default keyring, or no label"))
	}
	return noPath, promptPath, nil
}

func (n *newcomer) CreateItem(_ map[string]dbus.Variant, secret wireSecret, _ bool) (item, prompt dbus.ObjectPath, _ *dbus.Error) {
	if !peek(n.made) {
		return noPath, noPath, dbus.NewError("org.freedesktop.DBus.Error.UnknownMethod", []any{"Object does not exist"})
	}
	n.stored <- string(secret.Value)
	return itemPath, noPath, nil
}

func (n *newcomer) SearchItems(map[string]string) ([]dbus.ObjectPath, *dbus.Error) { return nil, nil }

// choose is the person at the prompt.
func (n *newcomer) choose(password bool) error {
	if password {
		<-n.made
		n.made <- true
		<-n.open
		n.open <- true
	}
	result := dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/secrets/collection/Default_keyring"))
	return n.conn.Emit(promptPath, "org.freedesktop.Secret.Prompt.Completed", !password, result)
}

func startNewcomer() (*newcomer, error) {
	l, err := startLocksmith()
	if err != nil {
		return nil, err
	}
	n := &newcomer{l, make(chan bool, 1), make(chan []dbus.ObjectPath, 1), make(chan string, 8)}
	n.made <- false
	n.collections <- nil
	for path, face := range map[dbus.ObjectPath]string{
		"/org/freedesktop/secrets": "org.freedesktop.Secret.Service",
		defaultPath:                "org.freedesktop.Secret.Collection",
	} {
		if err := errors.Join(n.conn.Export(n, path, face), n.conn.Export(n, path, "org.freedesktop.DBus.Properties")); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func newUser() error {
	n, err := startNewcomer()
	if err != nil {
		return err
	}
	s := System(testService)
	defer s.Close()
	ctx := context.Background()
	quiet := func(when string) error {
		_, get := s.Get(ctx, "k")
		for op, err := range map[string]error{"Get": get, "Set": s.Set(ctx, "k", "v"), "Delete": s.Delete(ctx, "k")} {
			if !errors.Is(err, ErrNoKeyring) || len(n.prompted) > 0 {
				return fmt.Errorf("%s: %s answered %w, with %d prompts", when, op, err, len(n.prompted))
			}
		}
		return nil
	}
	// KeePassXC before a database is open: it is not asked for a new one.
	if err := quiet("no keyring at all"); err != nil {
		return err
	}
	<-n.collections
	n.collections <- []dbus.ObjectPath{sessionPath} // GNOME Keyring
	if _, err := s.Get(ctx, "k"); !errors.Is(err, ErrNoKeyring) || len(n.prompted) > 0 {
		return fmt.Errorf("reading answered %w, with %d prompts", err, len(n.prompted))
	}
	set := func(password bool) error {
		answer := make(chan error, 1)
		go func() { answer <- s.Set(ctx, "k", "v") }()
		<-n.prompted
		return errors.Join(n.choose(password), <-answer)
	}
	if err := set(false); !errors.Is(err, ErrNoKeyring) {
		return fmt.Errorf("a dismissed prompt: %w", err)
	}
	if err := quiet("right after a dismissed prompt"); err != nil {
		return err
	}
	answer := make(chan error, 1)
	go func() { answer <- s.Unlock(ctx) }()
	<-n.prompted // at once, though the last one was dismissed
	if err := errors.Join(n.choose(false), <-answer); !errors.Is(err, ErrNoKeyring) {
		return fmt.Errorf("unlock: %w", err)
	}
	r := s.backend.(*system).secrets.items.(*remote)
	r.mu.Lock()
	r.quiet = r.quiet.Add(-promptPause)
	r.mu.Unlock()
	if err := set(true); err != nil {
		return fmt.Errorf("a new password: %w", err)
	}
	if got := <-n.stored; got != "v" {
		return fmt.Errorf("stored %q", got)
	}
	return nil
}

package keystore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// An unlock prompt needs a screen and a person. Here a Secret Service of our
// own plays both, on a real bus, against the real go-keyring.

func init() { helpers["prompt"] = promptSteps }

func TestUnlockPrompt(t *testing.T) { onBus(t, "prompt", plainBus) }

// locksmith is the least of the Secret Service API (draft 0.2) that reading one
// item takes: a locked collection, an unlock prompt, an item.
type locksmith struct {
	conn     *dbus.Conn
	prompted chan dbus.ObjectPath // the prompts shown
	open     chan bool            // holds whether the collection is unlocked
}

const (
	promptPath = dbus.ObjectPath("/org/freedesktop/secrets/prompt/p")
	itemPath   = dbus.ObjectPath("/org/freedesktop/secrets/collection/login/1")
	noPath     = dbus.ObjectPath("/")
)

type wireSecret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

func (l *locksmith) Get(_, _ string) (dbus.Variant, *dbus.Error) { // the property Collections
	return dbus.MakeVariant([]dbus.ObjectPath{loginPath}), nil
}

func (l *locksmith) Unlock(paths []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	open := <-l.open
	l.open <- open
	if open {
		return paths, noPath, nil
	}
	return nil, promptPath, nil
}

func (l *locksmith) Prompt(string) *dbus.Error {
	l.prompted <- promptPath
	return nil
}

func (l *locksmith) SearchItems(map[string]string) ([]dbus.ObjectPath, *dbus.Error) {
	return []dbus.ObjectPath{itemPath}, nil
}

func (l *locksmith) OpenSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	return dbus.MakeVariant(""), "/org/freedesktop/secrets/session/s", nil
}

func (l *locksmith) GetSecret(session dbus.ObjectPath) (wireSecret, *dbus.Error) {
	return wireSecret{Session: session, Value: []byte("the secret"), ContentType: "text/plain"}, nil
}

func (l *locksmith) Close() *dbus.Error { return nil }

// answer is the person at the prompt.
func (l *locksmith) answer(unlock bool) error {
	result := dbus.MakeVariant([]dbus.ObjectPath{})
	if unlock {
		<-l.open
		l.open <- true
		result = dbus.MakeVariant([]dbus.ObjectPath{loginPath})
	}
	return l.conn.Emit(promptPath, "org.freedesktop.Secret.Prompt.Completed", !unlock, result)
}

func startLocksmith() (*locksmith, error) {
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return nil, err
	}
	l := &locksmith{conn: conn, prompted: make(chan dbus.ObjectPath, 8), open: make(chan bool, 1)}
	l.open <- false
	for path, faces := range map[dbus.ObjectPath][]string{
		"/org/freedesktop/secrets":           {"org.freedesktop.Secret.Service", "org.freedesktop.DBus.Properties"},
		loginPath:                            {"org.freedesktop.Secret.Collection"},
		itemPath:                             {"org.freedesktop.Secret.Item"},
		promptPath:                           {"org.freedesktop.Secret.Prompt"},
		"/org/freedesktop/secrets/session/s": {"org.freedesktop.Secret.Session"},
	} {
		for _, face := range faces {
			if err := conn.Export(l, path, face); err != nil {
				return nil, err
			}
		}
	}
	_, err = conn.RequestName("org.freedesktop.secrets", dbus.NameFlagDoNotQueue)
	return l, err
}

func promptSteps() error {
	ctx := context.Background()
	l, err := startLocksmith()
	if err != nil {
		return err
	}
	s := System(testService)
	s.backend.(*system).guard.limit = 200 * time.Millisecond

	// Not answered: one call runs into its limit, the others do not wait, and
	// no second prompt is put up.
	for range 50 {
		if _, err := s.Get(ctx, "k"); !errors.Is(err, ErrTimeout) || Cure(err) == "" {
			return fmt.Errorf("unanswered: %w", err)
		}
	}
	<-l.prompted
	if len(l.prompted) > 0 {
		return errors.New("more than one prompt was shown")
	}

	// Dismissed: told as locked.
	if err := l.answer(false); err != nil {
		return err
	}
	settle(s)
	s.backend.(*system).guard.limit = time.Minute
	if err := whilePrompted(l, s, false); !errors.Is(err, ErrLocked) {
		return fmt.Errorf("dismissed: %w", err)
	}

	// Answered: the call that waited gets its secret, and so do all after it.
	if err := whilePrompted(l, s, true); err != nil {
		return fmt.Errorf("answered: %w", err)
	}
	if got, err := s.Get(ctx, "k"); got != "the secret" {
		return fmt.Errorf("afterwards: %q, %w", got, err)
	}
	return busGone(l, s)
}

// settle waits until no call is under way.
func settle(s *Store) {
	g := s.backend.(*system).guard
	g.turn <- struct{}{}
	<-g.turn
}

// whilePrompted reads while the prompt is shown, and answers it.
func whilePrompted(l *locksmith, s *Store, unlock bool) error {
	result := make(chan error)
	go func() {
		got, err := s.Get(context.Background(), "k")
		if err == nil && got != "the secret" {
			err = fmt.Errorf("got %q", got)
		}
		result <- err
	}()
	<-l.prompted
	if err := l.answer(unlock); err != nil {
		return err
	}
	return <-result
}

// busGone takes the bus away while a prompt is open: go-keyring panics then.
func busGone(l *locksmith, s *Store) error {
	<-l.open
	l.open <- false
	result := make(chan error)
	go func() {
		_, err := s.Get(context.Background(), "k")
		result <- err
	}()
	<-l.prompted
	shared, err := dbus.SessionBus() // the one go-keyring uses
	if err != nil {
		return err
	}
	shared.Close()
	if err := <-result; !errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("the bus went away: %w", err)
	}
	<-l.open
	l.open <- true
	if got, err := s.Get(context.Background(), "k"); got != "the secret" {
		return fmt.Errorf("on a new connection: %q, %w", got, err)
	}
	return nil
}

package keystore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

func init() { helpers["prompter"] = prompterSteps }

// GNOME's own unlock prompt, on a screen, with nobody there to answer it.
func TestUnlockPromptOfGNOME(t *testing.T) {
	if _, err := os.Stat("/usr/share/dbus-1/services/org.gnome.keyring.SystemPrompter.service"); err != nil {
		t.Skip("NOT TESTED: GNOME's unlock prompt. Install the package gcr.")
	}
	onBus(t, "prompter", "", "DISPLAY="+screen(t), "NO_AT_BRIDGE=1")
}

func prompterSteps() error {
	ctx, key := context.Background(), "refresh/100@example.org"
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return err
	}
	s := System(testService)
	defer s.Close()
	stop, err := startKeyring(conn, true)
	if err != nil {
		return err
	}
	if err := s.Set(ctx, key, "the secret"); err != nil {
		return err
	}
	stop()
	if stop, err = startKeyring(conn, false); err != nil {
		return err
	}
	const prompter = "org.gnome.keyring.SystemPrompter"
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	if err := conn.AddMatchSignal(dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, prompter)); err != nil {
		return err
	}
	guard := s.backend.(*system).guard
	guard.limit, guard.stop = time.Second, 4*time.Second
	if _, err := s.Get(ctx, key); !errors.Is(err, ErrTimeout) || Cure(err) == "" {
		return fmt.Errorf("prompt open: %w", err)
	}
	for sig := range signals { // the prompt is really shown
		if len(sig.Body) == 3 && sig.Body[0] == prompter {
			break
		}
	}
	guard.turn <- struct{}{} // the call has ended
	<-guard.turn
	if err := expect(s, ErrLocked); err != nil {
		return fmt.Errorf("in the pause: %w", err)
	}
	stop()
	if stop, err = startKeyring(conn, true); err != nil {
		return err
	}
	defer stop()
	got, err := s.Get(ctx, key)
	if got != "the secret" {
		return fmt.Errorf("unlocked at last: %q, %w", got, err)
	}
	return nil
}

package keystore

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// A helper that cannot be started, one that ends at once, and one that answers
// nonsense.
func TestHelperFails(t *testing.T) {
	for name, command := range map[string]func() *exec.Cmd{
		"not there":  func() *exec.Cmd { return exec.Command("/nonexistent/waxseal", helperArgument) },
		"ends":       func() *exec.Cmd { return exec.Command("true") },
		"nonsense":   func() *exec.Cmd { return exec.Command("sh", "-c", "echo PASS; cat") },
		"not opened": func() *exec.Cmd { return &exec.Cmd{} },
	} {
		t.Run(name, func(t *testing.T) {
			s := System(testService)
			defer s.Close()
			s.backend.(*system).secrets.items.(*remote).command = command
			_, err := s.Get(t.Context(), "k")
			if !errors.Is(err, errHelper) || !strings.Contains(Cure(err), "--keystore file") {
				t.Errorf("%v; %s", err, Cure(err))
			}
		})
	}
}

// A helper that nobody needs is ended, and started again for the next call.
func TestHelperRests(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	r := newRemote(testService)
	defer r.close()
	for range 2 {
		if _, err := r.get(context.Background(), "k"); !errors.Is(err, ErrMissing) {
			t.Fatal(err)
		}
		process := r.run.cmd
		r.rest()
		if process.ProcessState == nil || r.run != nil {
			t.Fatal("it is still there")
		}
	}
}

// A program whose main does not call Helper does not start itself endlessly.
func TestHelperStartsNoOther(t *testing.T) {
	t.Setenv(helperMark, "1")
	s := System(testService)
	defer s.Close()
	if _, err := s.Get(t.Context(), "k"); !errors.Is(err, errHelper) {
		t.Error(err)
	}
}

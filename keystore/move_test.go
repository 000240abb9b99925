package keystore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

var moveKeys = []string{"refresh/a@x", "password/a@x", "client/1", "refresh/b@x", "absent"}

// The power fails at each change that a move makes, in either place. Afterwards the
// secrets are where they are recorded to be, and the same move again finishes the
// work.
func TestMoveStoppedAnywhere(t *testing.T) {
	done := false
	for steps := 0; !done; steps++ {
		from, to := newDrawer(), newDrawer()
		for _, key := range moveKeys[:4] {
			from.kept[key] = "secret of " + key
		}
		to.kept["refresh/b@x"] = "stale"
		place := "from" // what the configuration says
		settle := func() error { place = "to"; return nil }
		if steps < 4 { // the copying
			to.steps = steps
		}
		s, other := newSystem(from, maxSecret, false), newSystem(to, maxSecret, false)
		_, err := s.Move(t.Context(), other, moveKeys, func() error {
			from.steps = steps - 4 // the deleting
			return settle()
		})
		done = err == nil
		if done != (steps > 8) {
			t.Fatalf("stopped after %d changes: %v", steps, err)
		}
		from, to = from.after(), to.after()
		a, b := newSystem(from, maxSecret, false), newSystem(to, maxSecret, false)
		inUse := a
		if place == "to" {
			inUse = b
		}
		wantMoved(t, inUse, fmt.Sprint("stopped after ", steps))
		if place == "from" {
			_, err = a.Move(t.Context(), b, moveKeys, settle)
		} else {
			_, err = b.Gather(t.Context(), a, moveKeys, settle)
		}
		if err != nil || len(from.kept) != 0 {
			t.Fatalf("stopped after %d changes, and again: %v, left %v", steps, err, from.kept)
		}
		wantMoved(t, newSystem(to, maxSecret, false), "again")
	}
}

func wantMoved(t *testing.T, s *Store, when string) {
	t.Helper()
	for _, key := range moveKeys[:4] {
		if got, err := s.Get(context.Background(), key); got != "secret of "+key {
			t.Fatalf("%s: %s is %q, %v", when, key, got, err)
		}
	}
}

// After a move the Store can be used as before. During it, secrets do not change.
func TestMoveInUse(t *testing.T) {
	s := Memory()
	for _, key := range moveKeys[:4] {
		if err := s.Set(t.Context(), key, "secret of "+key); err != nil {
			t.Fatal(err)
		}
	}
	file := testFile(t, filepath.Join(safeiotest.Dir(t), "secrets"), "passphrase")
	moved, err := s.Move(t.Context(), file, moveKeys, func() error {
		if err := s.Set(t.Context(), "refresh/a@x", "lost"); !errors.Is(err, ErrUnavailable) || Cure(err) == "" {
			t.Errorf("a change in the middle of a move: %v", err)
		}
		wantMoved(t, s, "in the middle")
		return nil
	})
	if moved != 4 || err != nil || s.Kind() != "file" {
		t.Fatalf("moved %d into the %s, %v", moved, s.Kind(), err)
	}
	defer s.Close()
	wantMoved(t, s, "moved")
	if err := s.Set(t.Context(), "refresh/a@x", "new"); err != nil || s.Err() != nil {
		t.Error(err, s.Err())
	}
}

// If secrets cannot be stored in the new place, or the new place cannot be recorded,
// they stay where they are.
func TestMoveRefused(t *testing.T) {
	from, to := newDrawer(), newDrawer()
	from.kept["refresh/a@x"] = "token"
	s := newSystem(from, maxSecret, false)
	to.forget = true
	never := func() error { t.Error("the new place was recorded all the same"); return nil }
	if _, err := s.Move(t.Context(), newSystem(to, maxSecret, false), moveKeys, never); err == nil {
		t.Error("moved to a store that forgets")
	}
	full := errors.New("disk full")
	to.forget = false
	if _, err := s.Move(t.Context(), newSystem(to, maxSecret, false), moveKeys, func() error { return full }); !errors.Is(err, full) {
		t.Error(err)
	}
	if got, err := s.Get(t.Context(), "refresh/a@x"); got != "token" {
		t.Error(got, err)
	}
}

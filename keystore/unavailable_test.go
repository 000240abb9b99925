package keystore

import (
	"errors"
	"testing"
)

func TestUnavailable(t *testing.T) {
	cause := errors.New("it needs a passphrase")
	s := Unavailable("file", cause, "give one")
	_, err := s.Get(t.Context(), "password/me@x")
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, cause) || errors.Is(err, ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if Cure(err) != "give one" {
		t.Errorf("its cure is %q", Cure(err))
	}
	if err := s.Set(t.Context(), "password/me@x", "secret"); !errors.Is(err, cause) {
		t.Errorf("Set: %v", err)
	}
	if s.Kind() != "file" || !errors.Is(s.Err(), cause) {
		t.Errorf("kind %q, %v", s.Kind(), s.Err())
	}
	if err := Unavailable("file", cause, "give one").Err(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("before the first call: %v", err)
	}
}

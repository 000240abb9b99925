package keystore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

// Each failure has a reason of its own and, in each kind of store, a cure of one
// sentence.
func TestCure(t *testing.T) {
	for _, kind := range Names(false) {
		for _, f := range failures {
			wrapped := fmt.Errorf("token: %w", &callError{"read", "k", kind, fmt.Errorf("%w: detail", f.err)})
			text := Cure(wrapped)
			if !strings.HasSuffix(text, ".") || strings.Contains(text, ". ") {
				t.Errorf("%s, %v: not one sentence: %q", kind, f.err, text)
			}
			if got := ReasonOf(wrapped); got != f.reason {
				t.Errorf("%s, %v: reason %q", kind, f.err, got)
			}
			if !errors.Is(f.err, ErrUnavailable) {
				t.Errorf("%v is not an ErrUnavailable", f.err)
			}
		}
	}
	for _, err := range []error{nil, ErrNotFound, errArgument, context.Canceled, fs.ErrNotExist} {
		if text, reason := Cure(err), ReasonOf(err); text != "" || reason != "" {
			t.Errorf("%v: cure %q, reason %q", err, text, reason)
		}
	}
	file := Cure(&callError{"read", "k", FileKind, ErrDenied})
	if system := Cure(&callError{"read", "k", SystemKind, ErrDenied}); file == system {
		t.Error("a wrong passphrase and a refused keychain have one cure")
	}
}

// A helper process's answer means the same error on the other side.
func TestReasonsCrossTheHelper(t *testing.T) {
	for _, f := range failures {
		got := refuse(fmt.Errorf("%w: a detail", f.err)).err()
		if ReasonOf(got) != f.reason || !strings.Contains(got.Error(), "a detail") {
			t.Errorf("%v became %v, %q", f.err, got, ReasonOf(got))
		}
	}
	for want, err := range map[error]error{
		ErrNotFound:    refuse(ErrNotFound).err(),
		ErrUnavailable: refuse(errors.New("anything")).err(),
		nil:            response{Secret: []byte("s")}.err(),
	} {
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if err := (response{Kind: "of a newer version"}).err(); ReasonOf(err) != ReasonUnknown {
		t.Errorf("an unknown word became %v", err)
	}
}

func TestErrorSaysWhatAndWhere(t *testing.T) {
	s := Memory()
	s.Fail(fmt.Errorf("%w: a detail", ErrLocked))
	_, err := s.Get(t.Context(), "refresh/me@example.org")
	const want = "read refresh/me@example.org in memory: it is locked: a detail"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

package keystore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

// kinds are the stores that every guarantee is checked on. The system's keychain
// has small items, in memory, so that secrets are split.
func kinds(t *testing.T) map[string]*Store {
	t.Helper()
	stores := map[string]*Store{
		"memory": Memory(),
		"file":   testFile(t, filepath.Join(safeiotest.Dir(t), "secrets"), "passphrase"),
		"system": newSystem(newDrawer(), 16, true),
	}
	for _, s := range stores {
		t.Cleanup(func() { s.Close() })
	}
	return stores
}

// noise is a secret of arbitrary bytes, the same in every run.
func noise(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return string(b)
}

func TestRoundTrip(t *testing.T) {
	secrets := map[string]string{
		"empty":       "",
		"one byte":    "x",
		"a token":     "1//0eXAMPLE-refresh_token.with~signs",
		"not UTF-8":   "\xff\xfe\x00\x80",
		"lines":       "a\r\nb\nc\x00",
		"utf-8":       "пароль 密码",
		"like a head": headPrefix + "a:1:" + strings.Repeat("0", 64),
		"a prefix":    headPrefix,
		"one item":    noise(16),
		"two items":   noise(17),
		"8 KiB":       noise(8192),
		"the limit":   noise(maxSecret),
	}
	for kind, s := range kinds(t) {
		t.Run(kind, func(t *testing.T) {
			ctx := t.Context()
			if s.Kind() != kind {
				t.Errorf("Kind() = %q", s.Kind())
			}
			const key = `refresh/"a b"@example.org`
			if _, err := s.Get(ctx, key); !errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnavailable) {
				t.Fatalf("Get of an absent key: %v", err)
			}
			if err := s.Delete(ctx, key); err != nil {
				t.Fatalf("Delete of an absent key: %v", err)
			}
			for name, secret := range secrets {
				if err := s.Set(ctx, key, secret); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got, err := s.Get(ctx, key); err != nil || got != secret {
					t.Errorf("%s: got %d bytes, %v", name, len(got), err)
				}
			}
			if err := s.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(ctx, key); !errors.Is(err, ErrNotFound) {
				t.Errorf("Get after Delete: %v", err)
			}
		})
	}
}

func TestKeysDoNotMix(t *testing.T) {
	for kind, s := range kinds(t) {
		t.Run(kind, func(t *testing.T) {
			keys := []string{"refresh/a@x", "refresh/A@x", "password/a@x", "refresh/a@x#a0", "refresh/ä@x", "client/refresh/a@x"}
			for i, key := range keys {
				if err := s.Set(t.Context(), key, fmt.Sprint("a secret of its own, number ", i)); err != nil {
					t.Fatal(err)
				}
			}
			for i, key := range keys {
				if got, err := s.Get(t.Context(), key); got != fmt.Sprint("a secret of its own, number ", i) {
					t.Errorf("%s: %q, %v", key, got, err)
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	keys := map[string]string{
		"empty": "", "long": strings.Repeat("k", maxKey+1), "line end": "a\nb",
		"NUL": "a\x00b", "not UTF-8": "a\xff", "a part's": partPrefix + "a0/x",
	}
	const secret = "SECRET-VALUE"
	for kind, s := range kinds(t) {
		t.Run(kind, func(t *testing.T) {
			for name, key := range keys {
				if err := s.Set(t.Context(), key, secret); !errors.Is(err, errArgument) || strings.Contains(err.Error(), secret) {
					t.Errorf("%s: %v", name, err)
				}
			}
			err := s.Set(t.Context(), "k", strings.Repeat(secret, maxSecret/len(secret)+1))
			if !errors.Is(err, errArgument) || strings.Contains(err.Error(), secret) {
				t.Errorf("a huge secret: %.200v", err)
			}
			if errors.Is(err, ErrUnavailable) || s.Err() != nil {
				t.Errorf("a caller's mistake counts as the store's: %.200v", s.Err())
			}
		})
	}
}

func TestFinishedContext(t *testing.T) {
	for kind, s := range kinds(t) {
		t.Run(kind, func(t *testing.T) {
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.Set(cancelled, "k", "v"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
				t.Errorf("cancelled: %v", err)
			}
			past, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
			defer cancel()
			_, err := s.Get(past, "k")
			if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("past its deadline: %v", err)
			}
			if _, err := s.Get(t.Context(), "k"); !errors.Is(err, ErrNotFound) {
				t.Errorf("the cancelled Set was done: %v", err)
			}
		})
	}
}

func TestClosed(t *testing.T) {
	for kind, s := range kinds(t) {
		t.Run(kind, func(t *testing.T) {
			for range 2 {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			_, err := s.Get(t.Context(), "k")
			if !errors.Is(err, ErrUnavailable) || Cure(err) == "" {
				t.Errorf("Get after Close: %v", err)
			}
		})
	}
}

func TestFail(t *testing.T) {
	s := Memory()
	if err := s.Set(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	s.Fail(ErrLocked)
	_, get := s.Get(t.Context(), "k")
	set, del := s.Set(t.Context(), "k", "w"), s.Delete(t.Context(), "k")
	for _, err := range []error{get, set, del} {
		if !errors.Is(err, ErrLocked) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("while it fails: %v", err)
		}
	}
	if !errors.Is(s.Err(), ErrLocked) {
		t.Errorf("Err() = %v", s.Err())
	}
	s.Fail(nil)
	if got, err := s.Get(t.Context(), "k"); got != "v" || s.Err() != nil {
		t.Errorf("afterwards: %q, %v, Err() = %v", got, err, s.Err())
	}
	s.Fail(ErrTimeout)
	s.Get(t.Context(), "absent")
	s.Fail(nil)
	if _, err := s.Get(t.Context(), "absent"); !errors.Is(err, ErrNotFound) || s.Err() != nil {
		t.Errorf("an absent secret: %v, Err() = %v", err, s.Err())
	}
}

// A hanging keychain from start to end, as a caller sees it.
func TestHangingKeychain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := newDrawer()
		ring.kept["k"] = "v"
		s := newSystem(ring, maxSecret, false)
		answer := ring.hang()
		if _, err := s.Get(t.Context(), "k"); !errors.Is(err, ErrTimeout) {
			t.Fatalf("unanswered prompt: %v", err)
		}
		start := time.Now()
		for range 1000 {
			if err := s.Set(t.Context(), "k", "w"); !errors.Is(err, ErrTimeout) {
				t.Fatalf("while a prompt is open: %v", err)
			}
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("callers waited %v for the prompt", waited)
		}
		s.Close() // does not wait for the prompt
		s.closed.Store(false)
		close(answer)
		synctest.Wait()
		if got, err := s.Get(t.Context(), "k"); got != "v" {
			t.Errorf("after the prompt was answered: %q, %v", got, err)
		}
	})
}

package seal

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const work = 2 // nobody guesses in a test

func TestKeyOpensWithItsPassphraseOnly(t *testing.T) {
	key, wrapped, err := NewKey("correct horse", work)
	if err != nil {
		t.Fatal(err)
	}
	data, err := key.Encrypt([]byte("secret"))
	if err != nil || bytes.Contains(data, []byte("secret")) {
		t.Fatalf("encrypted %q, %v", data, err)
	}
	flipped := bytes.Clone(wrapped)
	flipped[len(flipped)-1] ^= 1
	for _, tt := range []struct {
		name       string
		wrapped    []byte
		passphrase string
		maxWork    int
		want       error
	}{
		{"right", wrapped, "correct horse", MaxWork, nil},
		{"wrong passphrase", wrapped, "correct horse ", MaxWork, ErrPassphrase},
		{"a bit flipped", flipped, "correct horse", MaxWork, ErrDamaged},
		{"cut short", wrapped[:len(wrapped)/2], "correct horse", MaxWork, ErrDamaged},
		{"empty", nil, "correct horse", MaxWork, ErrDamaged},
		{"not age", []byte("hello"), "correct horse", MaxWork, ErrDamaged},
		{"more work than is allowed", wrapped, "correct horse", work - 1, ErrDamaged},
		{"for a key, not a passphrase", data, "correct horse", MaxWork, ErrPassphrase},
	} {
		opened, err := OpenKey(tt.wrapped, tt.passphrase, tt.maxWork)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			continue
		}
		if err != nil {
			if strings.Contains(err.Error(), "horse") {
				t.Errorf("%s: the error has the passphrase: %v", tt.name, err)
			}
			continue
		}
		if plain, err := opened.Decrypt(data); string(plain) != "secret" || err != nil {
			t.Errorf("%s: decrypted %q, %v", tt.name, plain, err)
		}
	}
	other, _, err := NewKey("correct horse", work)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Decrypt(data); !errors.Is(err, ErrDamaged) {
		t.Errorf("another key: %v", err)
	}
}

// The age program alone opens what it is in, so nobody needs Waxseal to get at their own secrets.
func TestAgeOpensBoth(t *testing.T) {
	key, wrapped, err := NewKey("p", work)
	if err != nil {
		t.Fatal(err)
	}
	data, err := key.Encrypt([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	with, err := age.NewScryptIdentity("p")
	if err != nil {
		t.Fatal(err)
	}
	open := func(data []byte, with age.Identity) string {
		t.Helper()
		r, err := age.Decrypt(bytes.NewReader(data), with)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(plain)
	}
	identity, err := age.ParseX25519Identity(open(wrapped, with))
	if err != nil {
		t.Fatal(err)
	}
	if got := open(data, identity); got != "secret" {
		t.Errorf("age gives %q", got)
	}
}

func FuzzOpenKey(f *testing.F) {
	key, wrapped, err := NewKey("p", work)
	if err != nil {
		f.Fatal(err)
	}
	data, err := key.Encrypt([]byte("secret"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wrapped)
	f.Add(data)
	f.Add([]byte(armor.Header))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := OpenKey(data, "p", work); err != nil && !errors.Is(err, ErrPassphrase) && !errors.Is(err, ErrDamaged) {
			t.Errorf("an error of another kind: %v", err)
		}
		if _, err := key.Decrypt(data); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("an error of another kind: %v", err)
		}
	})
}

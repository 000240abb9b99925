package keystore

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/keystore/seal"
)

// The age program alone can read the secrets, as the file's first line promises.
func TestFileIsTwoAgeFiles(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "secrets")
	mustSet(t, testFile(t, path, "p"), "k", "v\xff")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, sealed, err := cut(data)
	if err != nil {
		t.Fatal(err)
	}
	passphrase, _ := age.NewScryptIdentity("p")
	key, err := openWithAge(wrapped, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(key))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := openWithAge(sealed, identities[0])
	var got map[string][]byte
	if err != nil || json.Unmarshal(plain, &got) != nil || string(got["k"]) != "v\xff" {
		t.Errorf("%q, %v", got, err)
	}
}

func openWithAge(text []byte, with age.Identity) ([]byte, error) {
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(text)), with)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// Any bytes as a file: there is no panic, the error has a type, and a file that
// opens has the content that was sealed, since nobody can make another without the
// passphrase.
func FuzzFile(f *testing.F) {
	cheap := safe{"p", 1, 2}
	data, err := cheap.seal(&content{secrets: map[string][]byte{"k": []byte("v")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := cheap.open(data, nil)
		switch {
		case err == nil && (len(c.secrets) != 1 || string(c.secrets["k"]) != "v"):
			t.Errorf("opened as %q", c.secrets)
		case err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrDenied):
			t.Errorf("untyped: %v", err)
		}
	})
}

// FuzzSecrets tries the content inside the encryption, which FuzzFile hardly
// reaches.
func FuzzSecrets(f *testing.F) {
	f.Add([]byte(`{"refresh/me@example.org":"dG9rZW4="}`))
	f.Add([]byte(`{"k":null}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, plain []byte) {
		secrets, err := parseSecrets(plain)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("untyped: %v", err)
			}
			return
		}
		c := &content{secrets: secrets}
		next := c.with([]*change{{key: "k", secret: []byte("v")}})
		again, err := json.Marshal(next.secrets)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseSecrets(again); err != nil || string(back["k"]) != "v" {
			t.Errorf("%q, %v", back, err)
		}
	})
}

func BenchmarkFileOpen(b *testing.B) {
	s := safe{"passphrase", seal.Work, seal.MaxWork}
	data, err := s.seal(&content{secrets: map[string][]byte{"k": []byte("v")}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.open(data, nil); err != nil {
			b.Fatal(err)
		}
	}
}

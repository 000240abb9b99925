package keystore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

	"filippo.io/age/armor"

	"github.com/waxseal/waxseal/keystore/seal"
)

const (
	firstLine = "# Waxseal keystore, version 1. Two age files: a key, encrypted with the passphrase, and the secrets, encrypted to that key.\n"
	fileMark  = "# Waxseal keystore, version "
)

// content is what the encrypted file contains. It is replaced, never changed.
type content struct {
	secrets map[string][]byte
	key     *seal.Key // nil until there is a file
	wrapped []byte    // key, encrypted with the passphrase, in armor
}

// with answers the content after a batch of changes.
func (c *content) with(batch []*change) *content {
	next := *c
	next.secrets = maps.Clone(c.secrets)
	if next.secrets == nil {
		next.secrets = make(map[string][]byte)
	}
	for _, change := range batch {
		if change.secret == nil {
			delete(next.secrets, change.key)
		} else {
			next.secrets[change.key] = change.secret
		}
	}
	return &next
}

// safe turns content into a file's bytes and back.
//
// The file is text: a line that says what it is, then two armored age files.
// The first is an X25519 identity encrypted with the passphrase; scrypt makes
// that slow, and it happens once each time the file is opened. The second is a
// JSON object that maps keys to base64 secrets, encrypted to that identity. This
// is fast, and it is all that changes from write to write. The age program alone
// can open both.
type safe struct {
	passphrase string
	work       int // scrypt's cost for a new file
	maxWork    int // the largest cost accepted in an existing file
}

// seal makes the file's bytes. It gives c a key if c has none yet.
func (s safe) seal(c *content) ([]byte, error) {
	if c.key == nil {
		if err := s.wrap(c); err != nil {
			return nil, err
		}
	}
	plain, err := json.Marshal(c.secrets)
	if err != nil {
		return nil, err
	}
	sealed, err := c.key.Encrypt(plain)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{[]byte(firstLine), c.wrapped, inArmor(sealed)}, nil), nil
}

func (s safe) wrap(c *content) error {
	key, wrapped, err := seal.NewKey(s.passphrase, s.work)
	if err != nil {
		return err
	}
	c.key, c.wrapped = key, inArmor(wrapped)
	return nil
}

// open reads a file's bytes. It does not derive the key again if the file still
// has the key of the content before, which may be nil.
func (s safe) open(data []byte, before *content) (*content, error) {
	wrapped, sealed, err := cut(data)
	if err != nil {
		return nil, err
	}
	c := &content{wrapped: wrapped}
	if before != nil && before.key != nil && bytes.Equal(before.wrapped, wrapped) {
		c.key = before.key
	} else if c.key, err = s.unwrap(wrapped); err != nil {
		return nil, err
	}
	data, err = outOfArmor(sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: the secrets: %w", ErrDamaged, err)
	}
	plain, err := c.key.Decrypt(data)
	if err != nil {
		return nil, fmt.Errorf("%w: the secrets: %w", ErrDamaged, err)
	}
	if c.secrets, err = parseSecrets(plain); err != nil {
		return nil, err
	}
	return c, nil
}

func (s safe) unwrap(wrapped []byte) (*seal.Key, error) {
	data, err := outOfArmor(wrapped)
	if err != nil {
		return nil, fmt.Errorf("%w: the key: %w", ErrDamaged, err)
	}
	key, err := seal.OpenKey(data, s.passphrase, s.maxWork)
	switch {
	case errors.Is(err, seal.ErrPassphrase):
		return nil, fmt.Errorf("%w: %w", ErrDenied, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return key, nil
}

// cut finds the two age files.
func cut(data []byte) (wrapped, sealed []byte, err error) {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	if !ok || !bytes.HasPrefix(line, []byte(fileMark)) {
		return nil, nil, fmt.Errorf("%w: this is not a Waxseal keystore", ErrDamaged)
	}
	if string(line)+"\n" != firstLine {
		return nil, nil, fmt.Errorf("%w: another version of Waxseal wrote it", ErrDamaged)
	}
	end := []byte(armor.Footer + "\n")
	i := bytes.Index(rest, end)
	if i < 0 {
		return nil, nil, fmt.Errorf("%w: it is cut short", ErrDamaged)
	}
	i += len(end)
	return rest[:i:i], rest[i:], nil
}

func parseSecrets(plain []byte) (map[string][]byte, error) {
	var secrets map[string][]byte
	if err := json.Unmarshal(plain, &secrets); err != nil {
		// The JSON error is left out, because it may quote a secret.
		return nil, fmt.Errorf("%w: the list of secrets cannot be read", ErrDamaged)
	}
	return secrets, nil
}

func inArmor(data []byte) []byte {
	var out bytes.Buffer
	w := armor.NewWriter(&out)
	w.Write(data) // a buffer takes everything
	w.Close()
	return out.Bytes()
}

func outOfArmor(text []byte) ([]byte, error) {
	return io.ReadAll(armor.NewReader(bytes.NewReader(text)))
}

package keystore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const (
	// scryptWork is the base 2 logarithm of scrypt's cost for new files. Each
	// start of the program pays it once, before the first message can go out, so
	// it is set for about 100 ms and 32 MB on an ordinary machine; the age
	// program's own 18 takes a second and 256 MB. It is a program that reads
	// Waxseal's passphrase, so the passphrase can be long and random; a second of
	// work would not save a short one.
	scryptWork = 15
	// scryptMaxWork limits the work that a strange file can cause: four seconds.
	scryptMaxWork = 20

	firstLine = "# Waxseal keystore, version 1. Two age files: a key, encrypted with the passphrase, and the secrets, encrypted to that key.\n"
	fileMark  = "# Waxseal keystore, version "
)

// content is what the encrypted file contains. It is replaced, never changed.
type content struct {
	secrets  map[string][]byte
	identity *age.X25519Identity // nil until there is a file
	wrapped  []byte              // identity, encrypted with the passphrase
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

// seal makes the file's bytes. It gives c an identity if c has none yet.
func (s safe) seal(c *content) ([]byte, error) {
	if c.identity == nil {
		if err := s.wrap(c); err != nil {
			return nil, err
		}
	}
	plain, err := json.Marshal(c.secrets)
	if err != nil {
		return nil, err
	}
	sealed, err := encrypt(plain, c.identity.Recipient())
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{[]byte(firstLine), c.wrapped, sealed}, nil), nil
}

func (s safe) wrap(c *content) error {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	recipient, err := age.NewScryptRecipient(s.passphrase)
	if err != nil {
		return err
	}
	recipient.SetWorkFactor(s.work)
	wrapped, err := encrypt([]byte(identity.String()), recipient)
	if err != nil {
		return err
	}
	c.identity, c.wrapped = identity, wrapped
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
	if before != nil && before.identity != nil && bytes.Equal(before.wrapped, wrapped) {
		c.identity = before.identity
	} else if c.identity, err = s.unwrap(wrapped); err != nil {
		return nil, err
	}
	plain, err := decrypt(sealed, c.identity)
	if err != nil {
		return nil, fmt.Errorf("%w: the secrets: %w", ErrDamaged, err)
	}
	if c.secrets, err = parseSecrets(plain); err != nil {
		return nil, err
	}
	return c, nil
}

func (s safe) unwrap(wrapped []byte) (*age.X25519Identity, error) {
	key, err := age.NewScryptIdentity(s.passphrase)
	if err != nil {
		return nil, err
	}
	key.SetMaxWorkFactor(s.maxWork)
	plain, err := decrypt(wrapped, key)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, fmt.Errorf("%w: the passphrase is wrong", ErrDenied)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the key: %w", ErrDamaged, err)
	}
	identity, err := age.ParseX25519Identity(string(plain))
	if err != nil {
		return nil, fmt.Errorf("%w: the key is not an age identity", ErrDamaged)
	}
	return identity, nil
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

func encrypt(plain []byte, to age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func decrypt(data []byte, with age.Identity) ([]byte, error) {
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(data)), with)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

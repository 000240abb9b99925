// Package seal encrypts with age: a key that a passphrase opens, and data that the key opens.
//
// Opening the key is slow on purpose and happens once; the data are quick. The age program alone can
// open both.
package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

const (
	// Work is the base 2 logarithm of scrypt's cost for new keys. Each start of the program pays it once,
	// before the first message can go out, so it is set for about 100 ms and 32 MB on an ordinary machine;
	// the age program's own 18 takes a second and 256 MB. It is a program that reads Waxseal's passphrase,
	// so the passphrase can be long and random; a second of work would not save a short one.
	Work = 15
	// MaxWork limits the work that a strange key can cause: four seconds.
	MaxWork = 20
)

var (
	ErrPassphrase = errors.New("the passphrase is wrong")
	ErrDamaged    = errors.New("it is damaged")
)

// Key encrypts data and decrypts it again.
type Key struct{ identity *age.X25519Identity }

// NewKey makes a key, and returns with it the same key encrypted with a passphrase, at a cost of 2^work.
func NewKey(passphrase string, work int) (key *Key, wrapped []byte, err error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, nil, err
	}
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, nil, err
	}
	to.SetWorkFactor(work)
	wrapped, err = encrypt([]byte(identity.String()), to)
	return &Key{identity}, wrapped, err
}

// OpenKey decrypts a key with its passphrase. The error is ErrPassphrase or ErrDamaged, wrapped; a key that
// costs more than 2^maxWork counts as damaged.
func OpenKey(wrapped []byte, passphrase string, maxWork int) (*Key, error) {
	with, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	with.SetMaxWorkFactor(maxWork)
	plain, err := decrypt(wrapped, with)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the key: %w", ErrDamaged, err)
	}
	identity, err := age.ParseX25519Identity(string(plain))
	if err != nil {
		return nil, fmt.Errorf("%w: the key is not an age identity", ErrDamaged)
	}
	return &Key{identity}, nil
}

// Encrypt makes binary age data of plain.
func (k *Key) Encrypt(plain []byte) ([]byte, error) { return encrypt(plain, k.identity.Recipient()) }

// Decrypt is the inverse of Encrypt. Its error is ErrDamaged, wrapped.
func (k *Key) Decrypt(data []byte) ([]byte, error) {
	plain, err := decrypt(data, k.identity)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return plain, nil
}

func encrypt(plain []byte, to age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func decrypt(data []byte, with age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(data), with)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

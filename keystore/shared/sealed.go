package shared

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/seal"
)

// open reports whether a record is kept as it is.
func open(key string) bool {
	return key == metaKey || key == sealKey || strings.HasPrefix(key, instancePrefix) || strings.HasPrefix(key, countPrefix) || strings.HasPrefix(key, placesPrefix)
}

// unlock opens the fleet's key, and makes one if there is none yet.
func (s *Store) unlock(ctx context.Context, list []Record) error {
	find := func(key string) Record {
		if i := slices.IndexFunc(list, func(r Record) bool { return r.Key == key }); i >= 0 {
			return list[i]
		}
		return Record{Key: key}
	}
	var meta struct {
		Format int `json:"format"`
	}
	if r := find(metaKey); r.Value == nil {
		text, _ := json.Marshal(map[string]int{"format": format})
		if _, err := s.o.Engine.Swap(ctx, metaKey, text, 0); err != nil && !errors.Is(err, ErrChanged) {
			return keystore.Failed(keystore.EtcdKind, "write", metaKey, err)
		}
	} else if err := json.Unmarshal(r.Value, &meta); err != nil || meta.Format < 1 {
		return fatal(fmt.Errorf("%w: %s is not one of Waxseal’s records; is the prefix right?", keystore.ErrDamaged, metaKey))
	} else if meta.Format > format {
		return fatal(fmt.Errorf("%w: a newer version of Waxseal has changed the records; update this machine", keystore.ErrDamaged))
	}
	wrapped := find(sealKey)
	if wrapped.Value == nil {
		_, fresh, err := seal.NewKey(s.o.Passphrase, s.o.Work)
		if err != nil {
			return &fatalError{err}
		}
		// Another machine that begins at the same moment makes one too; the first that is written counts.
		wrapped, err = s.o.Engine.Swap(ctx, sealKey, fresh, 0)
		if err != nil && !errors.Is(err, ErrChanged) {
			return keystore.Failed(keystore.EtcdKind, "write", sealKey, err)
		}
	}
	s.mu.RLock()
	known := s.key != nil && s.wrapped == string(wrapped.Value)
	s.mu.RUnlock()
	if known {
		return nil
	}
	key, err := seal.OpenKey(wrapped.Value, s.o.Passphrase, seal.MaxWork)
	switch {
	case errors.Is(err, seal.ErrPassphrase):
		return fatal(fmt.Errorf("%w: the passphrase is not that of the records in etcd", keystore.ErrDenied))
	case err != nil:
		return fatal(fmt.Errorf("%w: the key of the records in etcd: %w", keystore.ErrDamaged, err))
	}
	s.mu.Lock()
	s.key, s.wrapped = key, string(wrapped.Value)
	s.mu.Unlock()
	return nil
}

// hasOtherKey reports whether a seal is another one than that which was opened: somebody has begun anew.
func (s *Store) hasOtherKey(seal Record) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return seal.Value != nil && s.key != nil && string(seal.Value) != s.wrapped
}

// decrypt returns a record as it was given to Swap.
func (s *Store) decrypt(r Record) (Record, error) {
	if r.Value == nil || open(r.Key) {
		return r, nil
	}
	s.mu.RLock()
	k := s.key
	s.mu.RUnlock()
	plain, err := k.Decrypt(r.Value)
	if err != nil {
		return r, fmt.Errorf("%w: it was not encrypted with this fleet’s key", keystore.ErrDamaged)
	}
	name, value, ok := strings.Cut(string(plain), "\n")
	if !ok || name != r.Key {
		return r, fmt.Errorf("%w: it was written under another name", keystore.ErrDamaged)
	}
	r.Value = []byte(value)
	return r, nil
}

// write has the engine swap a record, whose result is as it is there, encrypted.
func (s *Store) write(ctx context.Context, key string, value []byte, revision int64) (now Record, err error) {
	if value != nil && !open(key) {
		s.mu.RLock()
		k := s.key
		s.mu.RUnlock()
		if value, err = k.Encrypt(append([]byte(key+"\n"), value...)); err != nil {
			return Record{}, fmt.Errorf("encrypt %s: %w", key, err)
		}
	}
	err = s.call(ctx, "swap", func() (err error) {
		now, err = s.o.Engine.Swap(ctx, key, value, revision)
		return err
	})
	return now, err
}

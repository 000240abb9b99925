package keystore

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// movers is how many secrets are moved at a time: the encrypted file writes the
// changes that come together at once.
const movers = 32

// Move takes the secrets under keys, as far as they exist, from s to the place of
// other, which s uses from then on; do not use other any more. Each secret is read
// back and compared. Then Move calls settle, which records where the secrets are
// now; only if that works are the old ones deleted. After an error, or if the
// program ends at any point, nothing is lost and Move can be called again; once
// settle has worked, call [Store.Gather] instead.
//
// Meanwhile secrets can be read, but changes fail with [ErrUnavailable].
func (s *Store) Move(ctx context.Context, other *Store, keys []string, settle func() error) (moved int, err error) {
	s.writes.Lock()
	defer s.writes.Unlock()
	from := s.here()
	if moved, err = carry(ctx, from, other, keys, true); err != nil {
		return 0, err
	}
	if err := settle(); err != nil {
		return 0, err
	}
	s.place.Lock()
	s.kind, s.backend, s.warning = other.kind, other.backend, other.warning
	s.place.Unlock()
	defer from.Close()
	return moved, forget(ctx, from, keys)
}

// Gather finishes a Move into s that left secrets in other: it takes from there
// what is missing in s and deletes the rest. The caller still closes other.
func (s *Store) Gather(ctx context.Context, other *Store, keys []string, settle func() error) (moved int, err error) {
	s.writes.Lock()
	defer s.writes.Unlock()
	if moved, err = carry(ctx, other, s.here(), keys, false); err != nil {
		return 0, err
	}
	if err := settle(); err != nil {
		return 0, err
	}
	return moved, forget(ctx, other, keys)
}

// here is a Store of the place in which s keeps its secrets now.
func (s *Store) here() *Store {
	kind, backend := s.where()
	return &Store{kind: kind, backend: backend}
}

// carry copies secrets and reads them back. With over it overwrites those that to
// already has.
func carry(ctx context.Context, from, to *Store, keys []string, over bool) (moved int, err error) {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(movers)
	copied := make([]bool, len(keys))
	for i, key := range keys {
		work.Go(func() error {
			secret, err := from.Get(ctx, key)
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			there, err := to.Get(ctx, key)
			switch {
			case err == nil && (there == secret || !over):
				return nil
			case err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNoKeyring): // writing may make one
				return err
			}
			if err := to.Set(ctx, key, secret); err != nil {
				return err
			}
			if there, err = to.Get(ctx, key); err == nil && there != secret {
				err = fmt.Errorf("%s: %w: %s does not give it back as it was stored", key, ErrUnavailable, labelOf(to.kind))
			}
			copied[i] = err == nil
			return err
		})
	}
	err = work.Wait()
	for _, c := range copied {
		if c {
			moved++
		}
	}
	return moved, err
}

func forget(ctx context.Context, from *Store, keys []string) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(movers)
	for _, key := range keys {
		work.Go(func() error { return from.Delete(ctx, key) })
	}
	if err := work.Wait(); err != nil {
		return fmt.Errorf("the secrets have been moved, but some old copies could not be deleted; run the same move again to delete them: %w", err)
	}
	return nil
}

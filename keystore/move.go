package keystore

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// movers is how many secrets are on the move at a time: a keystore file writes
// what comes together in one go.
const movers = 32

// Move takes the secrets under keys, those that are there, from s to other,
// which then takes the place of s: s keeps them there from then on, and other
// is not to be used any more. Each is read back and compared. Then settle is
// called, which writes down where the secrets are; only when that worked are
// the old ones deleted. After an error, or an end at any point, nothing is lost
// and Move can be called again; from settle on that is for [Store.Gather].
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
	s.kind, s.backend = other.kind, other.backend
	s.place.Unlock()
	defer from.Close()
	return moved, forget(ctx, from, keys)
}

// Gather ends what a Move into s has left over in other: what is missing in s
// is taken from there, the rest deleted. Other stays the caller's.
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

// here is a Store of the place where s keeps its secrets now.
func (s *Store) here() *Store {
	kind, backend := s.where()
	return &Store{kind: kind, backend: backend}
}

// carry copies secrets and makes sure of it. Those that are in to already are
// written over if over is set.
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
		return fmt.Errorf("the secrets are moved, but old ones are left over; move them again to delete those: %w", err)
	}
	return nil
}

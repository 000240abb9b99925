package shared

import (
	"context"
	"strings"
	"time"

	"github.com/waxseal/waxseal/keystore"
)

// loadPatience is how long a secret is waited for while the records are being loaded.
const loadPatience = 5 * time.Second

// refreshPrefix begins the keys under which package oauth keeps refresh tokens. Here they are part of the
// account's [Grant].
const refreshPrefix = "refresh/"

// secrets makes a Store a kind of keystore.
type secrets struct{ s *Store }

// Secrets is the store as a kind of keystore. Its Close closes the store.
func (s *Store) Secrets() keystore.Backend { return secrets{s} }

func (k secrets) Get(ctx context.Context, key string) (string, error) {
	if err := k.wait(ctx); err != nil {
		return "", err
	}
	if account, ok := strings.CutPrefix(key, refreshPrefix); ok {
		g, _, err := k.s.Grant(account)
		if err == nil && g.Refresh == "" {
			err = keystore.ErrNotFound
		}
		return g.Refresh, err
	}
	r, err := k.s.Get(key)
	if err == nil && r.Value == nil {
		err = keystore.ErrNotFound
	}
	return string(r.Value), err
}

// Set stores a secret. A refresh token begins a new generation, and all that came of the one before is forgotten.
func (k secrets) Set(ctx context.Context, key, secret string) error {
	if account, ok := strings.CutPrefix(key, refreshPrefix); ok {
		err := k.change(ctx, GrantKey(account), func(revision int64) error {
			was, _, _ := k.s.Grant(account) // one that is damaged is replaced
			_, err := k.s.SwapGrant(ctx, account, Grant{Gen: was.NextGen(), Refresh: secret}, revision)
			return err
		})
		if err == nil {
			k.s.Spilled(account)
		}
		return err
	}
	return k.change(ctx, key, func(revision int64) error {
		_, err := k.s.Swap(ctx, key, []byte(secret), revision)
		return err
	})
}

func (k secrets) Delete(ctx context.Context, key string) error {
	account, ofGrant := strings.CutPrefix(key, refreshPrefix)
	if ofGrant {
		key = GrantKey(account)
	}
	err := k.change(ctx, key, func(revision int64) error {
		if revision == 0 {
			return nil
		}
		_, err := k.s.Swap(ctx, key, nil, revision)
		return err
	})
	if err == nil && ofGrant {
		k.s.Spilled(account)
	}
	return err
}

// Of is the store behind a keystore; nil if it is of another kind, or if there is none.
func Of(k *keystore.Store) *Store {
	if k == nil {
		return nil
	}
	if b, ok := k.Backend().(secrets); ok {
		return b.s
	}
	return nil
}

// change makes one change of a record once the records are loaded.
func (k secrets) change(ctx context.Context, key string, swap func(revision int64) error) error {
	if err := k.wait(ctx); err != nil {
		return err
	}
	return k.s.change(ctx, key, swap)
}

// wait waits until the records are loaded.
func (k secrets) wait(ctx context.Context) error {
	if k.s.IsLoaded() {
		return nil
	}
	timer := time.NewTimer(loadPatience)
	defer timer.Stop()
	select {
	case <-k.s.loaded:
		return nil
	case <-k.s.failed:
		return k.s.Failure()
	case <-timer.C:
		return k.s.notLoaded()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k secrets) Close() { k.s.Close() }

package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/config"
)

// MoveSecrets moves all secrets of all accounts into another kind of keystore,
// "system" or "file", and writes that into the configuration file. Mail goes on
// meanwhile. An error or an end at any step loses nothing, and the same again
// finishes the work; moved is how many secrets were copied this time. See
// [keystore.Store.Move].
func (s *Server) MoveSecrets(ctx context.Context, kind string) (moved int, err error) {
	ctx, done := s.editing(ctx)
	defer done()
	other, there := kind, s.secrets.Kind() == kind
	if there { // an earlier move may have left some behind
		other = otherKeystore(kind)
	}
	switch {
	case !slices.Contains(keystore.Names(true), kind):
		return 0, fmt.Errorf("secrets cannot be moved to %q; use %s", kind, keystore.Choice(true))
	case s.opts.OpenKeystore == nil || s.opts.ConfigPath == "":
		return 0, errors.New("this instance cannot move its secrets")
	case s.opts.KeystoreFixed && !there:
		return 0, errors.New("the keystore was chosen with --keystore or WAXSEAL_KEYSTORE, which would still be used after a move; start without them, then move the secrets")
	}
	if _, err := safeio.Writable(s.opts.ConfigPath); err != nil {
		return 0, fmt.Errorf("configuration file %s cannot be written, and no secret was moved; let this user write it: %w", s.opts.ConfigPath, err)
	}
	store, err := s.opts.OpenKeystore(other)
	if err != nil {
		return 0, err
	}
	settle := func() error {
		if err := config.SetKeystore(s.opts.ConfigPath, kind); err != nil {
			return err
		}
		cfg := *s.config()
		cfg.Keystore = kind
		s.cfg.Store(&cfg)
		return nil
	}
	defer s.changed.wake()
	if there {
		defer store.Close()
		return s.secrets.Gather(ctx, store, s.secretKeys(), settle)
	}
	moved, err = s.secrets.Move(ctx, store, s.secretKeys(), settle)
	if s.secrets.Kind() != kind {
		store.Close()
	}
	return moved, err
}

// otherKeystore is the other kind of keystore that lasts.
func otherKeystore(kind string) string {
	names := keystore.Names(true)
	return names[slices.IndexFunc(names, func(name string) bool { return name != kind })]
}

// secretKeys are the keys under which something may be kept.
func (s *Server) secretKeys() []string {
	var keys []string
	shared := map[string]bool{}
	note := func(p config.Provider) {
		if p.ClientID != "" {
			shared[p.SecretKey()] = true
		}
	}
	for _, p := range s.config().Catalogue() {
		note(p)
	}
	for _, b := range *s.boxes.Load() {
		keys = append(keys, "refresh/"+config.Fold(b.address), passwordKey(b.address), b.provider.OwnSecretKey(b.address))
		note(b.provider)
	}
	return slices.AppendSeq(keys, maps.Keys(shared))
}

package proxy

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// MoveSecrets moves all secrets of all accounts to another keystore, "system", "file" or
// "etcd", and writes the new keystore into the configuration file. Mail continues in the
// meantime, but for etcd: accounts are moved there and from there by a server that does not
// serve.
// If it fails or is interrupted at any step, no secret is lost, and calling it again
// finishes the work. moved is how many secrets were copied this time. See
// [keystore.Store.Move].
func (s *Server) MoveSecrets(ctx context.Context, kind string) (moved int, err error) {
	ctx, done := s.editing(ctx)
	defer done()
	other, there := kind, s.secrets.Kind() == kind
	toOrFromEtcd := kind == keystore.EtcdKind || s.shared != nil
	if there && !toOrFromEtcd { // an earlier move may have left some in the other keystore
		other = otherKeystore(kind)
	}
	switch {
	case !slices.Contains(keystore.Names(true), kind):
		return 0, cannotMove("Secrets can’t be moved to {{.Keystore}}.", "Use {{.Choice}}.", "Keystore", strconv.Quote(kind), "Choice", keystore.Choice(true))
	case s.opts.OpenKeystore == nil || s.opts.ConfigPath == "":
		return 0, cannotMove("This Waxseal can’t move its secrets: it has no configuration file.", "")
	case s.opts.KeystoreFixed && !there:
		return 0, cannotMove("The keystore was chosen with --keystore or WAXSEAL_KEYSTORE, which would still apply after a move.", "Start Waxseal without them, then move the secrets.")
	}
	if err := s.checkWritable(); err != nil {
		return 0, err
	}
	switch {
	case toOrFromEtcd && there:
		return 0, nil
	case toOrFromEtcd:
		return s.moveShared(ctx, kind)
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
	defer s.hall.Changed.Wake()
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

func cannotMove(what, cure string, pairs ...string) error {
	return &api.Problem{Lasting: true, What: api.Say(what, pairs...), Cure: api.Say(cure, pairs...)}
}

// otherKeystore returns the other of the two permanent kinds of keystore on this machine.
func otherKeystore(kind string) string {
	if kind == keystore.FileKind {
		return keystore.SystemKind
	}
	return keystore.FileKind
}

// secretKeys returns all keys under which there may be a secret.
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
	for _, b := range s.hall.Mailboxes() {
		keys = append(keys, "refresh/"+config.Fold(b.Address), mailbox.PasswordKey(b.Address), b.Provider.OwnSecretKey(b.Address))
		note(b.Provider)
	}
	return slices.AppendSeq(keys, maps.Keys(shared))
}

// UnlockKeystore has the keychain ask the user to unlock it, or to create its default keyring.
// See [keystore.Store.Unlock].
func (s *Server) UnlockKeystore(ctx context.Context) error {
	defer s.hall.Changed.Wake()
	return s.secrets.Unlock(ctx)
}

// keystoreLook is the time between two looks at a keystore that could not be read.
const keystoreLook = 3 * time.Second

// watchKeystore tells the watchers when the keystore can no longer be read, and looks without
// asking anybody whether it can be read again, until ctx ends. So nobody has to send a message,
// or open the window, to find out.
func (s *Server) watchKeystore(ctx context.Context) {
	ticker := time.NewTicker(keystoreLook)
	defer ticker.Stop()
	var was error
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		failed := s.secrets.Err() // since the last look, maybe
		now := failed
		if failed != nil {
			now = s.secrets.Look(ctx)
		}
		if keystore.ReasonOf(now) != keystore.ReasonOf(was) || keystore.ReasonOf(now) != keystore.ReasonOf(failed) {
			s.hall.Changed.Wake()
		}
		if now == nil && (was != nil || failed != nil) {
			s.log.Info("the keystore can be read again")
			s.readAgain(ctx)
		}
		was = now
	}
}

// readAgain reads the secrets of the accounts that could not be used without them.
func (s *Server) readAgain(ctx context.Context) {
	s.preload(ctx)
	for _, b := range s.hall.Mailboxes() {
		if st := s.stateOf(b); st == api.KeystoreLocked || st == api.KeystoreFailed {
			_, err := tokenCheck(b)(ctx)
			b.Note(err)
			s.hall.Changed.Wake()
		}
	}
}

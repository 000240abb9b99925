package proxy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// With the keystore etcd, accounts and providers are records that several machines share, and not in the
// configuration file. A change that is made at one of them comes to the others by the watch of the records,
// and is put into effect as by a reload: no connection is dropped.

const (
	accountPrefix  = shared.AccountPrefix
	providerPrefix = "provider/"
	passwordPrefix = "password/"
)

func accountRecord(address string) string { return accountPrefix + config.Fold(address) }
func providerRecord(id string) string     { return providerPrefix + strings.ToLower(id) }

// attachShared begins to follow the shared records.
func (s *Server) attachShared() {
	if s.shared == nil {
		return
	}
	s.shared.Attach(shared.Watcher{
		Called: func(op string, took time.Duration) {
			s.hall.Stats.StoreSeconds.WithLabelValues(op).Observe(took.Seconds())
		},
		Changed: func(keys []string) {
			accounts := false
			for _, key := range keys {
				accounts = s.sharedChanged(key) || accounts
			}
			if accounts {
				select {
				case s.sharedNews <- struct{}{}:
				default:
				}
			}
			s.hall.Changed.Wake()
		},
	})
}

// sharedChanged takes over a record that has changed, and reports whether it is about accounts as a whole. It waits
// for nothing.
func (s *Server) sharedChanged(key string) (accounts bool) {
	s.desk.Changed(key)
	kind, name, _ := strings.Cut(key, "/")
	box := s.hall.Mailbox(name)
	switch {
	case kind+"/" == accountPrefix, kind+"/" == providerPrefix:
		return true
	case kind+"/" == passwordPrefix && box != nil:
		switch r, err := s.shared.Get(key); {
		case err != nil:
			s.log.Error("a changed local password cannot be used", "account", box.Address, "err", err)
		case r.Value == nil:
			box.Password.Forget()
		default:
			box.Password.Set(string(r.Value))
		}
	case key == shared.GrantKey(name) && box != nil:
		box.Grant.Changed()
	case kind == "client" || kind == "service":
		for _, b := range s.hall.Mailboxes() {
			if key == b.Provider.SecretKey() || key == b.Provider.OwnSecretKey(b.Address) {
				b.Grant.Retry()
			}
		}
	}
	return false
}

// withShared is a configuration with the shared accounts and providers, if there are any.
func (s *Server) withShared(cfg config.Config) (config.Config, error) {
	if s.shared == nil {
		return cfg, nil
	}
	if len(cfg.Accounts)+len(cfg.Providers) > 0 {
		return cfg, &api.Problem{Lasting: true,
			What: api.Say("With the keystore etcd, the configuration file can’t have accounts and providers: they are in etcd."),
			Cure: api.Say("Take them out of the file, or choose the keystore in which their secrets are and move them to etcd.")}
	}
	unusable := make(map[string]error)
	for _, key := range s.shared.Keys(providerPrefix) {
		var p config.Provider
		_, err := s.shared.Load(key, &p)
		with := cfg
		with.Providers = append(slices.Clip(cfg.Providers), p)
		if err == nil {
			err = with.Validate()
		}
		if err != nil {
			s.log.Error("a provider in etcd cannot be used here, nor can its accounts", "key", key, "err", err)
			continue
		}
		cfg = with
	}
	known := cfg.Catalogue()
	for _, key := range slices.Concat(s.shared.Keys(accountPrefix), s.shared.Damaged()) {
		address, ours := strings.CutPrefix(key, accountPrefix)
		if !ours {
			continue
		}
		var a api.Account
		_, err := s.shared.Load(key, &a)
		if err == nil {
			_, err = known.Resolve(a)
		}
		if err != nil {
			s.log.Error("an account in etcd cannot be used here", "account", address, "err", err)
			unusable[address] = fmt.Errorf("%w: account %s: %w", keystore.ErrDamaged, address, err)
			continue
		}
		cfg.Accounts = append(cfg.Accounts, a)
	}
	s.unusable.Store(&unusable)
	return cfg, nil
}

// followShared puts changes of accounts and providers into effect until ctx ends.
func (s *Server) followShared(ctx context.Context) {
	loaded := s.shared.Loaded()
	for {
		select {
		case <-s.sharedNews:
		case <-loaded: // even if there is no account
			loaded = nil
		case <-ctx.Done():
			return
		}
		if err := s.takeShared(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("the accounts in etcd cannot be used; those of before stay", "err", err)
		}
	}
}

// takeShared puts the shared accounts into effect.
func (s *Server) takeShared(ctx context.Context) error {
	ctx, done := s.editing(ctx)
	defer done()
	loaded := s.shared.IsLoaded()
	was := s.config()
	cfg := *was
	cfg.Accounts, cfg.Providers = nil, nil
	cfg, err := s.withShared(cfg)
	if err != nil {
		return err
	}
	if slices.EqualFunc(was.Accounts, cfg.Accounts, api.Account.Equal) && reflect.DeepEqual(was.Providers, cfg.Providers) {
		s.haveTaken(ctx, loaded)
		return nil
	}
	_, err = s.put(ctx, cfg, func() error { return nil })
	if taken, ok := errors.AsType[*api.PortTakenError](err); ok {
		// Somebody at another machine made an account read, and here something else has the port. All else that
		// has changed must not wait for that.
		s.log.Error("a port for the accounts in etcd cannot be opened; free it, then run `waxseal reload`", "err", taken)
		boxes, err := s.plan(cfg)
		if err != nil {
			return err
		}
		s.use(ctx, cfg, boxes)
	} else if err != nil {
		return err
	}
	s.haveTaken(ctx, loaded)
	return nil
}

// haveTaken notes that the shared accounts are in effect, if their records were loaded.
func (s *Server) haveTaken(ctx context.Context, loaded bool) {
	if loaded {
		s.sharedTaken.Store(true)
	}
	s.preload(ctx)
}

// saveShared writes accounts and new providers into shared records, whoever else does: the last one counts.
func saveShared(ctx context.Context, to *shared.Store, own []config.Provider, accounts []api.Account) error {
	for _, p := range own {
		if err := to.Put(ctx, providerRecord(p.ID), p); err != nil {
			return err
		}
	}
	for _, a := range accounts {
		if err := to.Put(ctx, accountRecord(a.Address), a); err != nil {
			return err
		}
	}
	return nil
}

// unready is why a login that names no known account cannot be answered: the accounts are not known yet, or this one
// is there and cannot be used here. With "" it is about all accounts. It is nil if there is no such account.
func (s *Server) unready(address string) error {
	if unusable := s.unusable.Load(); unusable != nil && (*unusable)[config.Fold(address)] != nil {
		return (*unusable)[config.Fold(address)]
	}
	switch {
	case s.shared == nil, s.sharedTaken.Load():
		return nil
	case s.shared.IsLoaded():
		return errTaking
	}
	_, err := s.shared.Get(accountPrefix)
	return err
}

// errTaking is for the moment between the records' arrival and their accounts'.
var errTaking = fmt.Errorf("%w: the accounts are being read", keystore.ErrTimeout)

// fleetStatus is what to show of the machines that share the accounts; nil if this one is alone.
func (s *Server) fleetStatus() *api.Fleet {
	if s.shared == nil {
		return nil
	}
	f := &api.Fleet{Instance: s.shared.Instance()}
	if err := s.shared.Err(); err != nil {
		f.Problem = mailbox.ExplainAlone(err)
	}
	for _, i := range s.shared.Instances() {
		f.Machines = append(f.Machines, api.Machine{Name: i.Name, Version: i.Version, Started: i.Started, Gone: i.Gone})
	}
	return f
}

// moveShared moves all accounts, providers and secrets to etcd, or from there to another keystore.
func (s *Server) moveShared(ctx context.Context, kind string) (moved int, err error) {
	if s.isServing() {
		return 0, cannotMove("Accounts can’t be moved to etcd or from there while Waxseal runs.", "Stop Waxseal, run the same command again, then start it.")
	}
	store, err := s.opts.OpenKeystore(kind)
	if err != nil {
		return 0, err
	}
	defer func() {
		if s.secrets.Kind() != kind {
			store.Close()
		}
	}()
	cfg := *s.config()
	settle := func() error { return s.settleFromShared(ctx, kind, cfg) }
	if to := shared.Of(store); to != nil {
		if err := s.checkMoveTo(ctx, store, to, cfg.Accounts); err != nil {
			return 0, err
		}
		settle = func() error {
			if err := saveShared(ctx, to, cfg.Providers, cfg.Accounts); err != nil {
				return err
			}
			return config.MoveAccounts(s.opts.ConfigPath, kind, nil, nil)
		}
	} else if others, err := s.shared.Others(ctx); err != nil {
		return 0, err
	} else if len(others) > 0 {
		return 0, cannotMove("Other machines use these accounts: {{.Machines}}.", "Stop Waxseal on all of them first.", "Machines", strings.Join(others, ", "))
	}
	return s.secrets.Move(ctx, store, s.secretKeys(), settle)
}

// checkMoveTo finds out whether accounts can be moved to etcd.
func (s *Server) checkMoveTo(ctx context.Context, store *keystore.Store, to *shared.Store, accounts []api.Account) error {
	if err := store.Ready(ctx); err != nil {
		return err
	}
	for _, a := range accounts {
		var is api.Account
		revision, err := to.Load(accountRecord(a.Address), &is)
		if err != nil {
			return err
		}
		if revision != 0 && !(is.Equal(a) && s.sameConsent(ctx, store, a)) { // else an earlier move was interrupted
			return cannotMove("{{.Account}} is in etcd already.", "Remove the account here or there, then move the others.", "Account", a.Address)
		}
	}
	return nil
}

// sameConsent reports whether an account has the same refresh token in another keystore: nobody has used it there.
func (s *Server) sameConsent(ctx context.Context, other *keystore.Store, a api.Account) bool {
	key := "refresh/" + config.Fold(a.Address)
	here, err := s.secrets.Get(ctx, key)
	there, otherErr := other.Get(ctx, key)
	none := errors.Is(err, keystore.ErrNotFound) && errors.Is(otherErr, keystore.ErrNotFound)
	return none || err == nil && otherErr == nil && here == there
}

// settleFromShared records that the accounts are in the configuration file from now on.
func (s *Server) settleFromShared(ctx context.Context, kind string, cfg config.Config) error {
	if err := config.MoveAccounts(s.opts.ConfigPath, kind, cfg.Providers, cfg.Accounts); err != nil {
		return err
	}
	for _, key := range slices.Concat(s.shared.Keys(accountPrefix), s.shared.Keys(providerPrefix)) {
		if err := s.shared.Secrets().Delete(ctx, key); err != nil { // the file counts now
			s.log.Error("a record of the moved accounts is still in etcd", "key", key, "err", err)
		}
	}
	return nil
}

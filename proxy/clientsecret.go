package proxy

import (
	"context"
	"errors"
	"fmt"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// registration is one that entries bring secrets for.
type registration struct {
	service bool
	secrets map[string]bool // that they bring
	brought map[string]bool // the entries' accounts, by folded address
	first   string          // secret, in the order of the entries

	shared  string // what all of its accounts share
	changed bool   // that is new
	err     error  // it could not be read or stored
}

// shareSecrets decides for each registration which secret its accounts share, and
// stores it: the first that comes, or another that all who use it bring. One that
// not all bring is its accounts' own (see importSecret), so that a mistyped one
// stops nobody else. A service account has one key for all.
func (s *Server) shareSecrets(ctx context.Context, known config.Catalogue, entries []config.ImportEntry) map[string]*registration {
	all := map[string]*registration{}
	for _, e := range entries {
		p, err := known.Resolve(e.Account)
		if e.ClientSecret == "" || err != nil || s.untold(e) {
			continue
		}
		r := all[p.SecretKey()]
		if r == nil {
			r = &registration{service: p.Grant == oauth.JWTBearer, secrets: map[string]bool{}, brought: map[string]bool{}, first: e.ClientSecret}
			all[p.SecretKey()] = r
		}
		r.secrets[e.ClientSecret], r.brought[config.Fold(e.Account.Address)] = true, true
	}
	elsewhere := map[string]bool{}
	for address, b := range *s.boxes.Load() {
		if r := all[b.provider.SecretKey()]; r != nil && !r.brought[address] {
			elsewhere[b.provider.SecretKey()] = true
		}
	}
	for key, r := range all {
		if r.service && len(r.secrets) > 1 {
			r.err = errors.New("the file has two different keys for this service account")
			continue
		}
		r.shared, r.err = s.secrets.Get(ctx, key)
		none := errors.Is(r.err, keystore.ErrNotFound)
		if r.err != nil && !none {
			continue
		}
		r.err = nil
		if none || r.shared != r.first && (r.service || len(r.secrets) == 1 && !elsewhere[key]) {
			r.shared, r.changed = r.first, true
			r.err = s.secrets.Set(ctx, key, r.first)
		}
	}
	return all
}

// SetClientSecret gives an account's registration another client secret, for all
// accounts that use it, such as one that takes the place of an expired one. The text is the
// secret or the provider's JSON; see [config.ReadClient].
func (s *Server) SetClientSecret(ctx context.Context, address, text string) error {
	ctx, done := s.editing(ctx)
	defer done()
	box := s.mailbox(address)
	if box == nil {
		return unknownAccount(address)
	}
	id, secret, err := config.ReadClient([]byte(text))
	switch {
	case err != nil:
		return err
	case id != "" && id != box.provider.ClientID:
		return &api.Problem{Account: box.address, Lasting: true,
			What: api.Say("The JSON belongs to the client ID {{.JSON}}, but {{.Account}} uses {{.ID}}.", "JSON", id, "Account", box.address, "ID", box.provider.ClientID),
			Cure: api.Say("Use the JSON of that client ID, or remove the account and add it with the other one.")}
	case secret == "":
		return &api.Problem{Account: box.address, Lasting: true, What: api.Say("There is no client secret in it."),
			Cure: api.Say("Create a new secret at the provider, and use that or the file that is offered with it.")}
	}
	if err := box.provider.CheckSecret(secret); err != nil {
		return err
	}
	key := box.provider.SecretKey()
	if err := s.secrets.Set(ctx, key, secret); err != nil {
		return fmt.Errorf("storing the client secret: %w", err)
	}
	for _, b := range *s.boxes.Load() {
		if b.provider.SecretKey() != key {
			continue
		}
		if err := s.secrets.Delete(ctx, b.provider.OwnSecretKey(b.address)); err != nil {
			return fmt.Errorf("forgetting the client secret of %s: %w", b.address, err)
		}
		b.grant.Retry()
	}
	return nil
}

// importSecret stores an entry's secret where it is not the one that is shared, and
// forgets another that the account had.
func (s *Server) importSecret(ctx context.Context, known config.Catalogue, all map[string]*registration, e config.ImportEntry) (changed bool, err error) {
	p, err := known.Resolve(e.Account)
	if err != nil {
		return false, err
	}
	box := s.mailbox(e.Account.Address)
	if e.ClientSecret == "" && box != nil {
		return false, nil
	}
	r, own := all[p.SecretKey()], p.OwnSecretKey(e.Account.Address)
	switch {
	case r != nil && r.err != nil:
		err = r.err
	case r != nil && e.ClientSecret != "" && e.ClientSecret != r.shared:
		changed, err = putSecret(ctx, s.secrets, own, e.ClientSecret)
	default: // a new account, too: one of that address may have been taken out by hand
		changed = r != nil && r.changed
		if _, had := s.secrets.Get(ctx, own); !errors.Is(had, keystore.ErrNotFound) {
			changed, err = true, s.secrets.Delete(ctx, own)
		}
	}
	if err != nil {
		return false, fmt.Errorf("client secret: %w", err)
	}
	if changed && box != nil {
		box.grant.Retry()
	}
	return changed, nil
}

package proxy

import (
	"context"
	"errors"
	"fmt"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// registrationSecrets are the client secrets that imported entries have for one
// registration, and the secret that its accounts will share.
type registrationSecrets struct {
	service bool            // of a service account, which has one key for all
	offered map[string]bool // the different secrets of the entries
	users   map[string]bool // the entries' accounts, by folded address
	first   string          // the secret of the first entry

	shared  string // the secret that all accounts share
	changed bool   // shared is new
	err     error  // shared could not be read or stored
}

// shareSecrets decides for each registration which secret its accounts share, and
// stores it: the first one ever, or a new one if all accounts that use the registration
// have it. A secret given for only some of these accounts applies to those alone (see
// importSecret), so that a mistyped secret does not stop the others. A service account
// has one key for all.
func (s *Server) shareSecrets(ctx context.Context, known config.Catalogue, entries []config.ImportEntry) map[string]*registrationSecrets {
	all := map[string]*registrationSecrets{}
	for _, e := range entries {
		p, err := known.Resolve(e.Account)
		if e.ClientSecret == "" || err != nil || s.hasNothingNew(e) {
			continue
		}
		r := all[p.SecretKey()]
		if r == nil {
			r = &registrationSecrets{service: p.Grant == oauth.JWTBearer, offered: map[string]bool{}, users: map[string]bool{}, first: e.ClientSecret}
			all[p.SecretKey()] = r
		}
		r.offered[e.ClientSecret], r.users[config.Fold(e.Account.Address)] = true, true
	}
	elsewhere := map[string]bool{}
	for address, b := range s.hall.Mailboxes() {
		if r := all[b.Provider.SecretKey()]; r != nil && !r.users[address] {
			elsewhere[b.Provider.SecretKey()] = true
		}
	}
	for key, r := range all {
		if r.service && len(r.offered) > 1 {
			r.err = errors.New("the file contains two different keys for this service account")
			continue
		}
		r.shared, r.err = s.secrets.Get(ctx, key)
		none := errors.Is(r.err, keystore.ErrNotFound)
		if r.err != nil && !none {
			continue
		}
		r.err = nil
		if none || r.shared != r.first && (r.service || len(r.offered) == 1 && !elsewhere[key]) {
			r.shared, r.changed = r.first, true
			r.err = s.secrets.Set(ctx, key, r.first)
		}
	}
	return all
}

// ReadClient finds the client ID and the client secret in the provider's file or a pasted text; see
// [config.ReadClient].
func (s *Server) ReadClient(_ context.Context, text string) (c api.Client, err error) {
	c.ID, c.Secret, err = config.ReadClient([]byte(text))
	return c, err
}

// SetClient gives an account's registration another client secret, another client ID, or both, for
// all accounts that use it. What is "" stays. Either may be the provider's JSON; see
// [config.ReadClientFields]. Users have to sign in again after another client ID.
func (s *Server) SetClient(ctx context.Context, address string, to api.Client) error {
	ctx, done := s.editing(ctx)
	defer done()
	box := s.hall.Mailbox(address)
	if box == nil {
		return mailbox.UnknownAccount(address)
	}
	id, secret, err := config.ReadClientFields(to.ID, to.Secret)
	old := box.Provider
	switch {
	case err != nil:
		return err
	case to.ID == "" && id != "" && id != old.ClientID:
		return &api.Problem{Account: box.Address, Lasting: true,
			What: api.Say("The JSON belongs to the client ID {{.JSON}}, but {{.Account}} uses {{.ID}}.", "JSON", id, "Account", box.Address, "ID", old.ClientID),
			Cure: api.Say("Use the JSON of that client ID, or enter the other client ID too.")}
	case secret == "" && (id == "" || id == old.ClientID):
		return &api.Problem{Account: box.Address, Lasting: true, What: api.Say("There is no client secret in it."),
			Cure: api.Say("Create a new secret at the provider, and use that or the file that is offered with it.")}
	}
	if err := old.CheckSecret(secret); err != nil {
		return err
	}
	var sharing []*mailbox.Mailbox
	for _, b := range s.hall.Mailboxes() {
		if b.Provider.SecretKey() == old.SecretKey() {
			sharing = append(sharing, b)
		}
	}
	now := old
	if id != "" {
		now.ClientID = id
	}
	if secret != "" {
		if err := s.secrets.Set(ctx, now.SecretKey(), secret); err != nil {
			return fmt.Errorf("storing the client secret: %w", err)
		}
	}
	for _, b := range sharing {
		if err := s.secrets.Delete(ctx, b.Provider.OwnSecretKey(b.Address)); err != nil {
			return fmt.Errorf("deleting the client secret of %s: %w", b.Address, err)
		}
		b.Grant.Retry()
	}
	if now.ClientID == old.ClientID {
		return nil
	}
	var accounts []api.Account
	for _, b := range sharing {
		a := b.Account
		a.ClientID = now.ClientID
		accounts = append(accounts, a)
	}
	return s.add(ctx, nil, accounts)
}

// importSecret stores an entry's secret if it is not the shared one, and otherwise
// deletes the account's own.
func (s *Server) importSecret(ctx context.Context, known config.Catalogue, all map[string]*registrationSecrets, e config.ImportEntry) (changed bool, err error) {
	p, err := known.Resolve(e.Account)
	if err != nil {
		return false, err
	}
	box := s.hall.Mailbox(e.Account.Address)
	if e.ClientSecret == "" && box != nil {
		return false, nil
	}
	r, own := all[p.SecretKey()], p.OwnSecretKey(e.Account.Address)
	switch {
	case r != nil && r.err != nil:
		err = r.err
	case r != nil && e.ClientSecret != "" && e.ClientSecret != r.shared:
		changed, err = mailbox.PutSecret(ctx, s.secrets, own, e.ClientSecret)
	default: // for a new account, too: an earlier one of the same address may have been removed by hand
		changed = r != nil && r.changed
		if _, had := s.secrets.Get(ctx, own); !errors.Is(had, keystore.ErrNotFound) {
			changed, err = true, s.secrets.Delete(ctx, own)
		}
	}
	if err != nil {
		return false, fmt.Errorf("client secret: %w", err)
	}
	if changed && box != nil {
		box.Grant.Retry()
	}
	return changed, nil
}

// hasNothingNew reports whether an entry has nothing new for an account that is already there: it
// may name another registration, but has no token for it. Another client secret of the same
// registration counts as new.
func (s *Server) hasNothingNew(e config.ImportEntry) bool {
	b := s.hall.Mailbox(e.Account.Address)
	return b != nil && e.RefreshToken == "" && b.Provider.Grant == "" && (e.ClientSecret == "" || !b.Account.Equal(e.Account))
}

package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// build makes the mailboxes of a configuration. It keeps those of old that have not
// changed, so that their connections and tokens live on.
func (s *Server) build(cfg config.Config, old map[string]*mailbox.Mailbox) (map[string]*mailbox.Mailbox, error) {
	boxes := make(map[string]*mailbox.Mailbox, len(cfg.Accounts))
	known := cfg.Catalogue()
	for _, a := range cfg.Accounts {
		p, err := known.Resolve(a)
		if err != nil {
			return nil, err
		}
		key := config.Fold(a.Address)
		if b := old[key]; b != nil && b.Account.Equal(a) && reflect.DeepEqual(b.Provider, p) {
			boxes[key] = b
			continue
		}
		if boxes[key], err = s.newMailbox(a, p); err != nil {
			return nil, fmt.Errorf("account %s: %w", a.Address, err)
		}
	}
	return boxes, nil
}

// newMailbox makes an account's mailbox. It reads the provider's ca_file and no other
// file.
func (s *Server) newMailbox(a api.Account, p config.Provider) (*mailbox.Mailbox, error) {
	client, roots, err := s.clients.Get(p.CAFile)
	if err != nil {
		return nil, fmt.Errorf("provider %q: %w", p.ID, err)
	}
	return s.hall.New(a, p, mailbox.Parts{
		HTTP: client, Roots: roots, Proxy: s.outbound.For, LatePages: s.latePages,
		Timeouts: s.opts.Timeouts, Now: s.opts.Now, Tokens: s.tokenBreakers, Servers: s.serverBreakers, Users: s.ages,
	}), nil
}

// editing begins a change of accounts or settings; there is one at a time. The context
// ends with the server, so that a stop does not wait for a provider or a keychain.
func (s *Server) editing(ctx context.Context) (_ context.Context, done func()) {
	s.edit.Lock()
	ctx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(s.hall.Serving(), cancel)
	return ctx, func() {
		unhook()
		cancel()
		s.edit.Unlock()
	}
}

// closeTimeout is for what still has to be done after the last message: storing new tokens and
// saying QUIT to providers.
const closeTimeout = 5 * time.Second

// finishing gives a context for work that must not be left half done: it outlives the
// caller's, and a stop by closeTimeout.
func (s *Server) finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(s.hall.Serving(), func() { time.AfterFunc(closeTimeout, cancel) })
	return ctx, func() {
		unhook()
		cancel()
	}
}

// plan validates a configuration and builds its mailboxes before anything is written,
// so that no configuration is written that would not work.
func (s *Server) plan(cfg config.Config) (map[string]*mailbox.Mailbox, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return s.build(cfg, s.hall.Mailboxes())
}

// use puts a planned configuration into effect. The caller holds s.edit.
func (s *Server) use(ctx context.Context, cfg config.Config, boxes map[string]*mailbox.Mailbox) {
	old := s.hall.Mailboxes()
	// The old mailboxes end before the new ones begin. Two grants of one account would
	// each keep a refresh token: one would replay the token that the other has rotated,
	// and the provider would revoke both.
	var ending sync.WaitGroup
	for key, b := range old {
		now := boxes[key]
		if now == b {
			continue
		}
		ending.Go(func() {
			s.retire(ctx, b)
			if was := b.Provider.OwnSecretKey(key); now != nil && was != now.Provider.OwnSecretKey(key) {
				if err := s.secrets.Delete(context.WithoutCancel(ctx), was); err != nil {
					s.log.Error("could not delete an old client secret from the keystore", "account", b.Address, "err", err)
				}
			}
		})
	}
	ending.Wait()
	s.retired = slices.DeleteFunc(s.retired, func(b *mailbox.Mailbox) bool {
		st := b.Pool.Status()
		return st.Warm+st.Busy+st.Waiting == 0
	})
	for key, b := range old {
		if boxes[key] != b {
			s.retired = append(s.retired, b)
			boxes[key].Inherit(b)
		}
		if boxes[key] == nil {
			s.unlend(key)
		}
	}
	for key, b := range boxes {
		if old[key] != b {
			s.lend(key, b)
		}
	}
	s.cfg.Store(&cfg)
	s.hall.Use(boxes)
	s.tellReaders()
	s.hall.NudgeAll() // sessions of accounts that have changed end
	s.logChanges(old, boxes)
	s.hall.Changed.Wake()
}

// retire ends the use of a mailbox, even if ctx ends.
func (s *Server) retire(ctx context.Context, b *mailbox.Mailbox) {
	ctx, done := s.finishing(ctx)
	defer done()
	b.Retire(ctx)
}

// logChanges logs which accounts were added, changed or removed.
func (s *Server) logChanges(old, now map[string]*mailbox.Mailbox) {
	for key, b := range now {
		if was := old[key]; was == nil {
			s.log.Info("account added", "account", b.Address, "provider", b.Provider.ID)
		} else if was != b {
			s.log.Info("account changed", "account", b.Address, "provider", b.Provider.ID)
		}
	}
	for key, b := range old {
		if now[key] == nil {
			s.log.Info("account removed", "account", b.Address)
		}
	}
}

// Add makes an account and its local password, which it returns. If a names no
// provider, it is found from the address (see Config.Discover). clientSecret is
// that of the registration, "" for a public client or for one that is stored
// already. Authorize then asks the account's user for consent.
func (s *Server) Add(ctx context.Context, a api.Account, clientSecret string) (password string, err error) {
	ctx, done := s.editing(ctx)
	defer done()
	a.ClientID, clientSecret, err = config.ReadClientFields(a.ClientID, clientSecret)
	if err != nil {
		return "", err
	}
	if b := s.hall.Mailbox(a.Address); b != nil {
		return "", &api.Problem{Account: b.Address, Lasting: true, What: api.Say("{{.Account}} has already been added.", "Account", b.Address), Cure: api.Say("Sign in again."), Do: api.SignIn}
	}
	if a.Provider == "" {
		p, err := s.config().Discover(ctx, a.Address)
		if err != nil {
			return "", err
		}
		a.Provider = p.ID
	}
	p, err := s.config().Resolve(a)
	if err != nil {
		return "", err
	}
	if p.ClientID == "" {
		return "", &api.Problem{State: api.NotRegistered, Account: a.Address, Lasting: true,
			What: api.Say("Waxseal isn’t registered with {{.Provider}}: there is no client ID.", "Provider", p.Name),
			Cure: api.Say("Register it there first, then enter the client ID.")}
	}
	if err := p.CheckSecret(clientSecret); err != nil {
		return "", err
	}
	e, known := config.ImportEntry{Account: a, ClientSecret: clientSecret}, s.config().Catalogue()
	if _, err := s.importSecret(ctx, known, s.shareSecrets(ctx, known, []config.ImportEntry{e}), e); err != nil {
		return "", fmt.Errorf("storing the %w", err)
	}
	password = mailbox.NewPassword()
	if err := s.secrets.Set(ctx, mailbox.PasswordKey(a.Address), password); err != nil {
		return "", fmt.Errorf("storing the local password of %s: %w", a.Address, err)
	}
	if err := s.add(ctx, nil, []api.Account{a}); err != nil {
		return "", err
	}
	s.hall.Mailbox(a.Address).Password.Set(password)
	return password, nil
}

// add writes accounts and new providers into the configuration file, then puts them
// into effect. An account replaces the one with the same address. The caller holds
// s.edit.
func (s *Server) add(ctx context.Context, own []config.Provider, accounts []api.Account) error {
	return s.addWith(ctx, own, accounts, nil)
}

// addWith is add, together with changes of settings.
func (s *Server) addWith(ctx context.Context, own []config.Provider, accounts []api.Account, settings config.Changes) error {
	cfg := *s.config()
	settings.Apply(&cfg)
	cfg.Providers = slices.Concat(cfg.Providers, own)
	at := make(map[string]int, len(cfg.Accounts))
	for i, a := range cfg.Accounts {
		at[config.Fold(a.Address)] = i
	}
	cfg.Accounts = slices.Clone(cfg.Accounts)
	for _, a := range accounts {
		if i, there := at[config.Fold(a.Address)]; there {
			cfg.Accounts[i] = a
		} else {
			cfg.Accounts = append(cfg.Accounts, a)
		}
	}
	_, err := s.put(ctx, cfg, func() error {
		if s.opts.ConfigPath == "" {
			return nil
		}
		if err := settings.Write(s.opts.ConfigPath); err != nil {
			return err
		}
		if s.shared != nil {
			return saveShared(ctx, s.shared, own, accounts)
		}
		return config.AddAccounts(s.opts.ConfigPath, own, accounts)
	})
	return err
}

// Remove revokes an account's consent at the provider, if the provider supports that,
// and removes the account: first its secrets, then its entry in the configuration.
// Mail programs that are connected to it are told at their next message. If the
// provider could not be told, the account is removed all the same and note says so.
func (s *Server) Remove(ctx context.Context, address string) (note string, err error) {
	ctx, done := s.editing(ctx)
	defer done()
	b := s.hall.Mailbox(address)
	if b == nil {
		return "", mailbox.UnknownAccount(address)
	}
	cfg := *s.config()
	cfg.Accounts = slices.DeleteFunc(slices.Clone(cfg.Accounts), func(a api.Account) bool { return config.Fold(a.Address) == config.Fold(b.Address) })
	if _, err := s.plan(cfg); err != nil {
		return "", err
	}
	if err := s.checkWritable(); err != nil { // before any secret of the account is deleted
		return "", err
	}
	if err := b.Grant.Revoke(ctx); err != nil {
		note = fmt.Sprintf("%s was removed here, but its consent was not given back to the provider (%v)", b.Address, err)
	}
	ctx, cancel := s.finishing(ctx)
	defer cancel()
	if err := b.Grant.Forget(ctx); err != nil {
		return note, fmt.Errorf("deleting the consent of %s: %w", b.Address, err)
	}
	if err := s.secrets.Delete(ctx, mailbox.PasswordKey(b.Address)); err != nil {
		return note, fmt.Errorf("deleting the local password of %s: %w", b.Address, err)
	}
	if err := s.secrets.Delete(ctx, b.Provider.OwnSecretKey(b.Address)); err != nil {
		return note, fmt.Errorf("deleting the client secret of %s: %w", b.Address, err)
	}
	if _, err := s.put(ctx, cfg, func() error {
		if s.opts.ConfigPath == "" {
			return nil
		}
		if s.shared != nil {
			return s.shared.Secrets().Delete(ctx, accountRecord(b.Address))
		}
		return config.RemoveAccount(s.opts.ConfigPath, b.Address)
	}); err != nil {
		return note, err
	}
	s.ages.forget(b.Address)
	s.forgetLimits(ctx, config.Fold(b.Address))
	// A sign-in that was going on in the meantime may have stored a token again.
	if err := b.Grant.Forget(ctx); err != nil {
		s.log.Error("a consent may remain in the keystore", "account", b.Address, "err", err)
	}
	return note, nil
}

// Password returns an account's local password. With renew it makes a new one first,
// and the old one is no longer accepted.
func (s *Server) Password(ctx context.Context, address string, renew bool) (string, error) {
	b := s.hall.Mailbox(address)
	if b == nil {
		return "", mailbox.UnknownAccount(address)
	}
	if !renew {
		password, err := s.secrets.Get(ctx, mailbox.PasswordKey(b.Address))
		if errors.Is(err, keystore.ErrNotFound) {
			return "", mailbox.NoPassword(b.Address)
		}
		if err != nil {
			return "", fmt.Errorf("local password of %s: %w", b.Address, err)
		}
		return password, nil
	}
	password := mailbox.NewPassword()
	if _, err := b.Password.Store(ctx, s.secrets, b.Address, password); err != nil {
		return "", fmt.Errorf("storing the local password of %s: %w", b.Address, err)
	}
	return password, nil
}

// Accounts returns the accounts' states, sorted by address.
func (s *Server) Accounts() []api.AccountStatus { return s.Snapshot().Accounts }

// SetLogin changes the name that an account logs in with at the mail server: the user
// who signed in, where that is not the address (shared mailbox, alias). "" is the
// address.
func (s *Server) SetLogin(ctx context.Context, address, login string) error {
	return s.amend(ctx, address, func(a *api.Account) { a.Login = login })
}

// SetProtocols changes what an account does. Its consent may not cover that; see [Server.Authorize].
func (s *Server) SetProtocols(ctx context.Context, address string, protocols []api.Protocol) error {
	return s.amend(ctx, address, func(a *api.Account) { a.Protocols = protocols })
}

// amend changes an account that is there.
func (s *Server) amend(ctx context.Context, address string, edit func(*api.Account)) error {
	ctx, done := s.editing(ctx)
	defer done()
	b := s.hall.Mailbox(address)
	if b == nil {
		return mailbox.UnknownAccount(address)
	}
	a := b.Account
	if edit(&a); a.Equal(b.Account) {
		return nil
	}
	return s.add(ctx, nil, []api.Account{a})
}

// AddProvider adds a provider that is not built in. Its ID is made of its name.
func (s *Server) AddProvider(ctx context.Context, n api.NewProvider) error {
	ctx, done := s.editing(ctx)
	defer done()
	p := config.Provider{ID: newProviderID(n.Name, s.config().Provider), Name: n.Name, Domains: n.Domains, AuthURL: n.AuthURL, TokenURL: n.TokenURL,
		Scopes: n.Scopes, SMTP: n.SMTP, SMTPTLS: "starttls", IMAP: n.IMAP, POP: n.POP}
	if n.TLS {
		p.SMTPTLS = "implicit"
	}
	return s.add(ctx, []config.Provider{p}, nil)
}

// newProviderID makes an ID of small letters, digits and hyphens that no provider has.
func newProviderID(name string, known func(id string) (config.Provider, bool)) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	base := cmp.Or(strings.Join(words, "-"), "provider")
	id := base
	for n := 2; ; n++ {
		if _, taken := known(id); !taken {
			return id
		}
		id = base + "-" + strconv.Itoa(n)
	}
}

// checkWritable finds out whether changes can be written to the configuration file.
func (s *Server) checkWritable() error {
	if s.opts.ConfigPath == "" || s.shared != nil {
		return nil
	}
	if _, err := safeio.Writable(s.opts.ConfigPath); err != nil {
		return &api.Problem{Lasting: true, What: api.Say("{{.File}} can’t be written ({{.Why}}).", "File", s.opts.ConfigPath, "Why", err.Error()),
			Cure: api.Say("Let this user write it. Until then no changes can be saved.")}
	}
	return nil
}

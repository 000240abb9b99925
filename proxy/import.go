package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/emailproxy"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// importers is how many accounts are imported at the same time: keychains are slow, and a
// keystore file writes what arrives together in one go.
const importers = 32

// Import adds accounts whose refresh tokens were issued elsewhere, from an import file (see
// [config.ParseImport]). It reports bad entries and imports the others; an account that is
// already there and is the same stays as it is. Secrets are stored before the configuration
// names their account.
func (s *Server) Import(ctx context.Context, data []byte) (api.ImportReport, error) {
	ctx, done := s.editing(ctx)
	defer done()
	return s.importFile(ctx, data)
}

// importFile is Import for a caller who holds s.edit.
func (s *Server) importFile(ctx context.Context, data []byte) (api.ImportReport, error) {
	found, err := config.ParseImport(data, *s.config())
	if err != nil {
		return api.ImportReport{}, err
	}
	return s.take(ctx, found)
}

// ImportEmailProxy adds the accounts of email-oauth2-proxy's configuration file, with their
// registrations. passwords are mail passwords by address, as far as they are known: with its
// password, an account's tokens are imported too, and the password stays its local password,
// so that its mail program needs no other. Without the password, the report's Consent names
// the account, unless it already has a consent here. The password of no address ("") is tried on
// all accounts that have none of their own. A file of another kind is imported as by Import.
//
// A provider that the catalogue does not have is added to the configuration. The report names
// everything that was not carried over. Importing a file twice changes nothing.
func (s *Server) ImportEmailProxy(ctx context.Context, data []byte, passwords map[string]string) (api.ImportReport, error) {
	ctx, done := s.editing(ctx)
	defer done()
	if !emailproxy.Is(data) {
		return s.importFile(ctx, data)
	}
	file, err := emailproxy.Parse(data)
	if err != nil {
		return api.ImportReport{}, fmt.Errorf("import file: %w", err)
	}
	found := s.config().FromEmailProxy(file, passwords)
	report, err := s.take(ctx, found)
	if err != nil {
		return report, err
	}
	report.Servers = mailServers(s.places())
	for _, e := range found.Entries {
		box := s.hall.Mailbox(e.Account.Address)
		if box == nil || box.Provider.Grant != "" {
			continue
		}
		if there, err := box.Grant.Granted(ctx); err != nil || there {
			continue
		}
		report.Consent = append(report.Consent, box.Address)
		if e.Sealed {
			report.Left = append(report.Left, api.Problem{
				State: api.NeedsConsent, Account: box.Address, Lasting: true, Do: api.SignIn,
				What: api.Say("The tokens of {{.Account}} were left behind: only the password of its mail program opens them.", "Account", box.Address),
				Cure: api.Say("Import the file again and give that password, or sign in."),
			})
		}
	}
	return report, nil
}

// take stores the entries' secrets, and adds their accounts and the new providers. An account
// that is already there and is the same stays as it is, and so does one for which its entry
// has no token. The caller holds s.edit.
func (s *Server) take(ctx context.Context, found config.Imported) (api.ImportReport, error) {
	entries := found.Entries
	report := api.ImportReport{Problems: found.Problems, Left: found.Left, Warnings: found.Warnings}
	for i := range entries { // what the format does not have stays as it was set by hand
		box, a := s.hall.Mailbox(entries[i].Account.Address), &entries[i].Account
		if box == nil {
			continue
		}
		a.Login = box.Account.Login
		if len(a.Protocols) == 0 {
			a.Protocols = box.Account.Protocols
		}
		a.IMAP, a.POP = cmp.Or(a.IMAP, box.Account.IMAP), cmp.Or(a.POP, box.Account.POP)
	}
	cfg := *s.config()
	cfg.Providers = slices.Concat(cfg.Providers, found.Providers)
	known := cfg.Catalogue()
	changes, failures := s.storeSecrets(ctx, known, entries)

	var taken []api.Account
	for i, e := range entries {
		box := s.hall.Mailbox(e.Account.Address)
		switch {
		case failures[i] != nil:
			what := api.Problem{Account: e.Account.Address, What: api.Say("{{.Reason}}", "Reason", failures[i].Error())}
			report.Problems = append(report.Problems, api.ImportProblem{Index: e.Index, Address: e.Account.Address, Problem: what})
			continue
		case s.hasNothingNew(e):
			report.Unchanged++
			continue
		case box == nil || !box.Account.Equal(e.Account):
			taken = append(taken, e.Account)
			report.Imported++
		case changes[i] != secretChanges{}:
			report.Imported++
		default:
			report.Unchanged++
		}
		if box != nil {
			report.Warnings = append(report.Warnings, changesOf(box, known, e, changes[i])...)
		}
	}
	slices.SortFunc(report.Problems, func(a, b api.ImportProblem) int { return cmp.Compare(a.Index, b.Index) })
	report.Failed = len(report.Problems)
	own := wantedProviders(found, taken)
	ports := s.config().Changes(found.Settings)
	if len(taken)+len(own)+len(ports) == 0 {
		return report, nil
	}
	err := s.addWith(ctx, own, taken, ports)
	if busy, ok := errors.AsType[*api.PortTakenError](err); ok && len(ports) > 0 {
		// The other program still runs. Its accounts can come now, and its ports later.
		report.Left = append(report.Left, api.Problem{Lasting: true, What: busy.Text(), Cure: api.Say("Quit email-oauth2-proxy, then import the file again, so that Waxseal takes over its ports.")})
		err = s.addWith(ctx, own, taken, nil)
	}
	if err != nil {
		return report, err
	}
	s.preload(ctx)
	return report, nil
}

// wantedProviders returns the new providers, except for those that only accounts which are not
// taken would use.
func wantedProviders(found config.Imported, taken []api.Account) []config.Provider {
	return slices.DeleteFunc(slices.Clone(found.Providers), func(p config.Provider) bool {
		used := slices.ContainsFunc(found.Entries, func(e config.ImportEntry) bool { return e.Account.Provider == p.ID })
		return used && !slices.ContainsFunc(taken, func(a api.Account) bool { return a.Provider == p.ID })
	})
}

// secretChanges says which of an account's secrets an import changed.
type secretChanges struct{ client, password, token bool }

// storeSecrets stores the secrets of all entries. It returns what changed, and what failed,
// for each.
func (s *Server) storeSecrets(ctx context.Context, known config.Catalogue, entries []config.ImportEntry) ([]secretChanges, []error) {
	shared := s.shareSecrets(ctx, known, entries)
	changes := make([]secretChanges, len(entries))
	failures := make([]error, len(entries))
	var workers errgroup.Group
	workers.SetLimit(importers)
	for i, e := range entries {
		if s.hasNothingNew(e) {
			continue
		}
		workers.Go(func() error {
			changes[i].client, failures[i] = s.importSecret(ctx, known, shared, e)
			if failures[i] == nil {
				changes[i].password, changes[i].token, failures[i] = s.importSecrets(ctx, e)
			}
			return nil
		})
	}
	_ = workers.Wait() // the errors are in failures
	return changes, failures
}

// changesOf returns a warning for everything that an import changes in an account that is
// already there: whoever wrote the file could otherwise redirect its mail or its secrets
// without anybody noticing.
func changesOf(box *mailbox.Mailbox, known config.Catalogue, e config.ImportEntry, secret secretChanges) []api.Problem {
	var list []api.Problem
	note := func(changed bool, key string, pairs ...string) {
		if changed {
			list = append(list, api.Problem{Account: box.Address, Lasting: true, What: api.Say(key, append(pairs, "Account", box.Address)...)})
		}
	}
	was := box.Provider
	now, err := known.Resolve(e.Account)
	if err != nil {
		now = was
	}
	note(now.ID != was.ID, "The provider of {{.Account}} is now {{.New}}; it was {{.Old}}.", "New", now.Name, "Old", was.Name)
	note(now.TokenURL != was.TokenURL, "The token endpoint of {{.Account}} is now {{.New}}; it was {{.Old}}.", "New", now.TokenURL, "Old", was.TokenURL)
	note(now.SMTP != was.SMTP, "The mail server of {{.Account}} is now {{.New}}; it was {{.Old}}.", "New", now.SMTP, "Old", was.SMTP)
	note(now.IMAP != was.IMAP && e.Account.Uses(api.IMAP), "The IMAP server of {{.Account}} is now {{.New}}; it was {{.Old}}.", "New", now.IMAP, "Old", was.IMAP)
	note(now.POP != was.POP && e.Account.Uses(api.POP), "The POP server of {{.Account}} is now {{.New}}; it was {{.Old}}.", "New", now.POP, "Old", was.POP)
	note(now.ClientID != was.ClientID, "The client ID of {{.Account}} is now {{.New}}; it was {{.Old}}.", "New", now.ClientID, "Old", was.ClientID)
	note(secret.client, "The client secret of {{.Account}} was replaced.")
	note(secret.password, "The local password of {{.Account}} was replaced; its mail program needs the new one.")
	note(secret.token, "The sign-in of {{.Account}} was replaced by the one in the file.")
	return list
}

// importSecrets stores an entry's password and token if they differ from those that are
// stored, and reports which did.
func (s *Server) importSecrets(ctx context.Context, e config.ImportEntry) (password, token bool, err error) {
	address, local := e.Account.Address, e.Password
	if local == "" {
		local, err = s.secrets.Get(ctx, mailbox.PasswordKey(address))
		if errors.Is(err, keystore.ErrNotFound) {
			local, err = mailbox.NewPassword(), nil
		}
		if err != nil {
			return false, false, fmt.Errorf("local password: %w", err)
		}
	}
	box := s.hall.Mailbox(address)
	if box != nil {
		password, err = box.Password.Store(ctx, s.secrets, address, local)
	} else {
		password, err = mailbox.PutSecret(ctx, s.secrets, mailbox.PasswordKey(address), local)
	}
	if err != nil {
		return false, false, fmt.Errorf("local password: %w", err)
	}
	if e.RefreshToken == "" {
		return password, false, nil
	}
	if box != nil {
		token, err = box.Grant.Accept(ctx, e.RefreshToken, e.Scopes...)
		return password, token, err
	}
	// The account is not there yet, because its secrets come first.
	grant := oauth.New(oauth.Config{}, config.Fold(address), oauth.Deps{Secrets: s.secrets})
	defer grant.Close(ctx)
	_, err = grant.Accept(ctx, e.RefreshToken, e.Scopes...)
	return password, true, err
}

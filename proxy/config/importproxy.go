package config

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/emailproxy"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// proxyImport turns the accounts of email-oauth2-proxy into entries.
type proxyImport struct {
	before, cfg Config    // as it is, and with the file's ports
	known       Catalogue // the configuration's, after the providers that the file needs
	file        emailproxy.File

	Imported
}

// FromEmailProxy turns the accounts of email-oauth2-proxy's configuration into entries, and
// adds the providers that the catalogue does not have. passwords are the mail passwords by
// address, as far as they are known; each decrypts the secrets of its account. The one of no
// address ("") is tried on all other accounts, which need their sign-in if it is not theirs.
// Whatever is not carried over is in Problems, Left or Warnings.
func (c Config) FromEmailProxy(file emailproxy.File, passwords map[string]string) Imported {
	folded := make(map[string]string, len(passwords))
	for address, password := range passwords {
		folded[Fold(address)] = password
	}
	m := &proxyImport{before: c, cfg: c, known: c.Catalogue(), file: file}
	seen := map[string]bool{}
	for i, a := range file.Accounts {
		key := Fold(a.Address)
		var err error = trouble(api.Say("Another section has the same address, written in another way."), api.Say("Remove one of the two."))
		var e ImportEntry
		if !seen[key] {
			password, own := folded[key]
			if general := folded[""]; general != "" && !own {
				if _, wrong := a.Open(general); !errors.Is(wrong, emailproxy.ErrPassword) {
					password = general
				}
			}
			e, err = m.entry(a, password)
		}
		seen[key] = true
		if err != nil {
			m.Problems = append(m.Problems, api.ImportProblem{Index: i, Address: a.Address, Problem: problemOf(err, a.Address)})
			continue
		}
		e.Index = i
		m.Entries = append(m.Entries, e)
	}
	m.sections()
	m.ports()
	m.Warnings = append(m.Warnings, weakPasswords(m.Entries)...)
	return m.Imported
}

// entry returns an account's entry, and adds its provider if that is new.
func (m *proxyImport) entry(a emailproxy.Account, password string) (e ImportEntry, err error) {
	e = ImportEntry{Account: api.Account{Address: a.Address, ClientID: a.ClientID}, Password: password, Scopes: a.Scopes}
	if err := checkProxyAccount(a); err != nil {
		return e, err
	}
	secrets, err := a.Open(password)
	if errors.Is(err, emailproxy.ErrPassword) {
		return e, trouble(api.Say("The mail password does not open the tokens."),
			api.Say("Give the password that its mail program uses, or none and sign in again afterwards."))
	}
	if err != nil {
		return e, err
	}
	e.RefreshToken, e.ClientSecret, e.Sealed = secrets.RefreshToken, secrets.ClientSecret, a.Sealed() && password == ""
	grant, err := m.credentials(a, &e)
	if err != nil {
		return e, err
	}
	if err := checkURL("token_url", a.TokenURL); err != nil {
		return e, err
	}
	p, does, err := m.provider(a, grant)
	if err != nil {
		return e, err
	}
	e.Account.Provider = p.ID
	e.Account.SMTP, e.Account.IMAP, e.Account.POP = m.otherPort(p, api.SMTP), m.otherPort(p, api.IMAP), m.otherPort(p, api.POP)
	if len(does) == 0 {
		e.RefreshToken, e.Sealed = "", false
	} else if !slices.Equal(does, []api.Protocol{api.SMTP}) {
		e.Account.Protocols = does
	}
	m.checkSending(a, p, does)
	m.checkSignIn(a, e)
	m.checkRedirect(a, p, e)
	if err := e.checkText(); err != nil {
		return e, err
	}
	_, err = m.known.Resolve(e.Account)
	return e, err
}

// checkProxyAccount returns an error if an account cannot be imported at all.
func checkProxyAccount(a emailproxy.Account) error {
	var none api.Text
	addIt := func(p *api.Problem) error { p.Account, p.Do = a.Address, api.AddAccount; return p }
	if _, mailbox, ok := strings.Cut(a.Address, `\`); ok {
		return trouble(api.Say("Its name stands for a shared mailbox and the user who signs in, in a notation that Microsoft no longer supports."),
			api.Say("Add the mailbox {{.Mailbox}} and sign in as that user.", "Mailbox", mailbox))
	}
	if err := CheckAddress(a.Address); err != nil {
		return trouble(api.Say("Its name {{.Reason}}.", "Reason", err.Error()), none)
	}
	switch {
	case a.Cached():
		return trouble(api.Say("It has tokens but no registration, so this is probably the file of --cache-store."), api.Say("Import emailproxy.config instead, and sign in again."))
	case a.Certificate:
		return addIt(trouble(api.Say("It authenticates with a certificate (jwt_certificate_path), which Waxseal does not support."), api.Say("Create a client secret for its registration, and add the account with that.")))
	case a.Resource != "":
		return addIt(trouble(api.Say("It uses oauth2_resource, which only Microsoft’s first endpoints know."), api.Say("Add the account and sign in.")))
	case a.ClientID == "":
		return trouble(api.Say("Its client_id is missing."), api.Say("Add the client ID of its registration to the file."))
	}
	return nil
}

// grantOf returns the grant that belongs to a flow.
func grantOf(flow string) (grant string, known bool) {
	switch flow {
	case emailproxy.Consent, emailproxy.Device, emailproxy.Password: // the last needs a consent from now on
		return "", true
	case emailproxy.ClientCredentials:
		return oauth.ClientCredentials, true
	case emailproxy.ServiceAccount:
		return oauth.JWTBearer, true
	}
	return "", false
}

// credentials returns an account's grant, and completes the entry with what the grant needs.
func (m *proxyImport) credentials(a emailproxy.Account, e *ImportEntry) (grant string, err error) {
	grant, known := grantOf(a.Flow)
	switch {
	case !known:
		return "", &api.Problem{Lasting: true, Account: a.Address, Do: api.AddAccount,
			What: api.Say("Its oauth2_flow {{.Flow}} is not known.", "Flow", a.Flow), Cure: api.Say("Add the account and sign in.")}
	case grant == "":
		return "", nil
	case grant == oauth.ClientCredentials && !a.Sealed() && m.file.NeedsPassword(a):
		e.ClientSecret = e.Password
	case grant == oauth.JWTBearer:
		if err := e.serviceKey(a); err != nil {
			return "", err
		}
	}
	if e.ClientSecret == "" {
		return "", trouble(api.Say("Its client secret is missing, or is only known together with the password of its mail program."), api.Say("Import the file again and give that password."))
	}
	e.RefreshToken = "" // it does not need one
	return grant, nil
}

// serviceKey completes an entry of a service account, whose key is the client secret.
func (e *ImportEntry) serviceKey(a emailproxy.Account) error {
	if a.ClientID == "file" {
		return &api.Problem{Lasting: true, Account: a.Address, Do: api.AddAccount,
			What: api.Say("The key of its service account is in a file of its own."), Cure: api.Say("Add the account with that file as the client secret; docs/providers.md describes the provider to choose.")}
	}
	if e.ClientSecret == "" {
		return nil // it is encrypted
	}
	var key struct {
		Email string `json:"client_email"`
	}
	if !isServiceKey(e.ClientSecret) || json.Unmarshal([]byte(e.ClientSecret), &key) != nil {
		return trouble(api.Say("Its client_secret is not the JSON key of a service account."), api.Say("Paste the whole key into it."))
	}
	e.Account.ClientID = key.Email
	return nil
}

// checkSending names an account that could do nothing until now that it can do here, or that sent
// through another server.
func (m *proxyImport) checkSending(a emailproxy.Account, p Provider, does []api.Protocol) {
	servers := m.servers(api.SMTP)
	switch {
	case len(does) == 0:
		m.Left = append(m.Left, api.Problem{
			State: api.NeedsConsent, Account: a.Address, Lasting: true, Do: api.SignIn,
			What: api.Say("{{.Account}} may only receive mail, not send it ({{.Scopes}}).", "Account", a.Address, "Scopes", strings.Join(a.Scopes, " ")),
			Cure: api.Say("Make sure that its registration has the permission {{.Scope}}, and sign in again.", "Scope", strings.Join(p.Scopes, " ")),
		})
	case slices.Contains(does, api.SMTP) && len(servers) > 0 && !m.hasServer(p, api.SMTP):
		found := *trouble(
			api.Say("{{.Account}} now sends through {{.Server}}, which is not one of the file’s SMTP servers.", "Account", a.Address, "Server", p.SMTP),
			api.Say("If it must use one of those, set that server for the account in the configuration."))
		if _, domain, _ := CutDomain(Fold(a.Address)); slices.ContainsFunc(servers, func(s emailproxy.Server) bool { return site(s.Address) == site(domain) }) {
			m.Left = append(m.Left, found) // one of them is probably the account's
		} else {
			m.Warnings = append(m.Warnings, found)
		}
	}
}

// checkSignIn names an account that signed in with its own password, without a browser.
func (m *proxyImport) checkSignIn(a emailproxy.Account, e ImportEntry) {
	if a.Flow != emailproxy.Password {
		return
	}
	found := api.Problem{State: api.NeedsConsent, Account: a.Address, Lasting: true, Do: api.SignIn,
		What: api.Say("Until now, {{.Account}} has signed in with its own password (oauth2_flow = password), which Waxseal does not do.", "Account", a.Address),
		Cure: api.Say("Sign in with the browser.")}
	if e.RefreshToken == "" {
		m.Left = append(m.Left, found)
	} else {
		found.Cure = api.Say("When the sign-in expires, sign in with the browser.")
		m.Warnings = append(m.Warnings, found)
	}
}

// anyPort reports whether a provider ignores the port of every loopback address that is registered, as
// Microsoft does (learn.microsoft.com/entra/identity-platform/reply-url#localhost-exceptions).
func anyPort(p Provider) bool {
	return strings.HasPrefix(HostOf(p.TokenURL), "login.microsoftonline.") || strings.HasPrefix(HostOf(p.TokenURL), "login.partner.microsoftonline.")
}

// checkRedirect names a registration that probably does not have the redirect address that
// Waxseal uses. That matters when the account signs in the next time.
func (m *proxyImport) checkRedirect(a emailproxy.Account, p Provider, e ImportEntry) {
	if p.Grant != "" || a.Redirect == "" || a.Flow == emailproxy.Device {
		return
	}
	if u, err := url.Parse(a.Redirect); err == nil && isLoopbackURL(a.Redirect) {
		if u.Port() != "" && !anyPort(p) {
			m.Warnings = append(m.Warnings, *trouble(
				api.Say("The redirect address of {{.Account}} has a port ({{.Redirect}}), but Waxseal uses any free port.", "Account", a.Address, "Redirect", a.Redirect),
				api.Say("If the provider refuses that when the account signs in again, register the address without a port, or a desktop program.")))
		}
		return
	}
	found := *trouble(
		api.Say("The registration of {{.Account}} has the redirect address {{.Redirect}}, which Waxseal cannot use.", "Account", a.Address, "Redirect", a.Redirect),
		api.Say("Add {{.Ours}} to the registration before the account signs in again.", "Ours", "http://"+p.RedirectHost))
	if e.RefreshToken == "" {
		m.Left = append(m.Left, found)
	} else {
		m.Warnings = append(m.Warnings, found)
	}
}

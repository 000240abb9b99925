package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// addFlags are the flags of `waxseal account add`.
type addFlags struct {
	provider   string
	login      string
	clientID   string
	tenant     string
	secretFile string
	protocols  protocolList
	how        consentFlags
}

func (m *Main) accountAddCommand() *cobra.Command {
	var f addFlags
	cmd := &cobra.Command{
		Use:   "add ADDRESS",
		Short: "Add an account by signing in with your browser",
		Long: `Add an account. Waxseal finds the provider from the address, or from the mail
servers of its domain, and opens the provider's sign-in page in your browser.
Once you have approved, it checks that the provider's mail server accepts the
account.

An account sends mail. With --protocols it reads mail too, or instead:

    waxseal account add me@example.com --protocols smtp,imap

Providers only accept registered programs. Register Waxseal once
(docs/providers.md says where to click) and give the client ID here or in the
configuration. On a terminal, Waxseal shows the steps and asks for the client ID.

On a machine without a browser, Waxseal prints the address of the sign-in page:
open it on another computer, and paste the address of the page at which the
browser there ends. If the provider supports it, Waxseal also shows a code,
which you enter on any other device.`,
		Args: exactlyAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return m.accountAdd(ctx, args[0], f)
		},
	}
	cmd.Flags().StringVar(&f.provider, "provider", "", "the provider's `ID` (`waxseal providers` lists them)")
	cmd.Flags().StringVar(&f.login, "login", "", "the `USER` who signs in, if that is not the address (shared mailbox, alias)")
	cmd.Flags().StringVar(&f.clientID, "client-id", "", "the client `ID` of your registration")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "the `ID` or domain of the Microsoft directory, if your registration is for that one only")
	cmd.Flags().StringVar(&f.secretFile, "client-secret-file", "", "`FILE` with the registration's client secret or a service account's key; - for standard input")
	cmd.Flags().Var(&f.protocols, "protocols", "what the account does, as a `LIST` with commas: smtp sends mail, imap and pop read it (default smtp)")
	f.how.add(cmd)
	return cmd
}

func (m *Main) accountReauthorizeCommand() *cobra.Command {
	var how consentFlags
	var clientID, secretFile, login string
	cmd := &cobra.Command{
		Use:   "reauthorize ADDRESS",
		Short: "Sign in to an account again",
		Args:  exactlyAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			secret, err := m.readClientSecret(secretFile)
			if err != nil {
				return err
			}
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				p, err := c.Preflight(ctx, api.Account{Address: args[0]})
				if err == nil && !p.There {
					err = noSuchAccount(args[0])
				}
				if err != nil {
					return err
				}
				if secret != "" || clientID != "" {
					if err := c.SetClient(ctx, args[0], api.Client{ID: clientID, Secret: secret}); err != nil {
						return err
					}
				}
				if cmd.Flags().Changed("login") {
					if err := c.SetLogin(ctx, args[0], login); err != nil {
						return err
					}
				}
				if _, err := m.authorize(ctx, c, api.ConsentRequest{Account: api.Account{Address: args[0]}}, p, how); err != nil {
					return err
				}
				fmt.Fprintf(m.Out, "%s is ready\n", args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&clientID, "client-id", "", "another client `ID`, for all accounts that use this registration")
	cmd.Flags().StringVar(&secretFile, "client-secret-file", "", "`FILE` with a new client secret, for all accounts that use this registration; - for standard input")
	cmd.Flags().StringVar(&login, "login", "", "the `USER` who signs in, if that is not the address (shared mailbox, alias)")
	how.add(cmd)
	return cmd
}

func (m *Main) accountAdd(ctx context.Context, address string, f addFlags) error {
	secret, err := m.readClientSecret(f.secretFile)
	if err != nil {
		return err
	}
	id, secret, err := config.ReadClientFields(f.clientID, secret)
	if err != nil {
		return err
	}
	c, err := m.connect(ctx, true)
	if err != nil {
		return err
	}
	defer c.Close()
	account := api.Account{Address: address, Provider: f.provider, Login: f.login, ClientID: id, Tenant: f.tenant, Protocols: f.protocols}
	p, err := c.Preflight(ctx, account)
	if err == nil && p.Provider == "" {
		if account.Provider, err = m.chooseProvider(ctx, p); err == nil {
			p, err = c.Preflight(ctx, account)
		}
	}
	if err == nil {
		err = offered(p, f.protocols)
	}
	if err == nil && p.NoClientID && !p.There {
		account.ClientID, secret, err = m.register(ctx, p, secret)
		if err == nil && p.Registration.Tenant && account.Tenant == "" {
			account.Tenant, err = m.ask(ctx, "tenant (only if the registration is for one directory; leave empty otherwise):")
		}
	}
	if err != nil {
		return err
	}
	signInAgain := p.There && f.login != ""
	if signInAgain { // it is there, and its user signs in under another name
		if err := c.SetLogin(ctx, address, f.login); err != nil {
			return err
		}
	}
	consented, err := m.authorize(ctx, c, api.ConsentRequest{Account: account, New: !signInAgain, ClientSecret: secret}, p, f.how)
	if err != nil && !consented && !signInAgain {
		return err // the engine has removed it again
	}
	if err != nil {
		return withCure(err, "the account is kept; once this is fixed, `waxseal doctor` checks it again")
	}
	s, err := c.MailSettings(ctx, address, false)
	if err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "\n%s is ready. Enter these settings in your mail program:\n\n", address)
	printMailSettings(m.Out, s)
	if !c.running {
		fmt.Fprintln(m.Out, "\nThen start `waxseal serve`, which accepts the mail.")
	}
	return nil
}

// chooseProvider asks for the provider when the address does not tell it.
func (m *Main) chooseProvider(ctx context.Context, p api.Preflight) (id string, err error) {
	if !m.interactive() {
		var ids []string
		for _, c := range p.Choices {
			ids = append(ids, c.ID)
		}
		return "", withCure(errors.New(p.Unknown.Summary()), "choose one with --provider: "+strings.Join(ids, ", ")+"; or add a [[provider]] table to the configuration")
	}
	m.say("%s", p.Unknown.Summary())
	for i, c := range p.Choices {
		fmt.Fprintf(m.Err, "%4d  %s\n", i+1, clean(c.Name))
	}
	fmt.Fprintf(m.Err, "%4d  another provider\n", len(p.Choices)+1)
	for {
		answer, err := m.ask(ctx, "who hosts this mailbox? enter the number:")
		if err != nil {
			return "", err
		}
		switch n, err := strconv.Atoi(answer); {
		case err == nil && n >= 1 && n <= len(p.Choices):
			return p.Choices[n-1].ID, nil
		case err == nil && n == len(p.Choices)+1:
			return "", withCure(errors.New("describe another provider in the configuration file first:\n"+
				"add [[provider]] with id, auth_url, token_url, scopes and smtp = \"host:port\", from the provider's instructions for mail programs"),
				"docs/providers.md has an example; then run this command again with --provider ID")
		}
		m.say("enter a number from 1 to %d", len(p.Choices)+1)
	}
}

// register says how to register Waxseal with a provider, and asks for the resulting client ID
// and, unless it was given, the client secret.
func (m *Main) register(ctx context.Context, p api.Preflight, given string) (clientID, secret string, err error) {
	m.say("%s only accepts registered programs, and this copy of Waxseal is not registered yet", p.Name)
	if !p.Registration.Closed.IsZero() {
		m.say("%s", p.Registration.Closed)
	}
	for i, step := range p.Registration.Steps {
		m.say("%d. %s", i+1, step.Text)
		for _, line := range []string{step.Link, step.Copy} {
			if line != "" {
				fmt.Fprintf(m.Err, "     %s\n", clean(line))
			}
		}
	}
	if !m.interactive() {
		return "", "", withCure(fmt.Errorf("the client ID of your registration with %s is missing", p.Name),
			"set it with --client-id (and --client-secret-file), or as client_id of the provider in the configuration; docs/providers.md says how to get one")
	}
	answer, err := m.ask(ctx, "client ID (or the provider's JSON file, or its content in one line):")
	if err != nil {
		return "", "", err
	}
	if file := strings.Trim(answer, `'"`); strings.HasSuffix(strings.ToLower(file), ".json") { // typed, or dropped on the terminal
		if answer, err = m.readClient(file); err != nil {
			return "", "", err
		}
	}
	if clientID, secret, err = config.ReadClientFields(answer, given); err != nil {
		return "", "", err
	}
	if clientID == "" {
		return "", "", withCure(errors.New("no client ID was given"), "docs/providers.md says how to get one")
	}
	switch {
	case secret != "" || p.Registration.Secret == "none":
		return clientID, secret, nil
	case p.Registration.Secret == "needed":
		secret, err = m.askSecret(ctx, "client secret (kept in the keystore):")
	default:
		secret, err = m.askSecret(ctx, "client secret (kept in the keystore; leave empty if there is none):")
	}
	if err != nil {
		return "", "", err
	}
	return config.ReadClientFields(clientID, secret)
}

// readClientSecret reads a client secret, or JSON with one, from a file: arguments can be seen
// by other programs.
func (m *Main) readClientSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := m.readClient(file)
	if err != nil {
		return "", err
	}
	switch id, secret, _ := config.ReadClient([]byte(text)); {
	case secret == "" && id == "":
		return "", withCure(errors.New("the client secret is empty"), "leave out --client-secret-file if the registration has no secret")
	case secret == "":
		return "", withCure(fmt.Errorf("%s has the client ID %s, but no client secret", file, id),
			"if the registration has no secret, use --client-id "+id+" instead; otherwise add a new secret to it, because Google and Microsoft only show one when it is created")
	}
	return text, nil
}

// readClient reads a file with a client ID, a client secret or both; see [config.ReadClient].
func (m *Main) readClient(file string) (string, error) {
	data, err := m.readAll(file, "client secret", "name a file that contains it, or - for standard input", 64<<10)
	if err != nil {
		return "", err
	}
	if _, _, err := config.ReadClient(data); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return safeio.Text(data)
}

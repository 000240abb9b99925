package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy"
)

// addFlags are those of `waxseal account add`.
type addFlags struct {
	provider   string
	login      string
	clientID   string
	secretFile string
	how        consentFlags
}

func (m *Main) accountAddCommand() *cobra.Command {
	var f addFlags
	cmd := &cobra.Command{
		Use:   "add ADDRESS",
		Short: "Add an account: you approve it in your own browser",
		Long: `Add an account. The provider is found from the address, or from who takes its
domain's mail; then its page opens in your browser, where you approve. Before
the account is called ready its token is tried at the provider's mail server.

Providers must know the program that asks. Register it once (docs/providers.md
says where to click) and give its client ID here or in the configuration; on a
terminal you are told how, and asked for it.

On a machine without a browser you enter a code on another device, where the
provider has that. Where it has not, the page's address is printed: open it
elsewhere, and paste the address at which that browser ends.`,
		Args: exactlyAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return m.accountAdd(ctx, args[0], f)
		},
	}
	cmd.Flags().StringVar(&f.provider, "provider", "", "the provider's `ID` (`waxseal providers` lists them)")
	cmd.Flags().StringVar(&f.login, "login", "", "the `USER` who signs in, where it is not the address (shared mailbox, alias)")
	cmd.Flags().StringVar(&f.clientID, "client-id", "", "the registration's client `ID`")
	cmd.Flags().StringVar(&f.secretFile, "client-secret-file", "", "`FILE` with the registration's client secret, or a service account's key; - for standard input")
	f.how.add(cmd)
	return cmd
}

func (m *Main) accountReauthorizeCommand() *cobra.Command {
	var how consentFlags
	var secretFile string
	cmd := &cobra.Command{
		Use:   "reauthorize ADDRESS",
		Short: "Sign in again, after a consent has ended",
		Args:  exactlyAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			secret, err := m.readClientSecret(secretFile)
			if err != nil {
				return err
			}
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				p, err := c.Prospect(ctx, proxy.Account{Address: args[0]})
				if err == nil && !p.There {
					err = fmt.Errorf("there is no account %s; `waxseal account list` shows them", args[0])
				}
				if err != nil {
					return err
				}
				if secret != "" {
					if err := c.SetClientSecret(ctx, args[0], secret); err != nil {
						return err
					}
				}
				if _, err := m.authorize(ctx, c, args[0], p, how); err != nil {
					return err
				}
				fmt.Fprintf(m.Out, "%s is ready\n", args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&secretFile, "client-secret-file", "", "`FILE` with a new client secret of the registration, for all accounts that use it; - for standard input")
	how.add(cmd)
	return cmd
}

func (m *Main) accountAdd(ctx context.Context, address string, f addFlags) error {
	secret, err := m.readClientSecret(f.secretFile)
	if err != nil {
		return err
	}
	c, err := m.connect(ctx, true)
	if err != nil {
		return err
	}
	defer c.Close()
	account := proxy.Account{Address: address, Provider: f.provider, Login: f.login, ClientID: f.clientID}
	p, err := c.Prospect(ctx, account)
	if err == nil && p.Provider == "" {
		if account.Provider, err = m.chooseProvider(ctx, p); err == nil {
			p, err = c.Prospect(ctx, account)
		}
	}
	if err == nil && p.NoClientID && !p.There {
		account.ClientID, secret, err = m.register(ctx, p, secret)
	}
	if err != nil {
		return err
	}
	if _, err := c.Add(ctx, account, secret); err != nil {
		return err
	}
	consented, err := m.authorize(ctx, c, address, p, f.how)
	if err != nil && !consented {
		// An account nobody approved is none. Ctrl-C must not keep it.
		if _, rerr := c.Remove(context.WithoutCancel(ctx), address); rerr != nil {
			return errors.Join(err, rerr)
		}
		return err
	}
	if err != nil {
		return withCure(err, "`waxseal doctor` looks again when that is done; the account is kept")
	}
	s, err := c.MailSettings(ctx, address, false)
	if err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "\n%s is ready. In your mail program enter\n\n", address)
	printMailSettings(m.Out, s)
	if !c.running {
		fmt.Fprintln(m.Out, "\nand start `waxseal serve`, which takes the mail.")
	}
	return nil
}

// chooseProvider asks for what the address does not tell.
func (m *Main) chooseProvider(ctx context.Context, p proxy.Prospect) (id string, err error) {
	if !m.interactive() {
		return "", errors.New(p.Unknown)
	}
	m.say("%s", strings.SplitN(p.Unknown, "; ", 2)[0])
	for i, c := range p.Choices {
		fmt.Fprintf(m.Err, "%4d  %s\n", i+1, clean(c.Name))
	}
	fmt.Fprintf(m.Err, "%4d  another one\n", len(p.Choices)+1)
	for {
		answer, err := m.ask(ctx, "whose mail is it? the number:")
		if err != nil {
			return "", err
		}
		switch n, err := strconv.Atoi(answer); {
		case err == nil && n >= 1 && n <= len(p.Choices):
			return p.Choices[n-1].ID, nil
		case err == nil && n == len(p.Choices)+1:
			return "", withCure(errors.New("another provider must be described first, in a table of the configuration file:\n"+
				"[[provider]] with id, auth_url, token_url, scopes and smtp = \"host:port\", as its documentation has them for mail programs"),
				"docs/providers.md has an example; then run this again with --provider ID")
		}
		m.say("that is no number from 1 to %d", len(p.Choices)+1)
	}
}

// register says how to make the program known to a provider and asks for the
// client ID that this brings, and for its secret unless that is there already.
func (m *Main) register(ctx context.Context, p proxy.Prospect, given string) (clientID, secret string, err error) {
	m.say("%s must know the program that asks, and this copy of Waxseal is not registered there", p.Name)
	if p.Registration.Closed != "" {
		m.say("%s", p.Registration.Closed)
	}
	for i, step := range p.Registration.Steps {
		m.say("%d. %s", i+1, step)
	}
	if !m.interactive() {
		return "", "", withCure(fmt.Errorf("the client ID of a registration at %s is missing", p.Name),
			"give it with --client-id (and --client-secret-file), or as client_id of the provider in the configuration; docs/providers.md says how to get one")
	}
	if clientID, err = m.ask(ctx, "client ID:"); err != nil {
		return "", "", err
	}
	if clientID == "" {
		return "", "", withCure(errors.New("no client ID was given"), "docs/providers.md says how to get one")
	}
	switch {
	case given != "" || p.Registration.Secret == "none":
		return clientID, given, nil
	case p.Registration.Secret == "needed":
		secret, err = m.askSecret(ctx, "client secret, which goes into the keystore:")
	default:
		secret, err = m.askSecret(ctx, "client secret, which goes into the keystore (nothing if there is none):")
	}
	return clientID, strings.TrimSpace(secret), err
}

// readClientSecret reads a secret from a file, so that it is in no argument.
func (m *Main) readClientSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	data, err := m.readAll(file, "client secret", "name a file that holds it, or - for standard input", 64<<10)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(data))
	if secret == "" {
		return "", withCure(errors.New("the client secret is empty"), "leave --client-secret-file out for a registration without one")
	}
	return secret, nil
}

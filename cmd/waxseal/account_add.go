package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
	noBrowser  bool
	device     bool
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
says where to click) and give its client ID here or in the configuration.`,
		Args: exactly("ADDRESS"),
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
	cmd.Flags().BoolVar(&f.device, "device", false, "enter a code on any device with a browser, instead of approving in one on this computer")
	cmd.Flags().BoolVar(&f.noBrowser, "no-browser", false, "only print the address of the provider's page")
	return cmd
}

func (m *Main) accountReauthorizeCommand() *cobra.Command {
	var noBrowser, device bool
	cmd := &cobra.Command{
		Use:   "reauthorize ADDRESS",
		Short: "Sign in again, after a consent has ended",
		Args:  exactly("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				if _, err := c.Authorize(ctx, args[0], device, m.prompter(noBrowser)); err != nil {
					return err
				}
				fmt.Fprintf(m.Out, "%s is ready\n", args[0])
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&device, "device", false, "enter a code on any device with a browser, instead of approving in one on this computer")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "only print the address of the provider's page")
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
	if _, err := c.Add(ctx, account, secret); err != nil {
		return err
	}
	consented, err := c.Authorize(ctx, address, f.device, m.prompter(f.noBrowser))
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

// readClientSecret reads a secret from a file, so that it is in no argument.
func (m *Main) readClientSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	in := io.NopCloser(m.In)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("read the client secret: %w", err)
		}
		in = f
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, 64<<10))
	if err != nil {
		return "", fmt.Errorf("read the client secret: %w", err)
	}
	secret := strings.TrimSpace(string(data))
	if secret == "" {
		return "", withCure(errors.New("the client secret is empty"), "leave --client-secret-file out for a registration without one")
	}
	return secret, nil
}

// prompter shows what an authorization asks for and how it goes.
func (m *Main) prompter(noBrowser bool) func(proxy.Prompt) {
	return func(p proxy.Prompt) {
		if p.URL != "" {
			opened := !noBrowser && openBrowser(p.URL) == nil
			if opened {
				fmt.Fprintln(m.Out, "Approve in the browser that opens now. If none does, open this page:")
			} else {
				fmt.Fprintln(m.Out, "Open this page in a browser on this computer and approve:")
			}
			fmt.Fprintf(m.Out, "\n  %s\n\n", clean(p.URL))
		}
		if d := p.Device; d != nil {
			fmt.Fprintf(m.Out, "On any device, open\n\n    %s\n\nand enter the code\n\n    %s\n\nbefore %s.\n",
				clean(d.VerificationURL), clean(d.UserCode), d.Expires.Local().Format("15:04"))
		}
		if p.Check != nil {
			m.printCheck(*p.Check)
		}
	}
}

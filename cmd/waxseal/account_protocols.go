package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
)

// protocolList is the value of --protocols and of an argument: "smtp,imap".
type protocolList []api.Protocol

func (l *protocolList) String() string { return protocolNames(*l) }
func (l *protocolList) Type() string   { return "string" }

// Set reads a list with commas, and puts it in the order of api.Protocols.
func (l *protocolList) Set(s string) error {
	named := map[api.Protocol]bool{}
	for name := range strings.SplitSeq(strings.ToLower(s), ",") {
		p := api.Protocol(strings.TrimSuffix(strings.TrimSpace(name), "3")) // pop3 is POP's other name
		if !slices.Contains(api.Protocols, p) {
			return fmt.Errorf("%q is not a protocol; use smtp (send), imap (read), pop (read), or several with commas", strings.TrimSpace(name))
		}
		named[p] = true
	}
	*l = nil
	for _, p := range api.Protocols {
		if named[p] {
			*l = append(*l, p)
		}
	}
	return nil
}

// protocolNames is a list as the command line writes it.
func protocolNames(list []api.Protocol) string {
	var names []string
	for _, p := range list {
		names = append(names, string(p))
	}
	return strings.Join(names, ",")
}

// offered checks that the provider has a server for each protocol.
func offered(p api.Preflight, list []api.Protocol) error {
	for _, protocol := range list {
		if !p.Offers(protocol) {
			return withCure(fmt.Errorf("no %s server of %s is known", protocol.Label(), p.Name),
				fmt.Sprintf("name it in the configuration: %s = \"host:port\" of the account or its provider", protocol))
		}
	}
	return nil
}

func (m *Main) accountProtocolsCommand() *cobra.Command {
	var how consentFlags
	cmd := &cobra.Command{
		Use:   "protocols ADDRESS [LIST]",
		Short: "Show or change whether an account sends and reads mail",
		Long: `Show what an account does, or change it: smtp sends mail, imap and pop read it.
LIST has one or more of them, with commas:

    waxseal account protocols me@example.com smtp,imap

Some providers want a new sign-in for an account that begins to read. It starts
by itself then. Until you have approved, everything stays as it was.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return exactlyAddress(cmd, args[:1])
			}
			return exactlyAddress(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var list protocolList
			if len(args) == 2 {
				if err := list.Set(args[1]); err != nil {
					return &usageError{err}
				}
			}
			return m.connected(cmd, list != nil, func(ctx context.Context, c *connection) error {
				if list == nil {
					return m.showProtocols(ctx, c, args[0])
				}
				return m.changeProtocols(ctx, c, args[0], list, how)
			})
		},
	}
	how.add(cmd)
	return cmd
}

func (m *Main) showProtocols(ctx context.Context, c *connection, address string) error {
	accounts, err := c.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if strings.EqualFold(a.Address, address) {
			fmt.Fprintln(m.Out, does(a))
			return nil
		}
	}
	return noSuchAccount(address)
}

func (m *Main) changeProtocols(ctx context.Context, c *connection, address string, list []api.Protocol, how consentFlags) error {
	p, err := c.Preflight(ctx, api.Account{Address: address})
	if err == nil && !p.There {
		err = noSuchAccount(address)
	}
	if err == nil {
		err = offered(p, list)
	}
	if err != nil {
		return err
	}
	if _, err := m.authorize(ctx, c, api.ConsentRequest{Account: api.Account{Address: address}, Protocols: list}, p, how); err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "%s does %s now; `waxseal account password %[1]s` shows the settings for mail programs\n", address, protocolNames(list))
	return nil
}

func noSuchAccount(address string) error {
	return fmt.Errorf("there is no account %s; `waxseal account list` shows all accounts", address)
}

// does is what an account does. An instance of an older version names no protocols.
func does(a api.AccountStatus) string {
	if len(a.Protocols) == 0 {
		return string(api.SMTP)
	}
	return protocolNames(a.Protocols)
}

// readingText is how an account's reading is, in a few words: "imap ready (2), pop unknown".
func readingText(a api.AccountStatus) string {
	var parts []string
	for _, r := range a.Reading {
		text := string(r.Protocol) + " " + string(r.State)
		if r.Sessions > 0 {
			text += fmt.Sprintf(" (%d)", r.Sessions)
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

func (m *Main) providersCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "providers",
		Short: "List known mail providers",
		Long: `List the known mail providers: those in the configuration and those built in. A
[[provider]] table in the configuration adds a provider, or replaces the one with
that id; settings that it leaves out stay as built in.`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			_, cfg, err := m.load()
			if err != nil {
				return err
			}
			if asJSON {
				return m.printJSON(cfg.Catalogue())
			}
			table(m.Out, providerRows(cfg.Catalogue()))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// domainsShown is how many of a provider's domains fit in its row.
const domainsShown = 3

func providerRows(providers []config.Provider) [][]string {
	rows := [][]string{{"ID", "NAME", "SMTP", "TLS", "READING", "DOMAINS", "NOTE"}}
	for _, p := range providers {
		domains := strings.Join(p.Domains, " ")
		if n := len(p.Domains); n > domainsShown {
			domains = fmt.Sprintf("%s and %d more", strings.Join(p.Domains[:domainsShown], " "), n-domainsShown)
		}
		rows = append(rows, []string{p.ID, p.Name, p.SMTP, p.SMTPTLS, reading(p), domains, p.NoOAuth})
	}
	return rows
}

// reading names the protocols for reading that a provider has a server for.
func reading(p config.Provider) string {
	var names []string
	for _, protocol := range api.Protocols {
		if address, _ := p.Server(protocol); protocol.Reads() && address != "" {
			names = append(names, protocol.Label().String())
		}
	}
	return strings.Join(names, " ")
}

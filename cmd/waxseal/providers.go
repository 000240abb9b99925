package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/config"
)

func (m *Main) providersCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "providers",
		Short: "List the mail providers that are known",
		Long: `List the mail providers that are known: those of the configuration and those
built in. A [[provider]] table in the configuration adds one, or replaces the
one of that id; what it leaves out stays as built in.`,
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

// domainsShown is how many domains of a provider fit into its row.
const domainsShown = 3

func providerRows(providers []config.Provider) [][]string {
	rows := [][]string{{"ID", "NAME", "SMTP", "TLS", "DOMAINS", "NOTE"}}
	for _, p := range providers {
		domains := strings.Join(p.Domains, " ")
		if n := len(p.Domains); n > domainsShown {
			domains = fmt.Sprintf("%s and %d more", strings.Join(p.Domains[:domainsShown], " "), n-domainsShown)
		}
		rows = append(rows, []string{p.ID, p.Name, p.SMTP, p.SMTPTLS, domains, p.NoOAuth})
	}
	return rows
}

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/oauth"
)

func (m *Main) explainCommand() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:   "explain [ERROR]",
		Short: "Explain an error that a provider's sign-in page shows",
		Long: `Explain an error that a provider's sign-in page shows, and say what to do. ERROR
is its code, such as redirect_uri_mismatch or AADSTS50011, or the whole message.
Without it, list the errors that people meet most.`,
		RunE: func(_ *cobra.Command, args []string) error {
			_, cfg, err := m.load()
			if err != nil {
				return err
			}
			providers, err := explained(cfg, id)
			if err != nil {
				return err
			}
			return m.explainPage(providers, strings.Join(args, " "))
		},
	}
	cmd.Flags().StringVar(&id, "provider", "", "the provider's `ID` (`waxseal providers` lists them)")
	return cmd
}

// explained are the providers whose pages are meant: the one that was named, or those of the accounts,
// with their client IDs, and then all others.
func explained(cfg config.Config, id string) ([]config.Provider, error) {
	if id != "" {
		p, err := cfg.Resolve(api.Account{Provider: id})
		return []config.Provider{p}, err
	}
	var list []config.Provider
	for _, a := range cfg.Accounts {
		if p, err := cfg.Resolve(a); err == nil {
			list = append(list, p)
		}
	}
	return append(list, cfg.Catalogue()...), nil
}

// explainPage prints what providers' pages may say, or what one error means. What any provider may say
// comes after what some do.
func (m *Main) explainPage(providers []config.Provider, text string) error {
	printed := map[string]bool{}
	for _, wanted := range []bool{false, true} {
		for _, p := range providers {
			list, common := p.PageErrors()
			if common != wanted || p.NoOAuth != "" {
				continue
			}
			for _, e := range list {
				if key := e.Code + e.Means.String(); !printed[key] && (text == "" || matches(e, text)) {
					printed[key] = true
					m.printPageError(e)
				}
			}
		}
		if len(printed) > 0 {
			return nil
		}
	}
	reason := oauth.ReasonFor(text)
	if reason == "" {
		return withCure(fmt.Errorf("%q is not an error that Waxseal knows", clean(text)),
			"`waxseal explain` lists the most common ones; docs/providers.md says how to register")
	}
	m.printPageError(api.PageError{Means: api.Say(capital(reason.What())), Cure: api.Say(capital(reason.Cure()))})
	return nil
}

// capital makes a phrase a sentence.
func capital(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// matches reports whether a message has one of an error's codes in it.
func matches(e api.PageError, text string) bool {
	for _, code := range strings.Split(e.Code, ", ") {
		if code != "" && strings.Contains(strings.ToLower(text), strings.ToLower(code)) {
			return true
		}
	}
	return false
}

func (m *Main) printPageError(e api.PageError) {
	if e.Code != "" {
		fmt.Fprintln(m.Out, e.Code)
	}
	for _, line := range []string{e.Means.String(), e.Cure.String(), e.Copy, e.Link} {
		if line != "" {
			fmt.Fprintf(m.Out, "  %s\n", clean(line))
		}
	}
	fmt.Fprintln(m.Out)
}

package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
)

// complete gives all commands below cmd completions for the shell, by what their usage names: an
// ADDRESS is one of the accounts', a|b|c is one of these words.
func (m *Main) complete(cmd *cobra.Command) {
	if cmd.Runnable() && cmd.ValidArgsFunction == nil {
		_, names, _ := strings.Cut(cmd.Use, " ")
		fields := strings.Fields(names)
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) >= len(fields) || cmd.Name() == "add" { // what is added has no account yet
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return m.words(strings.Trim(fields[len(args)], "[]"), typed)
		}
	}
	each := func(f *pflag.Flag) {
		value, _ := pflag.UnquoteUsage(f)
		if c, ok := f.Value.(choice); ok {
			value = strings.Join(c.words, "|")
		} else if f.Name == "provider" {
			value = "PROVIDER"
		}
		// It fails only for a flag that has a completion already.
		_ = cmd.RegisterFlagCompletionFunc(f.Name, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return m.words(value, typed)
		})
	}
	cmd.PersistentFlags().VisitAll(each)
	cmd.LocalNonPersistentFlags().VisitAll(each)
	for _, c := range cmd.Commands() {
		m.complete(c)
	}
}

// words are what an argument or a flag's value may be, by its name in the usage. Files are left to
// the shell.
func (m *Main) words(name, typed string) (words []string, _ cobra.ShellCompDirective) {
	switch name {
	case "FILE":
		return nil, cobra.ShellCompDirectiveDefault
	case "ADDRESS":
		// Accounts are written to the configuration before anything else learns of them, so a
		// running instance has no others.
		if _, cfg, err := m.load(); err == nil {
			for _, a := range cfg.Accounts {
				words = append(words, cobra.CompletionWithDesc(a.Address, a.Provider))
			}
		}
	case "PROVIDER":
		if _, cfg, err := m.load(); err == nil {
			for _, p := range cfg.Catalogue() {
				words = append(words, cobra.CompletionWithDesc(p.ID, p.Name))
			}
		}
	case "LIST":
		// After a comma, each protocol that is not in the list yet.
		list := typed[:strings.LastIndex(typed, ",")+1]
		for _, p := range api.Protocols {
			if !slices.Contains(strings.Split(list, ","), string(p)) {
				words = append(words, list+string(p))
			}
		}
		return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	default:
		for word := range strings.SplitSeq(name, "|") {
			if word != strings.ToUpper(word) {
				words = append(words, describe(word))
			}
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// describe adds what a word is to it, if it is a kind of keystore.
func describe(word string) string {
	if kind, ok := keystore.KindOf(word); ok {
		return cobra.CompletionWithDesc(word, kind.Label)
	}
	return word
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy"
)

// flags are the global ones.
type flags struct {
	config   string
	keystore string
	logLevel string
	logFile  string

	logFormat string
}

// root makes the command tree. started is set when a command of it begins: an
// error before that is one of usage.
func (m *Main) root() (root *cobra.Command, started *bool) {
	started = new(bool)
	var hidden bool
	root = &cobra.Command{
		Use:   "waxseal",
		Short: "Send through OAuth-only mail providers from programs that know only passwords",
		Long: `Waxseal is a small mail server on this computer. A program that can send mail
with a password only sends to it; Waxseal signs in to the real provider with
OAuth 2.0, and answers what the provider answered.`,
		Args:          noSuchCommand,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			*started = true
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return m.desktop(cmd.Context(), hidden) },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(m.In)
	root.SetOut(m.Out)
	root.SetErr(m.Err)
	p := root.PersistentFlags()
	p.StringVar(&m.flags.config, "config", "", "configuration `FILE` (or "+configEnv+"; default: config.toml in the user's configuration folder)")
	p.Var(choice{&m.flags.keystore, []string{"system", "file", "memory"}}, "keystore", "`KIND` of keystore: system, file or memory (or "+keystoreEnv+"; default: as the configuration says)")
	p.Var(choice{&m.flags.logLevel, []string{"debug", "info", "warn", "error"}}, "log-level", "least `LEVEL` that is logged: debug, info, warn or error")
	p.StringVar(&m.flags.logFile, "log-file", "", "`FILE` to log to, rotated at 10 MB (default: standard error)")
	m.flags.logFormat = "text"
	p.Var(choice{&m.flags.logFormat, []string{"text", "json"}}, "log-format", "`FORMAT` of the log: text or json")
	root.Flags().BoolVar(&hidden, "hidden", false, "start without a window, as at login")
	root.AddCommand(m.windowCommands()...)
	root.AddCommand(m.serveCommand(), m.demoCommand(), m.accountCommand(), m.keystoreCommand(), m.statusCommand(),
		m.reloadCommand(), m.sendTestCommand(), m.doctorCommand(), m.logsCommand(), m.certificateCommand(), m.providersCommand(), m.versionCommand())
	root.SetHelpCommand(helpCommand())
	return root, started
}

// helpCommand is cobra's, but that nothing is no command and no topic is not done.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show what a command does",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = noSuchCommand(about, rest)
			}
			if err != nil {
				return &usageError{err}
			}
			about.InitDefaultHelpFlag() // which is listed, too
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if about, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, c := range about.Commands() {
					if c.IsAvailableCommand() {
						names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// choice is the value of a flag that takes one of a few words.
type choice struct {
	value *string
	words []string
}

func (c choice) String() string {
	if c.value == nil { // pflag asks a zero value
		return ""
	}
	return *c.value
}

func (c choice) Set(s string) error {
	if s = strings.ToLower(s); s != "" && !slices.Contains(c.words, s) { // "" is as if it were not there
		last := len(c.words) - 1
		return fmt.Errorf("it is %s or %s", strings.Join(c.words[:last], ", "), c.words[last])
	}
	*c.value = s
	return nil
}

func (c choice) Type() string { return "string" }

func init() {
	// Started from the desktop on Windows, cobra would say that this is a
	// command-line tool and wait. It is to become more than that.
	cobra.MousetrapHelpText = ""
}

// noSuchCommand is the Args of commands that only hold others.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	text := fmt.Sprintf("%q has no command %q", cmd.CommandPath(), args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text)
}

// exactly is cobra.ExactArgs with the missing or surplus argument's name.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("`%s` needs %s", cmd.CommandPath(), strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return fmt.Errorf("`%s` does not know what to do with %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// exactlyAddress is exactly for commands about one account.
func exactlyAddress(cmd *cobra.Command, args []string) error {
	if err := exactly("ADDRESS")(cmd, args); err != nil {
		return err
	}
	return checkAddress(args[0])
}

// checkAddress tells a mistyped address from one that the provider does not know.
func checkAddress(address string) error {
	if err := proxy.CheckAddress(address); err != nil {
		return fmt.Errorf("%q %w", address, err)
	}
	return nil
}

// interruptible gives commands that only wait for something a ctx that ends
// with Ctrl-C.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

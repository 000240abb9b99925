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

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/config"
)

// flags are the global flags.
type flags struct {
	config   string
	keystore string
	logLevel string
	logFile  string

	logFormat string
	revived   bool
}

// root builds the command tree. started is set once a command begins: an error before that is
// wrong usage.
func (m *Main) root() (root *cobra.Command, started *bool) {
	started = new(bool)
	var hidden bool
	root = &cobra.Command{
		Use:   "waxseal",
		Short: "Send and read mail through OAuth-only providers from programs that only support passwords",
		Long: `Waxseal is a small mail server on this computer. Programs that can only log in
with a password send to it, and read mail from it. Waxseal signs in to the real
provider with OAuth 2.0 and passes on the provider's answers.`,
		Args:          noSuchCommand,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			*started = true
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return m.desktop(cmd.Context(), hidden) },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.Version = versionText()
	root.SetVersionTemplate(buildInfo().line())
	root.SetIn(m.In)
	root.SetOut(m.Out)
	root.SetErr(m.Err)
	p := root.PersistentFlags()
	p.StringVar(&m.flags.config, "config", "", "configuration `FILE` (or "+configEnv+"; default: config.toml in your configuration folder)")
	p.Var(choice{&m.flags.keystore, keystore.Names(false)}, "keystore", "`KIND` of keystore: "+keystore.Choice(false)+" (or "+keystoreEnv+"; default: from the configuration)")
	p.Var(choice{&m.flags.logLevel, []string{"debug", "info", "warn", "error"}}, "log-level", "lowest `LEVEL` to log: debug, info, warn or error")
	p.StringVar(&m.flags.logFile, "log-file", "", "`FILE` to log to, rotated at 10 MB (default: standard error)")
	m.flags.logFormat = "text"
	p.Var(choice{&m.flags.logFormat, []string{"text", "json"}}, "log-format", "`FORMAT` of the log: text or json")
	root.Flags().BoolVar(&hidden, "hidden", false, "start without a window, as at login")
	root.Flags().BoolVar(&m.flags.revived, "revived", false, "the previous instance died, and its window started this one")
	root.Flags().MarkHidden("revived")
	root.AddCommand(m.windowCommands()...)
	root.AddCommand(m.serveCommand(), m.demoCommand(), m.accountCommand(), m.keystoreCommand(), m.statusCommand(), m.activityCommand(),
		m.reloadCommand(), m.restartCommand(), m.quitCommand(), m.eraseCommand(), m.sendTestCommand(), m.readTestCommand(), m.doctorCommand(), m.logsCommand(), m.certificateCommand(), m.credentialCommand(), m.sendmailCommand(), m.setupCommand(), m.providersCommand(), m.explainCommand(), m.versionCommand())
	root.AddCommand(m.manCommand())
	root.SetHelpCommand(helpCommand())
	m.complete(root)
	return root, started
}

// helpCommand is cobra's, except that help for an unknown command is wrong usage.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = noSuchCommand(about, rest)
			}
			if err != nil {
				return &usageError{err}
			}
			about.InitDefaultHelpFlag() // so that the help lists it
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

// choice is the value of a flag that accepts one of a few words.
type choice struct {
	value *string
	words []string
}

func (c choice) String() string {
	if c.value == nil { // pflag asks the zero value
		return ""
	}
	return *c.value
}

func (c choice) Set(s string) error {
	if s = strings.ToLower(s); s != "" && !slices.Contains(c.words, s) { // "" is the default
		last := len(c.words) - 1
		return fmt.Errorf("use %s or %s", strings.Join(c.words[:last], ", "), c.words[last])
	}
	*c.value = s
	return nil
}

func (c choice) Type() string { return "string" }

func init() {
	// Started from the desktop on Windows, cobra would say that this is a command-line tool, and
	// wait. This program is meant to be started there.
	cobra.MousetrapHelpText = ""
}

// noSuchCommand is the Args of commands that only contain others.
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

// exactly is cobra.ExactArgs that names the missing or surplus argument.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("`%s` needs %s", cmd.CommandPath(), strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return fmt.Errorf("unexpected argument %q for `%s`", args[len(names)], cmd.CommandPath())
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
	if err := config.CheckAddress(address); err != nil {
		return fmt.Errorf("%q %w", address, err)
	}
	return nil
}

// interruptible gives commands that only wait for something a context that ends with Ctrl-C.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

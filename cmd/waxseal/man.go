package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand prints the manual page, which packages install. `waxseal man | man -l -` shows it.
func (m *Main) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man",
		Short:  "Print the manual page, for packages",
		Hidden: true,
		Args:   exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(m.Out, manual(cmd.Root(), m.Getenv("SOURCE_DATE_EPOCH")))
			return err
		},
	}
}

// manual is the manual page of a command and all its subcommands, as man(7) describes. epoch, if it
// is a number, is the page's date in seconds since 1970.
func manual(root *cobra.Command, epoch string) string {
	var page strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&page, format+"\n", args...) }
	date := ""
	if seconds, err := strconv.ParseInt(epoch, 10, 64); err == nil {
		date = time.Unix(seconds, 0).UTC().Format(time.DateOnly)
	}
	say(`.TH WAXSEAL 1 "%s" "Waxseal %s" "User Commands"`, date, roff(versionText()))
	say(".SH NAME\nwaxseal \\- %s", roff(strings.ToLower(root.Short[:1])+root.Short[1:]))
	say(".SH SYNOPSIS\n.B waxseal\n[\\fIOPTIONS\\fR] [\\fICOMMAND\\fR]")
	say(".SH DESCRIPTION\n%s", paragraphs(root.Long))
	say(".PP\n%s", paragraphs("Without a command, Waxseal starts with its icon in the tray. A build without a window\nruns as `waxseal serve` does."))
	say(".SH OPTIONS")
	root.InitDefaultHelpFlag()
	options(&page, root.Flags())
	say(".SH COMMANDS")
	commands(&page, root)
	for _, s := range manualSections {
		say(".SH %s\n%s", s.title, strings.TrimSpace(s.text))
	}
	return page.String()
}

// commands writes about the commands below cmd.
func commands(w io.Writer, cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() && !c.HasAvailableSubCommands() || c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		_, args, _ := strings.Cut(c.Use, " ")
		fmt.Fprintf(w, ".SS %s\n", roff(strings.TrimSpace(c.CommandPath()+" "+args)))
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		fmt.Fprintln(w, paragraphs(text))
		options(w, c.LocalNonPersistentFlags())
		commands(w, c)
	}
}

// options writes about flags.
func options(w io.Writer, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		fmt.Fprint(w, ".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(w, `\fB\-%s\fR, `, f.Shorthand)
		}
		fmt.Fprintf(w, `\fB\-\-%s\fR`, roff(f.Name))
		if value != "" {
			fmt.Fprintf(w, `=\fI%s\fR`, roff(value))
		}
		fmt.Fprintf(w, "\n%s\n", paragraphs(usage))
	})
}

// paragraphs is a help text as man(7) writes it: indented lines stay as they are, and what stands
// in backquotes is bold.
func paragraphs(text string) string {
	var out []string
	for i, part := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			out = append(out, ".PP")
		}
		example := strings.HasPrefix(part, "  ")
		pieces := strings.Split(part, "`")
		for i := range pieces {
			pieces[i] = roff(pieces[i])
			if i%2 == 1 {
				pieces[i] = `\fB` + pieces[i] + `\fR`
			}
		}
		part = strings.Join(pieces, "")
		if example {
			part = ".nf\n" + part + "\n.fi"
		}
		out = append(out, part)
	}
	return strings.Join(out, "\n")
}

// roff escapes what means something to roff.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// manualSections are the parts of the page that no command has.
var manualSections = []struct{ title, text string }{
	{"ENVIRONMENT", terms(
		configEnv, "The configuration file, as with `--config`.",
		keystoreEnv, "The kind of keystore, as with `--keystore`.",
		keystoreFileEnv, "The encrypted file of the keystore `file` (default: secrets.age beside the configuration).",
		passphraseFileEnv, "A file with the passphrase of the encrypted file. With systemd, use a credential.",
		passphraseEnv, "That passphrase itself. A file is safer.",
		instanceEnv, "The name of this machine in status, metrics and log (default: the host's name, and none in the log).",
		"NO_COLOR", "If it is set, nothing is coloured.",
	)},
	{"FILES", terms(
		"~/.config/waxseal/config.toml", "The configuration. It holds no secret. /usr/share/doc has configuration.md, which explains it.",
		"~/.local/state/waxseal/waxseal.log", "The log of a program that was started without a terminal.",
		"/var/lib/waxseal/config.toml", "The configuration of the system service (package waxseal-headless), beside what else it stores.",
		"/etc/waxseal/passphrase", "The passphrase of that service's encrypted file.",
	)},
	{"EXIT STATUS", terms("0", "Success.", "1", "The command failed; standard error says why.", "2", "Wrong usage.")},
	{"SEE ALSO", ".BR systemctl (1),\n.BR journalctl (1)\n.PP\nhttps://github.com/waxseal/waxseal"},
}

// terms is a list of names, each followed by what it is.
func terms(namesAndTexts ...string) string {
	var list strings.Builder
	for i := 0; i < len(namesAndTexts); i += 2 {
		fmt.Fprintf(&list, ".TP\n\\fB%s\\fR\n%s\n", roff(namesAndTexts[i]), paragraphs(namesAndTexts[i+1]))
	}
	return list.String()
}

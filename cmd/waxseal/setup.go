package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/ui/programs"
)

func (m *Main) setupCommand() *cobra.Command {
	var write, undo bool
	cmd := &cobra.Command{
		Use:   "setup [PROGRAM ADDRESS]",
		Short: "Set up a mail program, or print what to enter in it",
		Long: `Print the settings with which a program sends, and reads if the account reads,
through Waxseal. Without arguments, list the programs.

With --write, add them to the program's own file, between two comments. --undo
takes them out again; the file is then byte for byte what it was. Before the first
change, the file is copied to one beside it whose name ends in .before-waxseal.
A file gets a password only if its program cannot run a command for it.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !write && !undo {
				return nil
			}
			if err := exactly("PROGRAM", "ADDRESS")(cmd, args); err != nil {
				return err
			}
			return checkAddress(args[1])
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				for _, p := range programs.All() {
					names = append(names, cobra.CompletionWithDesc(p.Name, p.Title))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				m.listPrograms()
				return nil
			}
			p, ok := programs.Find(args[0])
			if !ok {
				return &usageError{withCure(fmt.Errorf("%q is not a program that Waxseal knows how to set up", args[0]), "`waxseal setup` lists them; for any other, `waxseal account password ADDRESS` shows what to enter")}
			}
			s := setup{m: m, program: p, address: args[1]}
			if undo {
				return s.undo()
			}
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				if err := s.ask(ctx, c, write); err != nil {
					return err
				}
				if write {
					return s.write()
				}
				return s.print()
			})
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, "write them into the program's file")
	cmd.Flags().BoolVar(&undo, "undo", false, "take them out of the program's file again")
	cmd.MarkFlagsMutuallyExclusive("write", "undo")
	return cmd
}

func (m *Main) listPrograms() {
	rows := [][]string{{"PROGRAM", "NAME", "--write"}}
	for _, p := range programs.All() {
		writes := ""
		if canWrite(p) {
			writes = "yes"
		}
		rows = append(rows, []string{p.Name, p.Title, writes})
	}
	table(m.Out, rows)
}

// setup is the setting up of one program for one account.
type setup struct {
	m       *Main
	program programs.Program
	address string
	values  programs.Values
	note    string // what is missing although everything can be printed
}

// canWrite reports whether --write does something for a program.
func canWrite(p programs.Program) bool { return p.Comment != "" || p.Name == thunderbird }

// ask finds the account's values. secret says that a file may need the password.
func (s *setup) ask(ctx context.Context, c *connection, secret bool) error {
	mail, err := c.MailSettings(ctx, s.address, false)
	if err != nil {
		return err
	}
	cert, err := c.Certificate(ctx)
	if err != nil {
		return err
	}
	var elsewhere bool
	if s.values, elsewhere = programs.New(mail, cert.File, s.program.Network); elsewhere {
		s.note = s.program.Title + " usually runs on another computer, but Waxseal only listens on this one; docs/server.md says how to open it to the network"
	}
	s.address = mail.User
	if secret {
		s.values.Secret = mail.Password
	}
	return s.ownCommand()
}

// ownCommand finds out how other programs run this one: as "waxseal" if that is what PATH leads to,
// with the configuration that this command uses.
func (s *setup) ownCommand() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	s.values.Executable = self
	name := self
	if found, err := exec.LookPath("waxseal"); err == nil {
		a, errA := os.Stat(found)
		b, errB := os.Stat(self)
		if errA == nil && errB == nil && os.SameFile(a, b) {
			name = "waxseal"
			s.values.Executable, _ = filepath.Abs(found)
		}
	}
	args := []string{name}
	if s.m.flags.config != "" || s.m.Getenv(configEnv) != "" {
		path, err := s.m.configPath()
		if err != nil {
			return err
		}
		args = append(args, "--config", path)
		s.values.Options = programs.Shell(args[1:]...)
	}
	s.values.Waxseal = programs.Shell(args...)
	return nil
}

// print prints the lines, and where they go.
func (s *setup) print() error {
	lines, err := s.program.Lines(s.values)
	if err != nil {
		return s.cannot(err)
	}
	fmt.Fprint(s.m.Out, lines)
	s.m.say("%s", lowerFirst(s.program.Where))
	if canWrite(s.program) {
		s.m.say("hint: `waxseal setup %s %s --write` does that for you", s.program.Name, s.address)
	}
	if s.program.Untried {
		s.m.say("these settings follow the maker's documentation; they were not tried with %s itself", s.program.Title)
	}
	if s.note != "" {
		s.m.say("%s", s.note)
	}
	return nil
}

// cannot is the error of a program that needs what the account does not do.
func (s *setup) cannot(err error) error {
	if need := s.program.Missing(s.values); need != "" {
		return withCure(err, "switch it on with `waxseal account add` or in the window, or choose another program")
	}
	return err
}

// lowerFirst makes a sentence one of those on standard error: no capital, no full stop.
func lowerFirst(s string) string {
	return strings.ToLower(s[:1]) + strings.TrimSuffix(s[1:], ".")
}

// write adds the lines to the program's file.
func (s *setup) write() error {
	if !canWrite(s.program) {
		return &usageError{withCure(fmt.Errorf("the files of %s are not changed by Waxseal", s.program.Title), "leave out --write, and follow what is printed")}
	}
	if strings.Trim(s.address, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._+-") != "" {
		return withCure(fmt.Errorf("%s has characters that may mean something else in a file of %s", s.address, s.program.Title), "leave out --write, and copy what is printed by hand")
	}
	if s.program.Name == thunderbird {
		return s.writeThunderbird()
	}
	path, err := s.file()
	if err != nil {
		return err
	}
	f, err := openEdit(path)
	if err != nil {
		return err
	}
	rest, _ := s.program.Without(f.text, s.address)
	s.values.Taken = s.program.Taken != nil && s.program.Taken.MatchString(rest)
	lines, err := s.program.Lines(s.values)
	if err != nil {
		return s.cannot(err)
	}
	if strings.Contains(lines, s.values.Secret) && f.there && f.mode&0o077 != 0 && runtime.GOOS != "windows" {
		return withCure(fmt.Errorf("others on this computer can read %s, and %s needs the password in it", path, s.program.Title), "run chmod 600 "+path+" first")
	}
	text := s.program.With(f.text, s.address, lines)
	if text == f.text {
		s.m.say("%s is set up already in %s", s.program.Title, path)
		return nil
	}
	if err := f.replace(text); err != nil {
		return err
	}
	s.m.say("added %s to %s; `waxseal setup %s %s --undo` takes it out again", s.address, path, s.program.Name, s.address)
	return nil
}

// undo takes the lines out of the program's file.
func (s *setup) undo() error {
	if _, cfg, err := s.m.load(); err == nil { // the address as it was written
		for _, a := range cfg.Accounts {
			if config.Fold(a.Address) == config.Fold(s.address) {
				s.address = a.Address
			}
		}
	}
	if s.program.Name == thunderbird {
		return s.undoThunderbird()
	}
	if !canWrite(s.program) {
		return &usageError{fmt.Errorf("the files of %s are not changed by Waxseal, so there is nothing to undo", s.program.Title)}
	}
	for _, name := range s.program.Files {
		path, err := s.m.inHome(name)
		if err != nil {
			return err
		}
		f, err := openEdit(path)
		if err != nil {
			return err
		}
		text, there := s.program.Without(f.text, s.address)
		if !there {
			continue
		}
		if err := f.restore(text); err != nil {
			return err
		}
		s.m.say("took %s out of %s", s.address, path)
		return nil
	}
	return fmt.Errorf("%s is not set up for %s by Waxseal: no such lines are in %s", s.program.Title, s.address, strings.Join(s.program.Files, ", "))
}

// file is the program's file: the first of those it reads that exists, else the first.
func (s *setup) file() (string, error) {
	var first string
	for _, name := range s.program.Files {
		path, err := s.m.inHome(name)
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if first == "" {
			first = path
		}
	}
	return first, nil
}

// inHome is the path of "~/…".
func (m *Main) inHome(name string) (string, error) {
	rest, ok := strings.CutPrefix(name, "~/")
	if !ok {
		return name, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", withCure(fmt.Errorf("find your home folder: %w", err), "set HOME")
	}
	return filepath.Join(home, filepath.FromSlash(rest)), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
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
	s.values.Waxseal, s.values.Executable, s.values.Options, err = s.m.ownCommand()
	return err
}

// ownCommand is how other programs run this one: as a shell command that is "waxseal" if that is what
// PATH leads to; as the path of the program; and as its options for a shell, with which it uses the
// configuration that this process uses.
func (m *Main) ownCommand() (command, executable, options string, err error) {
	if executable, err = os.Executable(); err != nil {
		return "", "", "", fmt.Errorf("find this program: %w", err)
	}
	name := executable
	if found, err := exec.LookPath("waxseal"); err == nil {
		a, errA := os.Stat(found)
		b, errB := os.Stat(executable)
		if errA == nil && errB == nil && os.SameFile(a, b) {
			name = "waxseal"
			executable, _ = filepath.Abs(found)
		}
	}
	path, err := m.configPath()
	if err != nil {
		return "", "", "", err
	}
	args := []string{name}
	if usual, err := defaultConfigPath(); err != nil || path != usual {
		args = append(args, "--config", path)
		options = programs.Shell(args[1:]...)
	}
	return programs.Shell(args...), executable, options, nil
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
	edits, err := s.edits()
	if err != nil {
		return err
	}
	var done []edit
	for _, e := range edits {
		if e.now == e.text {
			s.m.say("%s is set up already in %s", s.program.Title, e.path)
			continue
		}
		if err := e.replace(e.now); err != nil {
			for _, d := range slices.Backward(done) {
				err = errors.Join(err, d.restore(d.text))
			}
			return s.asRoot(e.path, err)
		}
		done = append(done, e)
		s.m.say("added %s to %s; `waxseal setup %s %s --undo` takes it out again", s.address, e.path, s.program.Name, s.address)
	}
	if s.program.Then != "" && len(done) > 0 {
		s.m.say("%s", lowerFirst(s.program.Then))
	}
	return nil
}

// edits are the changes of the program's files, none of them made yet.
func (s *setup) edits() (all []edit, err error) {
	for _, file := range s.program.Files {
		path, err := s.existing(file)
		if err != nil {
			return nil, err
		}
		e, err := openEdit(path)
		if err != nil {
			return nil, s.asRoot(path, err)
		}
		all = append(all, e)
		rest, _ := s.program.Without(e.text, s.address)
		s.values.Taken = s.values.Taken || s.program.Taken != nil && s.program.Taken.MatchString(rest)
	}
	lines, err := s.program.Each(s.values)
	if err != nil {
		return nil, s.cannot(err)
	}
	for i := range all {
		e := &all[i]
		if strings.Contains(lines[i], s.values.Secret) && e.there && e.mode&s.others(i) != 0 && runtime.GOOS != "windows" {
			return nil, withCure(fmt.Errorf("others on this computer can read %s, and %s needs the password in it", e.path, s.program.Title), fmt.Sprintf("run chmod %o %s first", e.mode.Perm()&^(s.others(i)|0o111), e.path))
		}
		e.now = s.program.With(e.text, s.address, lines[i])
	}
	return all, nil
}

// others are the permissions that a file with the password may not have. A system's file may be read by
// its group: that is how a mail server that is not root reads it.
func (s *setup) others(file int) fs.FileMode {
	if strings.HasPrefix(s.program.Files[file].Paths[0], "~/") {
		return 0o077
	}
	return 0o007
}

// asRoot says how the files of a program are written that belong to root.
func (s *setup) asRoot(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) && strings.HasPrefix(path, "/etc/") {
		return withCure(err, "run this as root, with --config and the path of your configuration")
	}
	return err
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
	undone := false
	var names []string
	for _, file := range s.program.Files {
		for _, name := range file.Paths {
			names = append(names, name)
			path, err := s.m.inHome(name)
			if err != nil {
				return err
			}
			f, err := openEdit(path)
			if err != nil {
				return s.asRoot(path, err)
			}
			text, there := s.program.Without(f.text, s.address)
			if !there {
				continue
			}
			if err := f.restore(text); err != nil {
				return s.asRoot(path, err)
			}
			undone = true
			s.m.say("took %s out of %s", s.address, path)
			break
		}
	}
	switch {
	case !undone:
		return fmt.Errorf("%s is not set up for %s by Waxseal: no such lines are in %s", s.program.Title, s.address, strings.Join(names, ", "))
	case s.program.Then != "":
		s.m.say("%s", lowerFirst(s.program.Then))
	}
	return nil
}

// existing is the path of a program's file: the first of those it reads that exists, else the first.
func (s *setup) existing(file programs.File) (string, error) {
	var first string
	for _, name := range file.Paths {
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

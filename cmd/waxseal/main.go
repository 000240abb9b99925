// Command waxseal lets programs that only support passwords send and read mail at providers that
// only accept OAuth 2.0. See `waxseal help`.
//
// Each subcommand has its own file. tui.go has the rules for everything the user sees, settings.go
// says where the configuration and the secrets come from, and work.go is the life of a running
// server, from its control socket to its last message.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/waxseal/waxseal/keystore"
)

func main() {
	keystore.NoCoreDump()
	keystore.Helper(os.Args)
	useParentsConsole()
	m := &Main{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Unsetenv: os.Unsetenv}
	os.Exit(m.Run(context.Background(), asCalled(os.Args)))
}

// asCalled are the arguments: a link called sendmail, or one of the names that sendmail itself has
// (mailq(1), newaliases(1)), is that command.
func asCalled(args []string) []string {
	switch name := strings.TrimSuffix(filepath.Base(args[0]), ".exe"); name {
	case "sendmail":
		return append([]string{"sendmail"}, args[1:]...)
	case "mailq":
		return []string{"sendmail", "-bp"}
	case "newaliases":
		return []string{"sendmail", "-bi"}
	}
	return args[1:]
}

// Main is the program with what it reads and writes, so that tests can make one too.
type Main struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Unsetenv func(string) error

	flags      flags
	passphrase string // WAXSEAL_KEYSTORE_PASSPHRASE, as it was at the start

	etcdPassword string // WAXSEAL_ETCD_PASSWORD, likewise
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Run runs the command that args name and returns the exit code.
func (m *Main) Run(ctx context.Context, args []string) int {
	// No child process may find it in the environment, least of all the browser.
	m.passphrase, m.etcdPassword = m.Getenv(passphraseEnv), m.Getenv(etcdPasswordEnv)
	m.Unsetenv(passphraseEnv)
	m.Unsetenv(etcdPasswordEnv)

	root, started := m.root()
	root.SetArgs(append([]string{}, args...))
	err := root.ExecuteContext(ctx)
	var usage *usageError
	var own *exitError
	switch {
	case err == nil:
		return exitDone
	case !*started || errors.As(err, &usage):
		m.printError(withCure(err, "`waxseal help` lists the commands, `waxseal COMMAND --help` explains one"))
		return exitUsage
	case errors.Is(err, errTold):
		return exitFailed
	case errors.As(err, &own):
		m.printError(err)
		return own.code
	}
	m.printError(err)
	return exitFailed
}

//go:build e2e

// Package e2e tests the program as users run it: the real binary, a real OpenID provider (npm's
// oidc-provider) whose pages a real Chromium clicks through, a real keychain (GNOME Keyring), and a
// real mail server (Dovecot) that asks the provider about each token. `make e2e` installs what
// is needed and runs the tests.
//
// All peers run on this machine, on ports that the system picks, and end with the tests. The tests
// share the peers, but each test has its own accounts, configuration and browser windows.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// peers are the programs that Waxseal talks to.
var peers struct {
	provider *provider
	sink     *sink
	both     *dovecot // offers XOAUTH2 and OAUTHBEARER
	bearer   *dovecot // offers only OAUTHBEARER
	direct   *dovecot // has the mailboxes of both, and takes passwords
	keychain *keychain
	browser  context.Context
}

// binary is the program under test.
var binary = os.Getenv("WAXSEAL_E2E_BINARY")

func TestMain(m *testing.M) {
	code, err := runWithPeers(m, os.Getenv("WAXSEAL_E2E_PROVIDER"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// runWithPeers starts the peers, runs the tests and ends the peers.
func runWithPeers(m *testing.M, modules string) (code int, err error) {
	if binary == "" || modules == "" {
		return 0, errors.New("run these tests with `make e2e`, which prepares what they need")
	}
	dir, err := os.MkdirTemp("", "waxseal-e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var started []func() error
	defer func() {
		for _, stop := range slices.Backward(started) {
			err = errors.Join(err, stop())
		}
	}()
	if started, err = startPeers(dir, modules); err != nil {
		return 0, err
	}
	if code = m.Run(); code != 0 {
		peers.provider.complains()
	}
	return code, nil
}

// startPeers starts the peers, each with its own folder below dir, and returns the functions that
// end those that have started.
func startPeers(dir, modules string) (started []func() error, err error) {
	below := func(name string) string { return filepath.Join(dir, name) }
	err = os.Chmod(dir, 0o711) // Dovecot may run as another user
	for _, name := range []string{"both", "bearer", "direct", "home", "browser"} {
		err = errors.Join(err, os.Mkdir(below(name), 0o700))
	}
	if err != nil {
		return nil, err
	}
	for _, start := range []func() (stop func() error, err error){
		func() (func() error, error) { peers.sink, err = startSink(); return peers.sink.stop, err },
		func() (func() error, error) {
			peers.provider, err = startProvider(modules)
			return peers.provider.stop, err
		},
		func() (func() error, error) {
			dir := below("both")
			peers.both, err = startDovecot(dir, filepath.Join(dir, "mail"), byToken(dir, "xoauth2 oauthbearer"), peers.provider.issuer, peers.sink.port())
			return peers.both.stop, err
		},
		func() (func() error, error) {
			dir := below("bearer")
			peers.bearer, err = startDovecot(dir, filepath.Join(dir, "mail"), byToken(dir, "oauthbearer"), peers.provider.issuer, peers.sink.port())
			return peers.bearer.stop, err
		},
		func() (func() error, error) {
			peers.direct, err = startDovecot(below("direct"), peers.both.mail, byPassword, peers.provider.issuer, peers.sink.port())
			return peers.direct.stop, err
		},
		func() (func() error, error) {
			peers.keychain, err = startKeychain(below("home"))
			return peers.keychain.stop, err
		},
		func() (stop func() error, err error) {
			peers.browser, stop, err = startBrowser(below("browser"))
			return stop, err
		},
	} {
		stop, err := start()
		if err != nil {
			return started, err
		}
		started = append(started, stop)
	}
	return started, nil
}

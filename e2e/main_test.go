//go:build e2e

// Package e2e tests the program as its users have it: the real binary, a real
// OpenID provider (npm's oidc-provider) whose pages a real Chromium clicks
// through, a real keychain (GNOME Keyring), and a real submission server
// (Dovecot) that asks the provider about each token. `make e2e` installs what
// that needs, and runs it.
//
// All peers run on this machine alone, on ports of the system's choice, and end
// with the test. The tests share them; each has accounts, a configuration and
// browser windows of its own.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// peers are what Waxseal talks to.
var peers struct {
	provider *provider
	sink     *sink
	both     *dovecot // offers XOAUTH2 and OAUTHBEARER
	bearer   *dovecot // offers OAUTHBEARER alone
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

func runWithPeers(m *testing.M, modules string) (code int, err error) {
	if binary == "" || modules == "" {
		return 0, errors.New("run it with `make e2e`, which prepares what it needs")
	}
	dir, err := os.MkdirTemp("", "waxseal-e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	below := func(name string) string { return filepath.Join(dir, name) }
	err = os.Chmod(dir, 0o711) // Dovecot may run as another user
	for _, name := range []string{"both", "bearer", "home", "browser"} {
		err = errors.Join(err, os.Mkdir(below(name), 0o700))
	}
	if err != nil {
		return 0, err
	}
	end := func(stop func() error) { err = errors.Join(err, stop()) }

	if peers.sink, err = startSink(); err != nil {
		return 0, err
	}
	defer func() { end(peers.sink.stop) }()
	if peers.provider, err = startProvider(modules); err != nil {
		return 0, err
	}
	defer func() { end(peers.provider.stop) }()
	port, issuer := peers.sink.port(), peers.provider.issuer
	if peers.both, err = startDovecot(below("both"), "xoauth2 oauthbearer", issuer, port); err != nil {
		return 0, err
	}
	defer func() { end(peers.both.stop) }()
	if peers.bearer, err = startDovecot(below("bearer"), "oauthbearer", issuer, port); err != nil {
		return 0, err
	}
	defer func() { end(peers.bearer.stop) }()
	if peers.keychain, err = startKeychain(below("home")); err != nil {
		return 0, err
	}
	defer func() { end(peers.keychain.stop) }()
	browser, stop, err := startBrowser(below("browser"))
	if err != nil {
		return 0, fmt.Errorf("start the browser: %w", err)
	}
	defer func() { end(stop) }()
	peers.browser = browser
	return m.Run(), nil
}

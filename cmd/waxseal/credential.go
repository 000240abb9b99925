package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// credentialCommand speaks git's credential protocol (git-credential(1), "INPUT/OUTPUT FORMAT"), so
// that git send-email and git imap-send need no password in a file.
func (m *Main) credentialCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "credential get|store|erase",
		Short: "Give git the local password",
		Long: `A credential helper for git send-email and git imap-send. "waxseal setup git ADDRESS"
prints the configuration with which git calls it. It answers "get" for Waxseal's
own servers and accounts, and does nothing for "store" and "erase".`,
		Args:      exactly("get, store or erase"),
		ValidArgs: []string{"get", "store", "erase"},
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := readCredential(m.In)
			if err != nil || args[0] != "get" { // git asks for nothing else, and may ask for more one day
				return err
			}
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				return m.credential(ctx, c, asked)
			})
		},
	}
}

// readCredential reads the attributes that git sends, up to an empty line.
func readCredential(in io.Reader) (map[string]string, error) {
	asked := map[string]string{}
	lines := bufio.NewScanner(in)
	for lines.Scan() && lines.Text() != "" {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			asked[key] = value
		}
	}
	return asked, lines.Err()
}

// credential prints the login for what git asks for. It prints nothing if that is not Waxseal: git
// then asks the next helper, and no other server is sent the password.
func (m *Main) credential(ctx context.Context, c *connection, asked map[string]string) error {
	accounts, err := c.Accounts(ctx)
	if err != nil {
		return err
	}
	user := asked["username"]
	at := slices.IndexFunc(accounts, func(a api.AccountStatus) bool { return config.Fold(a.Address) == config.Fold(user) })
	if user == "" && len(accounts) == 1 {
		at = 0
	}
	if at < 0 {
		return nil
	}
	s, err := c.MailSettings(ctx, accounts[at].Address, false)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.Servers, func(server api.MailServer) bool { return isServer(server, asked["protocol"], asked["host"]) }) {
		fmt.Fprintf(m.Out, "username=%s\npassword=%s\n", s.User, s.Password)
	}
	return nil
}

// isServer reports whether a URL's scheme and host mean a server of Waxseal. All names and addresses
// of this computer's loopback interface are one.
func isServer(s api.MailServer, scheme, host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil || port != strconv.Itoa(s.Port) || strings.TrimSuffix(scheme, "s") != string(s.Protocol) {
		return false
	}
	return strings.EqualFold(name, s.Host) || api.IsLoopback(name) && api.IsLoopback(s.Host)
}

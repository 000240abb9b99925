package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
)

func (m *Main) accountPasswordCommand() *cobra.Command {
	var renew, asJSON, only bool
	cmd := &cobra.Command{
		Use:   "password ADDRESS",
		Short: "Show the settings for a mail program",
		Long: `Show what to enter in a mail program for an account: server, port, user name and
local password.

With --only, print nothing but the password, for programs that take it from a
command: msmtp's passwordeval, mutt, aerc, mbsync. "waxseal setup" prints the
lines for them.`,
		Args: exactlyAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				s, err := c.MailSettings(ctx, args[0], renew)
				if err != nil {
					return err
				}
				switch {
				case asJSON:
					return m.printJSON(s)
				case only:
					_, err = fmt.Fprintln(m.Out, s.Password)
					return err
				}
				printMailSettings(m.Out, s)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&renew, "new", false, "create a new password; the old one stops working")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&only, "only", false, "print the password and nothing else")
	cmd.MarkFlagsMutuallyExclusive("json", "only")
	return cmd
}

// printMailSettings shows one server for each protocol and kind of security: the others lead to
// the same place.
func printMailSettings(w io.Writer, s api.MailSettings) {
	rows := [][]string{}
	type way struct {
		protocol api.Protocol
		tls      bool
	}
	seen := map[way]bool{}
	several := slices.ContainsFunc(s.Servers, func(m api.MailServer) bool { return m.Protocol.Reads() })
	for _, server := range s.Servers {
		this := way{server.Protocol, server.TLS}
		if seen[this] {
			continue
		}
		seen[this] = true
		name := "server"
		if several {
			name = server.Protocol.Label().String() + " server"
		}
		how := securityName(server.TLS)
		if ip := net.ParseIP(server.Host); !server.TLS && (server.Host == "localhost" || ip.IsLoopback()) {
			how += ", or none: the connection stays on this computer"
		}
		rows = append(rows, []string{name, fmt.Sprintf("%s port %d (%s)", server.Host, server.Port, how)})
	}
	rows = append(rows, []string{"user", s.User}, []string{"password", s.Password})
	table(w, rows)
}

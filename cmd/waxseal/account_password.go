package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy"
)

func (m *Main) accountPasswordCommand() *cobra.Command {
	var renew, asJSON bool
	cmd := &cobra.Command{
		Use:   "password ADDRESS",
		Short: "Print what to enter in a mail program",
		Args:  exactly("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				s, err := c.mailSettings(ctx, args[0], renew)
				if err != nil {
					return err
				}
				if asJSON {
					return m.printJSON(s)
				}
				s.print(m.Out)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&renew, "new", false, "make a new password; the old one is refused from then on")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// mailSettings is what somebody enters in a mail program.
type mailSettings struct {
	User     string       `json:"user"`
	Password string       `json:"password"`
	Servers  []mailServer `json:"servers"`
}

// mailServer is one way to reach the proxy.
type mailServer struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Security string `json:"security"` // "starttls" or "tls"
}

// mailSettings asks for an account's password, and where to send to.
func (c *connection) mailSettings(ctx context.Context, address string, renew bool) (mailSettings, error) {
	password, err := c.Password(ctx, address, renew)
	if err != nil {
		return mailSettings{}, err
	}
	snap, err := c.Status(ctx)
	if err != nil {
		return mailSettings{}, err
	}
	user := address
	for _, a := range snap.Accounts { // as it is written in the configuration
		if proxy.Fold(a.Address) == proxy.Fold(address) {
			user = a.Address
		}
	}
	return mailSettings{User: user, Password: password, Servers: c.servers(snap)}, nil
}

// servers are where the instance listens or, without one, would listen.
func (c *connection) servers(snap proxy.Snapshot) []mailServer {
	listeners := snap.Listeners
	if !c.running {
		listeners = nil
		for _, a := range c.cfg.Listen {
			listeners = append(listeners, proxy.Listener{Address: a, Security: "starttls"})
		}
		for _, a := range c.cfg.ListenTLS {
			listeners = append(listeners, proxy.Listener{Address: a, Security: "tls"})
		}
	}
	return mailServers(listeners)
}

// mailServers turns listeners into what can be entered, IPv4 first: mail
// programs that take no IPv6 address outnumber those that take no IPv4 one.
func mailServers(listeners []proxy.Listener) []mailServer {
	var servers []mailServer
	for _, l := range listeners {
		host, text, err := net.SplitHostPort(l.Address)
		port, perr := strconv.Atoi(text)
		if err == nil && perr == nil {
			servers = append(servers, mailServer{Host: host, Port: port, Security: l.Security})
		}
	}
	slices.SortStableFunc(servers, func(a, b mailServer) int {
		six := func(s mailServer) int { return strings.Count(s.Host, ":") }
		return cmp.Or(cmp.Compare(six(a), six(b)), cmp.Compare(a.Security, b.Security))
	})
	return servers
}

// print shows one server of each security: the others lead to the same place.
func (s mailSettings) print(w io.Writer) {
	rows := [][]string{}
	seen := map[string]bool{}
	for _, server := range s.Servers {
		if seen[server.Security] {
			continue
		}
		seen[server.Security] = true
		how := securityName(server.Security)
		if ip := net.ParseIP(server.Host); server.Security == "starttls" && (server.Host == "localhost" || ip.IsLoopback()) {
			how += ", or none: it does not leave this computer"
		}
		rows = append(rows, []string{"server", fmt.Sprintf("%s port %d (%s)", server.Host, server.Port, how)})
	}
	rows = append(rows, []string{"user", s.User}, []string{"password", s.Password})
	table(w, rows)
}

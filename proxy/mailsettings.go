package proxy

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// MailSettings are what to enter in a mail program for an account: where the
// server listens or, when it does not serve, would listen, and the local
// password; renew makes a new one first, after which the old one is refused.
func (s *Server) MailSettings(ctx context.Context, address string, renew bool) (api.MailSettings, error) {
	password, err := s.Password(ctx, address, renew)
	if err != nil {
		return api.MailSettings{}, err
	}
	if b := s.mailbox(address); b != nil {
		address = b.address // as it is written in the configuration
	}
	return api.MailSettings{User: address, Password: password, Servers: mailServers(s.places())}, nil
}

// places are the addresses that mail programs can be told.
func (s *Server) places() []api.Listener {
	open, _ := s.listensOn()
	if len(open) > 0 {
		return open
	}
	return s.config().Listeners()
}

// mailServers turns listeners into what can be entered, IPv4 first: mail
// programs that take no IPv6 address outnumber those that take no IPv4 one.
func mailServers(listeners []api.Listener) []api.MailServer {
	var servers []api.MailServer
	for _, l := range listeners {
		host, text, err := net.SplitHostPort(l.Address)
		port, perr := strconv.Atoi(text)
		if err == nil && perr == nil {
			servers = append(servers, api.MailServer{Protocol: l.Protocol, Host: host, Port: port, TLS: l.TLS})
		}
	}
	slices.SortStableFunc(servers, func(a, b api.MailServer) int {
		return cmp.Compare(rank(a), rank(b))
	})
	return servers
}

// rank orders the servers: IPv4 first, and plain ones first among those.
func rank(s api.MailServer) int {
	n := 0
	if strings.Contains(s.Host, ":") {
		n = 2
	}
	if s.TLS {
		n++
	}
	return n
}

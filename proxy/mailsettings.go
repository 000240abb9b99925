package proxy

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/machine"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// MailSettings returns the settings for a mail program: the addresses where the server
// listens (or would listen, if it does not serve) and the local password. With renew it
// makes a new password first, and the old one is no longer accepted.
func (s *Server) MailSettings(ctx context.Context, address string, renew bool) (api.MailSettings, error) {
	password, err := s.Password(ctx, address, renew)
	if err != nil {
		return api.MailSettings{}, err
	}
	if b := s.hall.Mailbox(address); b != nil {
		address = b.Address // as it is written in the configuration
	}
	return api.MailSettings{User: address, Password: password, Servers: mailServers(does(s.hall.Mailbox(address), s.places()))}, nil
}

// does returns the listeners for what an account does.
func does(b *mailbox.Mailbox, all []api.Listener) []api.Listener {
	return slices.DeleteFunc(slices.Clone(all), func(l api.Listener) bool { return b != nil && !b.Account.Uses(l.Protocol) })
}

// places returns the listeners to which mail programs can connect.
func (s *Server) places() []api.Listener {
	open, _ := s.listensOn()
	if len(open) > 0 {
		return open
	}
	return s.config().Listeners()
}

// mailServers turns listeners into settings for mail programs. Those of this computer come
// first; and IPv4 does, because more mail programs reject an IPv6 address than an IPv4 one.
func mailServers(listeners []api.Listener) []api.MailServer {
	var servers []api.MailServer
	for _, l := range listeners {
		host, text, err := net.SplitHostPort(l.Address)
		port, perr := strconv.Atoi(text)
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
			host = hereFromOutside(ip)
		}
		if err == nil && perr == nil {
			servers = append(servers, api.MailServer{Protocol: l.Protocol, Host: host, Port: port, TLS: l.TLS})
		}
	}
	slices.SortStableFunc(servers, func(a, b api.MailServer) int {
		return cmp.Compare(rank(a), rank(b))
	})
	return servers
}

// hereFromOutside is the address at which other computers reach a listener on every address.
func hereFromOutside(every netip.Addr) string {
	for _, n := range machine.Networks() {
		if n.Addr().Is4() || every.Is6() {
			return n.Addr().String()
		}
	}
	return every.String() // there is no network now
}

// rank orders the servers: this computer's own before others, IPv4 before IPv6, then STARTTLS
// before TLS.
func rank(s api.MailServer) int {
	n := 0
	if !api.IsLoopback(s.Host) {
		n = 4
	}
	if strings.Contains(s.Host, ":") {
		n += 2
	}
	if s.TLS {
		n++
	}
	return n
}

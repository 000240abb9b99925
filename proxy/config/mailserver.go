package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// Server returns the provider's server for a protocol, host:port, and how it does TLS:
// "starttls", "implicit" or, on this machine only, "none". The address is "" if the
// provider has no such server.
func (p Provider) Server(protocol api.Protocol) (address, tls string) {
	switch protocol {
	case api.IMAP:
		return p.IMAP, p.IMAPTLS
	case api.POP:
		return p.POP, p.POPTLS
	}
	return p.SMTP, p.SMTPTLS
}

// Auth returns the SASL mechanism to use even if the server for a protocol does not announce
// it, "xoauth2" or "oauthbearer"; "" means one that it announces.
func (p Provider) Auth(protocol api.Protocol) string {
	switch protocol {
	case api.IMAP:
		return p.IMAPAuth
	case api.POP:
		return p.POPAuth
	}
	return ""
}

// use replaces the provider's servers by those that an account names. A port that implies a
// kind of TLS takes precedence over the provider's.
func (p *Provider) use(a api.Account) {
	for _, own := range []struct {
		server       string
		address, tls *string
	}{{a.SMTP, &p.SMTP, &p.SMTPTLS}, {a.IMAP, &p.IMAP, &p.IMAPTLS}, {a.POP, &p.POP, &p.POPTLS}} {
		if own.server == "" {
			continue
		}
		*own.address = own.server
		if tls := tlsByPort(own.server); tls != "" {
			*own.tls = tls
		}
	}
}

// tlsByPort returns the kind of TLS that a port of a mail server implies, by RFC 8314 section
// 3 and RFC 6409 (2525 is only a convention), and "" for any other port.
func tlsByPort(address string) string {
	switch _, port, _ := splitHostPort(address); port {
	case 465, 993, 995:
		return "implicit"
	case 25, 587, 2525, 143, 110:
		return "starttls"
	}
	return ""
}

// serverExamples are how the address of a server is written.
var serverExamples = map[api.Protocol]string{
	api.SMTP: "smtp.example.com:587", api.IMAP: "imap.example.com:993", api.POP: "pop.example.com:995",
}

// checkServer returns an error if the provider's server for a protocol is missing or cannot be
// used. The error begins with the key that is wrong.
func (p Provider) checkServer(protocol api.Protocol) error {
	address, tls := p.Server(protocol)
	key, example := string(protocol), serverExamples[protocol]
	if address == "" {
		return fmt.Errorf(`%s is missing; enter the provider's server, like %q`, key, example)
	}
	host, port, err := splitHostPort(address)
	switch {
	case err != nil:
		return fmt.Errorf(`%s %w; write it like %q`, key, err, example)
	case host == "" || port == 0:
		return fmt.Errorf(`%s %q needs a host and a port, like %q`, key, address, example)
	case tls == "none" && !api.IsLoopback(host):
		return fmt.Errorf(`%s_tls = "none" would send tokens unencrypted to %s; use "starttls" or "implicit"`, key, host)
	case !slices.Contains([]string{"starttls", "implicit", "none"}, tls):
		return fmt.Errorf(`%s_tls is %q; use "starttls" or "implicit" ("none" is only for servers on this machine)`, key, tls)
	}
	return nil
}

// checkServers returns an error if the provider lacks a server for what an account does, or has
// one that cannot be used.
func (p Provider) checkServers(does []api.Protocol) error {
	for _, protocol := range api.Protocols {
		address, _ := p.Server(protocol)
		wanted := slices.Contains(does, protocol)
		if address == "" && wanted && protocol.Reads() {
			return fmt.Errorf(`no %s server is known for %s; set %s = %q for the account or the provider, or remove %q from its protocols`,
				strings.ToUpper(string(protocol)), p.Name, protocol, serverExamples[protocol], protocol)
		}
		if address == "" && !wanted {
			continue
		}
		if err := p.checkServer(protocol); err != nil {
			return err
		}
	}
	return nil
}

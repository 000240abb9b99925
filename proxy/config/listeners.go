package config

import (
	"slices"

	"github.com/waxseal/waxseal/proxy/api"
)

// listenKey is a key of the configuration with the addresses for one protocol.
type listenKey struct {
	name     string // of the key
	protocol api.Protocol
	tls      bool
	of       func(*Config) *[]string
}

// listenKeys are in the order of Config.Listeners.
var listenKeys = []listenKey{
	{"listen", api.SMTP, false, func(c *Config) *[]string { return &c.Listen }},
	{"listen_tls", api.SMTP, true, func(c *Config) *[]string { return &c.ListenTLS }},
	{"listen_imap", api.IMAP, false, func(c *Config) *[]string { return &c.ListenIMAP }},
	{"listen_imap_tls", api.IMAP, true, func(c *Config) *[]string { return &c.ListenIMAPTLS }},
	{"listen_pop", api.POP, false, func(c *Config) *[]string { return &c.ListenPOP }},
	{"listen_pop_tls", api.POP, true, func(c *Config) *[]string { return &c.ListenPOPTLS }},
}

// Listeners are the addresses on which mail programs are to be served: SMTP, then IMAP and
// POP, the last two only while an account does that protocol. Of each protocol, those
// without TLS from the first byte come first.
func (c Config) Listeners() []api.Listener {
	var all []api.Listener
	for _, k := range listenKeys {
		if k.protocol.Reads() && !c.Uses(k.protocol) {
			continue
		}
		for _, address := range *k.of(&c) {
			all = append(all, api.Listener{Protocol: k.protocol, Address: address, TLS: k.tls})
		}
	}
	return all
}

// Uses reports whether an account does p.
func (c Config) Uses(p api.Protocol) bool {
	return slices.ContainsFunc(c.Accounts, func(a api.Account) bool { return a.Uses(p) })
}

// Addresses are all that is to be listened on, metrics included.
func (c Config) Addresses() []string {
	var all []string
	for _, l := range c.Listeners() {
		all = append(all, l.Address)
	}
	if c.Metrics != "" {
		all = append(all, c.Metrics)
	}
	return all
}

package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// ErrNoProvider means that the provider of an address cannot be found out, so the user
// has to name it.
var ErrNoProvider = errors.New("no provider is known for it")

// mxTimeout bounds the MX lookup.
const mxTimeout = 5 * time.Second

// Discover finds an address's provider: by the domains in the catalogue, or else by the
// hosts that receive the domain's mail (RFC 5321 section 5), which is how the domains of
// companies at Google or Microsoft are recognized. If neither helps, the error is
// ErrNoProvider. If the provider does not support OAuth, the error says what to do instead.
func (c Config) Discover(ctx context.Context, address string) (Provider, error) {
	return c.Catalogue().discover(ctx, address, net.DefaultResolver.LookupMX)
}

func (l Catalogue) discover(ctx context.Context, address string, lookup func(context.Context, string) ([]*net.MX, error)) (Provider, error) {
	if err := CheckAddress(address); err != nil {
		return Provider{}, fmt.Errorf("the address %w", err)
	}
	if p, ok := l.byDomain(address); ok {
		return p, p.checkOAuth()
	}
	_, domain, _ := CutDomain(Fold(address))
	ctx, cancel := context.WithTimeout(ctx, mxTimeout)
	defer cancel()
	hosts, err := lookup(ctx, domain)
	if err != nil && len(hosts) == 0 {
		return Provider{}, fmt.Errorf("%s: %w, and its mail servers could not be looked up (%w); choose a provider with --provider: %s", domain, ErrNoProvider, err, l.idList())
	}
	for _, mx := range hosts {
		host := strings.TrimSuffix(strings.ToLower(mx.Host), ".")
		for _, p := range l {
			if slices.ContainsFunc(p.MX, func(entry string) bool { return covers(entry, host, strings.HasPrefix(entry, "*.")) }) {
				return p, p.checkOAuth()
			}
		}
	}
	return Provider{}, fmt.Errorf("%s: %w; choose one with --provider: %s; or add a [[provider]] table to the configuration", domain, ErrNoProvider, l.idList())
}

// idList lists the ids to choose from.
func (l Catalogue) idList() string {
	var ids []string
	for _, c := range l.Choices() {
		ids = append(ids, c.ID)
	}
	return strings.Join(ids, ", ")
}

// checkOAuth returns an error, with what to do instead, if the provider does not support
// OAuth on SMTP.
func (p Provider) checkOAuth() error {
	if p.NoOAuth != "" {
		return fmt.Errorf("%s cannot be used with Waxseal: %s", p.Name, p.NoOAuth)
	}
	return nil
}

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

// ErrNoProvider says that nothing tells an address's provider: the user must.
var ErrNoProvider = errors.New("no provider is known for it")

// mxTimeout bounds the question who takes a domain's mail.
const mxTimeout = 5 * time.Second

// Discover finds an address's provider: by its domain in the catalogue, else by
// the hosts that take the domain's mail (RFC 5321 section 5), which is how
// companies' domains at Google or Microsoft are known. ErrNoProvider when
// neither tells; the error says what the provider wants instead where it takes
// no OAuth.
func (c Config) Discover(ctx context.Context, address string) (Provider, error) {
	return c.Catalogue().discover(ctx, address, net.DefaultResolver.LookupMX)
}

func (l Catalogue) discover(ctx context.Context, address string, lookup func(context.Context, string) ([]*net.MX, error)) (Provider, error) {
	if err := CheckAddress(address); err != nil {
		return Provider{}, fmt.Errorf("the address %w", err)
	}
	if p, ok := l.forAddress(address); ok {
		return p.usable()
	}
	_, domain, _ := CutDomain(Fold(address))
	ctx, cancel := context.WithTimeout(ctx, mxTimeout)
	defer cancel()
	hosts, err := lookup(ctx, domain)
	if err != nil && len(hosts) == 0 {
		return Provider{}, fmt.Errorf("%s: %w, and who takes its mail could not be asked (%w); choose one with --provider: %s", domain, ErrNoProvider, err, l.idList())
	}
	for _, mx := range hosts {
		host := strings.TrimSuffix(strings.ToLower(mx.Host), ".")
		for _, p := range l {
			if slices.ContainsFunc(p.MX, func(entry string) bool { return covers(entry, host, strings.HasPrefix(entry, "*.")) }) {
				return p.usable()
			}
		}
	}
	return Provider{}, fmt.Errorf("%s: %w; choose one with --provider: %s; or add a [[provider]] to the configuration", domain, ErrNoProvider, l.idList())
}

// idList is the choice there is.
func (l Catalogue) idList() string {
	var ids []string
	for _, c := range l.Choices() {
		ids = append(ids, c.ID)
	}
	return strings.Join(ids, ", ")
}

// usable is the provider, or why it cannot be used.
func (p Provider) usable() (Provider, error) {
	if p.NoOAuth != "" {
		return p, fmt.Errorf("%s cannot be used here: %s", p.Name, p.NoOAuth)
	}
	return p, nil
}

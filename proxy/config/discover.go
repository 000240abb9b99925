package config

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// ErrNoProvider means that the provider of an address cannot be found out, so the user has to
// choose it. Such errors are an [*UnknownProviderError].
var ErrNoProvider = errors.New("no provider is known for it")

// UnknownProviderError is [ErrNoProvider] with the reason and the providers to choose from.
type UnknownProviderError struct {
	Problem *api.Problem
	Choices []api.Choice
}

// Error implements error.
func (e *UnknownProviderError) Error() string { return e.Problem.Error() }

// Unwrap implements errors.Is and errors.As.
func (e *UnknownProviderError) Unwrap() []error { return []error{ErrNoProvider, e.Problem} }

// mxTimeout bounds the MX lookup.
const mxTimeout = 5 * time.Second

// Discover finds an address's provider: by the domains in the catalogue, or else by the hosts that
// receive the domain's mail (RFC 5321 section 5), which is how the domains of companies at Google
// or Microsoft are recognized. If neither helps, the error is [ErrNoProvider]. If the provider does
// not support OAuth, the error says what to do instead.
func (c Config) Discover(ctx context.Context, address string) (Provider, error) {
	return c.Catalogue().discover(ctx, address, net.DefaultResolver.LookupMX)
}

func (l Catalogue) discover(ctx context.Context, address string, lookup func(context.Context, string) ([]*net.MX, error)) (Provider, error) {
	if err := CheckAddress(address); err != nil {
		return Provider{}, trouble(api.Say("The address {{.Why}}.", "Why", err.Error()), api.Text{})
	}
	if p, ok := l.byDomain(address); ok {
		return p, p.checkOAuth()
	}
	_, domain, _ := CutDomain(Fold(address))
	ctx, cancel := context.WithTimeout(ctx, mxTimeout)
	defer cancel()
	hosts, err := lookup(ctx, domain)
	if err != nil && len(hosts) == 0 {
		return Provider{}, l.unknown(api.Say("No provider is known for {{.Domain}}, and its mail servers could not be looked up ({{.Reason}}).", "Domain", domain, "Reason", err.Error()))
	}
	for _, mx := range hosts {
		found := l.byMX(mx.Host)
		if len(found) == 0 {
			continue
		}
		if twins := found.twins(); len(twins) > 1 {
			return Provider{}, twins.unknown(api.Say("The mail servers of {{.Domain}} belong to several services.", "Domain", domain))
		}
		return found[0], found[0].checkOAuth()
	}
	return Provider{}, l.unknown(api.Say("No provider is known for {{.Domain}}.", "Domain", domain))
}

// unknown returns the error that lets the user choose from the list.
func (l Catalogue) unknown(what api.Text) error {
	return &UnknownProviderError{trouble(what, api.Say("Choose who hosts the mailbox.")), l.Choices()}
}

// byMX lists the providers to which a mail server may belong.
func (l Catalogue) byMX(host string) (found Catalogue) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, p := range l {
		if slices.ContainsFunc(p.MX, func(entry string) bool { return covers(entry, host, strings.HasPrefix(entry, "*.")) }) {
			found = append(found, p)
		}
	}
	return found
}

// twins lists the first provider together with those that have the same mail servers and sign-in
// page, as Microsoft's clouds for the US government do. If the first is registered, somebody has
// already chosen it.
func (l Catalogue) twins() (found Catalogue) {
	for i, p := range l {
		if i == 0 || l[0].ClientID == "" && p.AuthURL == l[0].AuthURL {
			found = append(found, p)
		}
	}
	return found
}

package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// manyTenants are the places in Microsoft's addresses where a tenant's ID or domain may stand instead.
// Source: learn.microsoft.com/entra/identity-platform/v2-protocols#endpoints.
var manyTenants = []string{"common", "organizations"}

// forTenant is the provider with the sign-in addresses of one tenant. The issuer stays: it is that of
// all tenants, and each token names its own.
func (p Provider) forTenant(tenant string) (Provider, error) {
	if tenant == "" {
		return p, nil
	}
	if !validTenant(tenant) {
		return p, fmt.Errorf(`tenant is %q; use the directory's ID, or a domain of it like "corp.onmicrosoft.com"`, tenant)
	}
	for _, u := range []*string{&p.AuthURL, &p.TokenURL, &p.DeviceURL} {
		if *u == "" {
			continue
		}
		own, err := inTenant(*u, tenant)
		if err != nil {
			return p, err
		}
		*u = own
	}
	return p, nil
}

// inTenant puts a tenant into one of Microsoft's addresses.
func inTenant(address, tenant string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	place, rest, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if !slices.Contains(manyTenants, place) {
		return "", errors.New("tenant is only for Microsoft 365; for another provider, write its own addresses (auth_url, token_url)")
	}
	u.Path = "/" + tenant + "/" + rest
	return u.String(), nil
}

func validTenant(tenant string) bool {
	return tenant != "" && strings.Trim(tenant, ".-") == tenant && !strings.Contains(tenant, "..") &&
		!strings.ContainsFunc(tenant, func(r rune) bool {
			return r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		})
}

package config

import (
	"fmt"
	"strings"
	"sync"
)

// builtClients contains the registrations that a distributor of Waxseal builds in, with
// -ldflags "-X github.com/waxseal/waxseal/proxy/config.builtClients=...". For each
// provider it has "ID=CLIENT_ID" or, if the provider gives desktop programs a secret
// that is not really secret (RFC 8252 section 8.5), "ID=CLIENT_ID:CLIENT_SECRET";
// spaces separate the entries. The configuration and an account's own settings take
// precedence. Waxseal itself has none.
var builtClients string

// builtClient is a registration that is built in; a public client's secret is "".
type builtClient struct{ id, secret string }

// distributed returns the registrations built in, by provider.
var distributed = sync.OnceValue(func() map[string]builtClient {
	found, err := parseClients(builtClients)
	if err != nil {
		panic(err.Error()) // whoever built it wrongly is the first to see this
	}
	return found
})

func parseClients(text string) (map[string]builtClient, error) {
	found := map[string]builtClient{}
	for _, word := range strings.Fields(text) {
		provider, client, _ := strings.Cut(word, "=")
		id, secret, _ := strings.Cut(client, ":")
		if provider == "" || id == "" {
			return nil, fmt.Errorf("-X ...proxy/config.builtClients: every entry must be PROVIDER=CLIENT_ID or PROVIDER=CLIENT_ID:SECRET")
		}
		found[provider] = builtClient{id, secret}
	}
	return found, nil
}

// BuiltSecret returns the secret of a registration that is built in, or "".
func BuiltSecret(clientID string) string {
	for _, r := range distributed() {
		if r.id == clientID {
			return r.secret
		}
	}
	return ""
}

package config

import (
	"fmt"
	"strings"
	"sync"
)

// builtClients are the registrations that a distributor of Waxseal builds in,
// with -ldflags "-X github.com/waxseal/waxseal/proxy/config.builtClients=...": for each
// provider "ID=CLIENT_ID", or "ID=CLIENT_ID:CLIENT_SECRET" where the provider
// gives desktop programs a secret that is none (RFC 8252 section 8.5), separated
// by spaces. What the configuration or an account says goes before them. Waxseal
// itself has none.
var builtClients string

// registration is a client ID with its secret, "" for a public client.
type builtClient struct{ id, secret string }

// distributed are the registrations built in, by provider.
var distributed = sync.OnceValue(func() map[string]builtClient {
	found, err := parseClients(builtClients)
	if err != nil {
		panic(err.Error()) // the build is wrong, and its maker the first to see it
	}
	return found
})

func parseClients(text string) (map[string]builtClient, error) {
	found := map[string]builtClient{}
	for _, word := range strings.Fields(text) {
		provider, client, _ := strings.Cut(word, "=")
		id, secret, _ := strings.Cut(client, ":")
		if provider == "" || id == "" {
			return nil, fmt.Errorf("-X ...proxy/config.builtClients: one of its words is not PROVIDER=CLIENT_ID or PROVIDER=CLIENT_ID:SECRET")
		}
		found[provider] = builtClient{id, secret}
	}
	return found, nil
}

// BuiltSecret is the secret of a registration that is built in.
func BuiltSecret(clientID string) string {
	for _, r := range distributed() {
		if r.id == clientID {
			return r.secret
		}
	}
	return ""
}

package api

// Account is one mail address that sends through Waxseal.
type Account struct {
	Address  string `toml:"address"`
	Provider string `toml:"provider"`        // id or alias; "" goes by the address's domain
	Login    string `toml:"login,omitempty"` // the OAuth identity where it differs from Address

	// These take the place of the provider's where they are set.
	ClientID       string `toml:"client_id,omitempty"`
	TokenURL       string `toml:"token_url,omitempty"`
	SMTP           string `toml:"smtp,omitempty"` // host:port; see Config.Resolve for its TLS
	MaxConnections int    `toml:"max_connections,omitempty"`
}

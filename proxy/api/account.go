package api

import "reflect"

// Client is what a provider knows a registered program by.
type Client struct {
	ID     string `json:"id,omitempty"`
	Secret string `json:"secret,omitempty"`
}

// Account is one mail address that sends through Waxseal.
type Account struct {
	Address  string `toml:"address"`
	Provider string `toml:"provider"`        // ID or alias; "" means the one of the address's domain
	Login    string `toml:"login,omitempty"` // the OAuth identity, if it is not Address

	// Protocols is what the account does, "smtp", "imap" and "pop"; none means that it sends only.
	Protocols []Protocol `toml:"protocols,omitempty"`

	// These replace the provider's settings if they are set.
	ClientID       string `toml:"client_id,omitempty"`
	TokenURL       string `toml:"token_url,omitempty"`
	Tenant         string `toml:"tenant,omitempty"` // ID or domain of Microsoft's directory that the registration is for
	SMTP           string `toml:"smtp,omitempty"`   // host:port; see Config.Resolve for its TLS
	IMAP           string `toml:"imap,omitempty"`   // likewise
	POP            string `toml:"pop,omitempty"`
	MaxConnections int    `toml:"max_connections,omitempty"`
	MaxPerMinute   *int   `toml:"max_per_minute,omitempty"` // messages; 0: no limit
	MaxMessages    *int   `toml:"max_messages_per_day,omitempty"`
	MaxRecipients  *int   `toml:"max_recipients_per_day,omitempty"`
}

// Equal reports whether two accounts are the same in all that the configuration says.
func (a Account) Equal(b Account) bool { return reflect.DeepEqual(a, b) }

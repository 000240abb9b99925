package api

// NewProvider is a provider that is not built in, as a person describes it.
type NewProvider struct {
	Name     string   `json:"name"`     // for people
	Domains  []string `json:"domains"`  // of its addresses: "corp.example" or "*.corp.example"
	AuthURL  string   `json:"auth_url"` // where a browser signs in (RFC 6749 section 3.1)
	TokenURL string   `json:"token_url"`
	Scopes   []string `json:"scopes"`
	SMTP     string   `json:"smtp"` // host:port
	TLS      bool     `json:"tls"`  // from the first byte; else STARTTLS
	// The servers for reading, host:port, with TLS as their ports say; "" if there is none.
	IMAP string `json:"imap,omitempty"`
	POP  string `json:"pop,omitempty"`
}

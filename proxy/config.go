package proxy

import (
	"fmt"
	"time"
)

// Config is the configuration file (TOML, see DefaultConfig for what holds when
// a key is left out). It holds no secret: those live in the keystore.
//
// A Config is a plain value. The lists of one that was handed out are not to be
// changed; make a new one instead.
type Config struct {
	Listen    []string `toml:"listen"`     // host:port, plain with STARTTLS offered
	ListenTLS []string `toml:"listen_tls"` // host:port, TLS from the first byte
	Metrics   string   `toml:"metrics"`    // host:port of /metrics, "" turns it off
	Keystore  string   `toml:"keystore"`   // "system", "file" or "memory"

	LogLevel string `toml:"log_level"` // least level that is logged: "debug", "info", "warn" or "error"

	// HTTPProxy is the URL of the proxy through which providers are reached, by
	// HTTP and, with its CONNECT method, for mail; "" goes by the environment's
	// HTTPS_PROXY. NO_PROXY names exceptions to both, and this machine is one.
	HTTPProxy string `toml:"http_proxy"`

	Notifications bool `toml:"notifications"` // the desktop tells of what needs somebody

	// AllowRemote lets the addresses above be other than loopback. The server
	// then asks for TLS before AUTH on those.
	AllowRemote bool `toml:"allow_remote,omitempty"`

	OfferSTARTTLS bool `toml:"offer_starttls,omitempty"` // list STARTTLS in the reply to EHLO on loopback too

	// In all and for each account; 0 stands for the default.
	MaxConnections           int `toml:"max_connections"`
	MaxConnectionsPerAccount int `toml:"max_connections_per_account"`

	IdleTimeout     Duration `toml:"idle_timeout"`     // silent clients are closed after it; 0 stands for the default
	ShutdownTimeout Duration `toml:"shutdown_timeout"` // messages in flight have this long to finish; 0 stands for the default

	Providers []Provider `toml:"provider,omitempty"` // own entries only: see Config.Catalogue
	Accounts  []Account  `toml:"account,omitempty"`
}

// Provider is one mail provider: where its consent, its tokens and its SMTP
// service are. Own entries of the file may leave out what the built-in entry of
// that id has; those that come from Config.Provider, Config.Catalogue and
// Config.Resolve are complete.
type Provider struct {
	ID      string   `toml:"id" json:"id"`
	Name    string   `toml:"name,omitempty" json:"name"`
	Aliases []string `toml:"aliases,omitempty" json:"aliases,omitempty"` // other ids it answers to
	Domains []string `toml:"domains,omitempty" json:"domains,omitempty"` // "corp.example" or "*.corp.example"

	// OAuth endpoints: RFC 6749 section 3, RFC 8628 section 3.1, RFC 7009.
	AuthURL   string `toml:"auth_url,omitempty" json:"auth_url,omitempty"`
	TokenURL  string `toml:"token_url,omitempty" json:"token_url,omitempty"`
	DeviceURL string `toml:"device_url,omitempty" json:"device_url,omitempty"`
	RevokeURL string `toml:"revoke_url,omitempty" json:"revoke_url,omitempty"`

	// MX are hosts that take mail for domains hosted there, "mx.example" or
	// "*.example": how a company's own domain is known for this provider's.
	MX []string `toml:"mx,omitempty" json:"mx,omitempty"`

	// Who signed in is asked of Issuer's id_token (OpenID Connect Core section 2)
	// or of UserinfoURL (section 5.3); of neither where both are empty.
	Issuer      string `toml:"issuer,omitempty" json:"issuer,omitempty"`
	UserinfoURL string `toml:"userinfo_url,omitempty" json:"userinfo_url,omitempty"`

	// Grant is how tokens come about: "" by a user's consent, "client_credentials"
	// (RFC 6749 section 4.4) or "jwt_bearer" (RFC 7523) by an administrator's.
	Grant string `toml:"grant,omitempty" json:"grant,omitempty"`

	// ConsentDays is how long a consent lives without use; 0 is unknown.
	ConsentDays int `toml:"consent_days,omitempty" json:"consent_days,omitempty"`

	Scopes       []string          `toml:"scopes,omitempty" json:"scopes,omitempty"`
	AuthParams   map[string]string `toml:"auth_params,omitempty" json:"auth_params,omitempty"` // more parameters for AuthURL
	ClientID     string            `toml:"client_id,omitempty" json:"client_id,omitempty"`
	RedirectHost string            `toml:"redirect_host,omitempty" json:"redirect_host,omitempty"` // as registered: "127.0.0.1" or "localhost"
	RedirectPath string            `toml:"redirect_path,omitempty" json:"redirect_path,omitempty"` // as registered: "/"

	SMTP           string `toml:"smtp,omitempty" json:"smtp,omitempty"`                       // host:port
	SMTPTLS        string `toml:"smtp_tls,omitempty" json:"smtp_tls,omitempty"`               // "starttls", "implicit" or "none"
	CAFile         string `toml:"ca_file,omitempty" json:"ca_file,omitempty"`                 // PEM, trusted too, for this provider alone
	MaxConnections int    `toml:"max_connections,omitempty" json:"max_connections,omitempty"` // upstream, for each account
	DailyLimit     int    `toml:"daily_limit,omitempty" json:"daily_limit,omitempty"`         // messages a day for each account; 0 is unknown

	// NoOAuth says what to do instead, for a provider that takes no OAuth on
	// SMTP. It is empty for all others.
	NoOAuth string `toml:"no_oauth,omitempty" json:"no_oauth,omitempty"`
}

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

// Duration is a length of time that the file gives as text: "5m", "90s".
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`%q is not a length of time; write it like "5m" or "90s"`, text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Duration) String() string { return time.Duration(d).String() }

// DefaultConfig is the configuration of a machine that has no file yet: both
// loopback addresses, since localhost means either one, no account.
func DefaultConfig() Config {
	return Config{
		Listen:                   []string{"127.0.0.1:1587", "[::1]:1587"},
		ListenTLS:                []string{"127.0.0.1:1465", "[::1]:1465"},
		Metrics:                  "127.0.0.1:9587",
		Keystore:                 "system",
		LogLevel:                 "info",
		Notifications:            true,
		MaxConnections:           10_000,
		MaxConnectionsPerAccount: 100,
		IdleTimeout:              Duration(5 * time.Minute), // RFC 5321 section 4.5.3.2.7
		ShutdownTimeout:          Duration(30 * time.Second),
	}
}

// withDefaults puts the default in the place of every setting whose zero value
// would mean nothing.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.Keystore == "" {
		c.Keystore = d.Keystore
	}
	if c.LogLevel == "" {
		c.LogLevel = d.LogLevel
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = d.MaxConnections
	}
	if c.MaxConnectionsPerAccount == 0 {
		c.MaxConnectionsPerAccount = d.MaxConnectionsPerAccount
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = d.IdleTimeout
	}
	if c.ShutdownTimeout == 0 {
		c.ShutdownTimeout = d.ShutdownTimeout
	}
	return c
}

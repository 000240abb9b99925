// Package config reads, checks and edits Waxseal's configuration: the TOML file, the
// catalogue of providers that are built in, and the files from which accounts are
// imported.
//
// Except for the functions that take a path, it only computes: it opens no file and,
// except for [Config.Discover], does not use the network. No error of this package
// contains a secret.
package config

import (
	"fmt"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/balancer"
)

// Config is the configuration file, in TOML. [Default] has the values of the keys that
// it leaves out. It contains no secrets; those are in the keystore.
//
// A Config is a plain value whose lists are shared. Do not change them; make new ones.
type Config struct {
	Listen    []string `toml:"listen"`     // host:port, unencrypted, with STARTTLS offered
	ListenTLS []string `toml:"listen_tls"` // host:port, implicit TLS

	// For programs that read mail. They are opened only while an account does that protocol.
	ListenIMAP    []string `toml:"listen_imap"`
	ListenIMAPTLS []string `toml:"listen_imap_tls"`
	ListenPOP     []string `toml:"listen_pop"`
	ListenPOPTLS  []string `toml:"listen_pop_tls"`

	Metrics  string `toml:"metrics"`  // host:port of /metrics; "" turns it off
	Keystore string `toml:"keystore"` // the name of one of keystore.Kinds

	LogLevel string `toml:"log_level"` // the lowest level that is logged: "debug", "info", "warn" or "error"

	// HTTPProxy is the URL of the proxy through which providers are reached: for HTTP
	// and, with the CONNECT method, for mail. If it is "", the environment's HTTPS_PROXY
	// applies. NO_PROXY names exceptions to both; this machine always is one.
	HTTPProxy string `toml:"http_proxy"`

	// Updates is the address of the feed that tells of newer releases; "" turns that off.
	Updates string `toml:"updates"`

	Notifications bool   `toml:"notifications"`      // show desktop notifications when somebody has to do something
	Theme         string `toml:"theme,omitempty"`    // of the window: "system", "light" or "dark"
	Language      string `toml:"language,omitempty"` // of window, tray and notifications: "system", "en" or "de"

	// History keeps the last events and the day's counts in a file, see package history.
	History bool `toml:"history"`

	// AllowRemote allows addresses above that are not loopback. On those the server
	// requires TLS before AUTH.
	AllowRemote bool `toml:"allow_remote,omitempty"`

	// OfferSTARTTLS lists STARTTLS in the reply to EHLO on loopback too. It always works there.
	OfferSTARTTLS bool `toml:"offer_starttls,omitempty"`

	// Hostname is this server's name to SMTP clients, in the greeting and in the reply to EHLO, and
	// to people on other computers; "" is "localhost" and the address.
	Hostname string `toml:"hostname,omitempty"`

	// TLS is the certificate of a relay that other computers use. Without one, they see the
	// certificate that Waxseal makes for localhost.
	TLS TLS `toml:"tls,omitempty"`

	// Etcd says where accounts and secrets are with keystore = "etcd". Then this file has no accounts and
	// providers.
	Etcd Etcd `toml:"etcd,omitempty"`

	// ProxyProtocol names the load balancers in front of this server.
	ProxyProtocol ProxyProtocol `toml:"proxy_protocol,omitempty"`

	// Of mail programs, in total and for each account; 0 means the default.
	MaxConnections           int `toml:"max_connections"`
	MaxConnectionsPerAccount int `toml:"max_connections_per_account"`

	IdleTimeout     Duration `toml:"idle_timeout"`     // after this, silent clients are disconnected; 0 means the default
	ShutdownTimeout Duration `toml:"shutdown_timeout"` // how long messages in progress may take to finish; 0 means the default

	// DrainDelay is how long the server goes on after SIGTERM while /readyz already says no, so that
	// balancers stop sending connections before the listeners close.
	DrainDelay Duration `toml:"drain_delay,omitempty"`

	Providers []Provider    `toml:"provider,omitempty"` // only those of the file; see Config.Catalogue
	Accounts  []api.Account `toml:"account,omitempty"`
}

// TLS names the PEM files of a certificate that somebody else issues and renews. Relative paths are
// relative to the configuration file's folder.
type TLS struct {
	Certificate string `toml:"certificate,omitempty"` // the server's certificate, then those of its issuers
	Key         string `toml:"key,omitempty"`
}

// Etcd is a cluster of etcd, or kine, that several machines share. Relative paths are relative to the
// configuration file's folder.
type Etcd struct {
	Endpoints []string `toml:"endpoints,omitempty"` // "https://host:2379"
	Prefix    string   `toml:"prefix,omitempty"`    // of all keys, "/waxseal/" if it is empty
	CAFile    string   `toml:"ca_file,omitempty"`   // PEM; who signs the servers' certificates, "" for the system's authorities
	CertFile  string   `toml:"cert_file,omitempty"` // PEM; this machine's certificate
	KeyFile   string   `toml:"key_file,omitempty"`
	User      string   `toml:"user,omitempty"` // its password is in the environment
}

// ProxyProtocol says whose word about clients is believed.
type ProxyProtocol struct {
	// From are the addresses or networks of the load balancers. Connections from there must begin with a
	// header of the PROXY protocol, version 1 or 2, for every protocol and before TLS; headers from
	// elsewhere mean nothing.
	From []string `toml:"from,omitempty"`
}

// Balancers are the networks of ProxyProtocol. The configuration must be valid.
func (c *Config) Balancers() balancer.Networks {
	networks, _ := balancer.ParseNetworks(c.ProxyProtocol.From)
	return networks
}

// Provider describes a mail provider: its OAuth endpoints and its mail servers. An entry of
// the file may leave out what the built-in entry of the same id has. Those that
// Config.Provider, Config.Catalogue and Config.Resolve return are complete.
type Provider struct {
	ID      string   `toml:"id" json:"id"`
	Name    string   `toml:"name,omitempty" json:"name"`
	Aliases []string `toml:"aliases,omitempty" json:"aliases,omitempty"` // other names for it
	Domains []string `toml:"domains,omitempty" json:"domains,omitempty"` // "corp.example" or "*.corp.example"

	// OAuth endpoints: RFC 6749 section 3, RFC 8628 section 3.1, RFC 7009.
	AuthURL   string `toml:"auth_url,omitempty" json:"auth_url,omitempty"`
	TokenURL  string `toml:"token_url,omitempty" json:"token_url,omitempty"`
	DeviceURL string `toml:"device_url,omitempty" json:"device_url,omitempty"`
	RevokeURL string `toml:"revoke_url,omitempty" json:"revoke_url,omitempty"`

	// MX lists the hosts that receive mail for domains at this provider, "mx.example" or
	// "*.example". By them, the provider of a company's own domain is recognized.
	MX []string `toml:"mx,omitempty" json:"mx,omitempty"`

	// Issuer's ID token (OpenID Connect Core section 2) or UserinfoURL (section 5.3) says
	// who signed in. If both are empty, this is not checked.
	Issuer      string `toml:"issuer,omitempty" json:"issuer,omitempty"`
	UserinfoURL string `toml:"userinfo_url,omitempty" json:"userinfo_url,omitempty"`

	// Grant is how tokens are obtained: "" with a user's consent, "client_credentials"
	// (RFC 6749 section 4.4) or "jwt_bearer" (RFC 7523) with an administrator's.
	Grant string `toml:"grant,omitempty" json:"grant,omitempty"`

	// ConsentDays is after how many days without use a consent ends; 0 means unknown.
	ConsentDays int `toml:"consent_days,omitempty" json:"consent_days,omitempty"`

	// Scopes are for sending and, unless they have their own, for reading too. IMAPScopes and
	// POPScopes are added for an account that reads; see ScopesFor.
	Scopes       []string          `toml:"scopes,omitempty" json:"scopes,omitempty"`
	IMAPScopes   []string          `toml:"imap_scopes,omitempty" json:"imap_scopes,omitempty"`
	POPScopes    []string          `toml:"pop_scopes,omitempty" json:"pop_scopes,omitempty"`
	AuthParams   map[string]string `toml:"auth_params,omitempty" json:"auth_params,omitempty"` // additional parameters for AuthURL
	ClientID     string            `toml:"client_id,omitempty" json:"client_id,omitempty"`
	Tenant       string            `toml:"tenant,omitempty" json:"tenant,omitempty"`               // Microsoft's directory that the registration is for; "": any
	RedirectHost string            `toml:"redirect_host,omitempty" json:"redirect_host,omitempty"` // as registered: "127.0.0.1" or "localhost"
	RedirectPath string            `toml:"redirect_path,omitempty" json:"redirect_path,omitempty"` // as registered: "/"

	SMTP           string `toml:"smtp,omitempty" json:"smtp,omitempty"`                       // host:port
	SMTPTLS        string `toml:"smtp_tls,omitempty" json:"smtp_tls,omitempty"`               // "starttls", "implicit" or "none"
	Hello          string `toml:"hello,omitempty" json:"hello,omitempty"`                     // the name to give in EHLO; "" lets Waxseal choose
	CAFile         string `toml:"ca_file,omitempty" json:"ca_file,omitempty"`                 // PEM; additional CAs to trust, for this provider only
	MaxConnections int    `toml:"max_connections,omitempty" json:"max_connections,omitempty"` // to the provider, for each account

	// The servers for reading. An empty address means that none is known.
	IMAP    string `toml:"imap,omitempty" json:"imap,omitempty"`         // host:port
	IMAPTLS string `toml:"imap_tls,omitempty" json:"imap_tls,omitempty"` // as SMTPTLS
	POP     string `toml:"pop,omitempty" json:"pop,omitempty"`
	POPTLS  string `toml:"pop_tls,omitempty" json:"pop_tls,omitempty"`

	// IMAPAuth and POPAuth force a SASL mechanism that the server does not announce: "xoauth2" or
	// "oauthbearer" (RFC 7628). "" takes one that it announces.
	IMAPAuth string `toml:"imap_auth,omitempty" json:"imap_auth,omitempty"`
	POPAuth  string `toml:"pop_auth,omitempty" json:"pop_auth,omitempty"`

	// ReadConnections is how many connections for reading the provider allows each account; 0 means
	// unknown.
	ReadConnections int `toml:"read_connections,omitempty" json:"read_connections,omitempty"`

	// What the provider lets an account send: messages in a minute, messages and recipients in a day. Not set
	// means unknown, and 0 that there is no limit; Waxseal then keeps none. The two that end in Hosted take
	// the place of those before for accounts whose domain is not one of Domains, which means an
	// organisation's own domain.
	MaxPerMinute        *int `toml:"max_per_minute,omitempty" json:"max_per_minute,omitempty"`
	MaxMessages         *int `toml:"max_messages_per_day,omitempty" json:"max_messages_per_day,omitempty"`
	MaxRecipients       *int `toml:"max_recipients_per_day,omitempty" json:"max_recipients_per_day,omitempty"`
	MaxMessagesHosted   *int `toml:"max_messages_per_day_hosted,omitempty" json:"max_messages_per_day_hosted,omitempty"`
	MaxRecipientsHosted *int `toml:"max_recipients_per_day_hosted,omitempty" json:"max_recipients_per_day_hosted,omitempty"`

	// NoOAuth says, in a sentence, what to do instead, for a provider that does not support
	// OAuth on SMTP. It is empty for all others.
	NoOAuth string `toml:"no_oauth,omitempty" json:"no_oauth,omitempty"`
}

// Duration is a length of time that the file contains as text: "5m", "90s".
type Duration time.Duration

// UnmarshalText reads the notation of time.ParseDuration.
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

// updatesFeed is the project's own feed, which the release workflow writes. It serves itself: package
// updates follows no redirect to another host.
const updatesFeed = "https://raw.githubusercontent.com/waxseal/waxseal/feed/latest"

// etcdPrefix is where the records are in etcd unless [etcd] says otherwise.
const etcdPrefix = "/waxseal/"

// Default returns the configuration of a machine that has no file yet. It listens on both
// loopback addresses, since localhost can mean either, and has no account.
func Default() Config {
	return Config{
		Listen:                   []string{"127.0.0.1:1587", "[::1]:1587"},
		ListenTLS:                []string{"127.0.0.1:1465", "[::1]:1465"},
		ListenIMAP:               []string{"127.0.0.1:1143", "[::1]:1143"},
		ListenIMAPTLS:            []string{"127.0.0.1:1993", "[::1]:1993"},
		ListenPOP:                []string{"127.0.0.1:1110", "[::1]:1110"},
		ListenPOPTLS:             []string{"127.0.0.1:1995", "[::1]:1995"},
		Metrics:                  "127.0.0.1:9587",
		Keystore:                 keystore.SystemKind,
		LogLevel:                 "info",
		Updates:                  updatesFeed,
		Notifications:            true,
		History:                  true,
		Theme:                    "system",
		Language:                 "system",
		MaxConnections:           10_000,
		MaxConnectionsPerAccount: 100,
		IdleTimeout:              Duration(5 * time.Minute), // RFC 5321 section 4.5.3.2.7
		ShutdownTimeout:          Duration(30 * time.Second),
	}
}

// WithDefaults replaces every zero value that has no meaning of its own by the default.
func (c Config) WithDefaults() Config {
	d := Default()
	if c.Keystore == "" {
		c.Keystore = d.Keystore
	}
	if c.LogLevel == "" {
		c.LogLevel = d.LogLevel
	}
	if c.Theme == "" {
		c.Theme = d.Theme
	}
	if c.Language == "" {
		c.Language = d.Language
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = d.MaxConnections
	}
	if c.MaxConnectionsPerAccount == 0 {
		c.MaxConnectionsPerAccount = d.MaxConnectionsPerAccount
	}
	if c.Keystore == keystore.EtcdKind && c.Etcd.Prefix == "" {
		c.Etcd.Prefix = etcdPrefix
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = d.IdleTimeout
	}
	if c.ShutdownTimeout == 0 {
		c.ShutdownTimeout = d.ShutdownTimeout
	}
	return c
}

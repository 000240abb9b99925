package providertest

import (
	"log/slog"
	"time"
)

// Options say what kind of provider Start makes. The zero value is a provider with all SMTP
// extensions, any user, any client and no limit except the size of a message.
type Options struct {
	Accounts []string // the users who can consent; empty: anybody

	ClientID     string        // the only client that may ask for tokens; empty: any
	ClientSecret string        // its secret; empty: a public client
	TokenTTL     time.Duration // lifetime of an access token; 0: an hour
	TokenSize    int           // length of an access token in characters; 0: 120. Entra's reach about 3,000
	Rotate       bool          // each refresh returns a new refresh token; using an old one again revokes the grant
	OldTokens    bool          // with Rotate: old refresh tokens stay valid, as Microsoft's do

	// Scopes are the scopes that a token must have for a protocol. A protocol that is missing needs none.
	Scopes map[Protocol]string
	Wider  Wider // what a refresh that asks for more than was consented to gets
	// Shared are the shared mailboxes, with the accounts that may read them. For IMAP and POP the user is
	// the shared address, for SMTP the account.
	Shared map[string][]string

	Mechanisms   []string // SASL mechanisms accepted by all protocols; empty: XOAUTH2 and OAUTHBEARER
	NoSTARTTLS   bool     // SMTPAddr does not offer STARTTLS but accepts AUTH, as an attacker in the middle would
	NoPipelining bool     // not offered; a client that pipelines anyway gets 554
	NoChunking   bool
	No8BitMIME   bool
	NoUTF8       bool
	NoDSN        bool
	Lax          bool // accepts bare CR or LF as a line end in DATA, as servers open to SMTP smuggling do

	MaxSize        int64         // octets in a message; 0: 35882577, as at Gmail
	MaxRecipients  int           // in one transaction, 452 after that; 0: 2000
	MaxConnections int           // authenticated connections of one account at a time, 432 after that; 0: no limit
	MaxPerMinute   int           // messages of one account, 421 to the body after that, as Exchange says it; 0: no limit
	Minute         time.Duration // of that; 0: a minute
	// MaxRecipientsPerDay are those of the messages of one account in 24 hours, 554 to the body after that; 0: no limit
	MaxRecipientsPerDay int

	IdleTimeout time.Duration // 421 after this much silence; 0: 5 minutes (RFC 5321 section 4.5.3.2.7)
	Latency     time.Duration // round-trip time of all mail protocols: each group of replies arrives this much later

	IMAP       Manners       // the zero value announces what this server can do
	MaxIMAP    int           // IMAP connections of one account at a time; 0: no limit
	LoginDelay time.Duration // POP: a login of an account sooner than this after the last one gets [LOGIN-DELAY]; 0: no limit

	DropBodies bool // record the size and SHA-256 of a message, but not its bytes
	CountOnly  bool // only count messages; the cheapest, for benchmarks

	Hosts         []string  // names and IPs in the certificate; empty: localhost, 127.0.0.1, ::1
	NotAfter      time.Time // when the certificate expires; zero: in a day
	MaxTLSVersion uint16    // such as tls.VersionTLS11; 0: the newest

	Log *slog.Logger // nil: silent. Tokens and bodies are never logged
}

func (o Options) withDefaults() Options {
	if o.TokenTTL == 0 {
		o.TokenTTL = time.Hour
	}
	if o.TokenSize == 0 {
		o.TokenSize = 120
	}
	if len(o.Mechanisms) == 0 {
		o.Mechanisms = []string{"XOAUTH2", "OAUTHBEARER"}
	}
	o.IMAP = o.IMAP.withDefaults(o.Mechanisms)
	if o.MaxSize == 0 {
		o.MaxSize = 35882577
	}
	if o.Minute == 0 {
		o.Minute = time.Minute
	}
	if o.MaxRecipients == 0 {
		o.MaxRecipients = 2000
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = 5 * time.Minute
	}
	if len(o.Hosts) == 0 {
		o.Hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = time.Now().Add(24 * time.Hour)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

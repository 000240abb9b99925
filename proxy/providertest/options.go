package providertest

import (
	"log/slog"
	"time"
)

// Options say what kind of provider Start makes. The zero value is a provider with all SMTP extensions, any user,
// any client and no limit but the message's size.
type Options struct {
	Accounts []string // users who can consent; empty: anybody

	ClientID     string        // the one client that may ask for tokens; empty: any
	ClientSecret string        // its secret; empty: a public client
	TokenTTL     time.Duration // life of an access token; 0: an hour
	TokenSize    int           // length of an access token in characters; 0: 120. Entra's run to about 3,000
	Rotate       bool          // each refresh gives a new refresh token; replaying an old one revokes the grant
	OldTokens    bool          // with Rotate: old refresh tokens stay good, as Microsoft's do

	Mechanisms   []string // SASL mechanisms offered; empty: XOAUTH2 and OAUTHBEARER
	NoSTARTTLS   bool     // SMTPAddr does not offer STARTTLS, yet takes AUTH: what an attacker in the middle shows
	NoPipelining bool     // not offered, and a client that does it all the same gets 554
	NoChunking   bool
	No8BitMIME   bool
	NoUTF8       bool
	NoDSN        bool
	Lax          bool // takes bare CR or LF for a line end in DATA, as servers open to SMTP smuggling do

	MaxSize        int64         // octets in a message; 0: 35882577, as Gmail has it
	MaxRecipients  int           // in one transaction, 452 beyond; 0: 2000
	MaxConnections int           // authenticated ones of one account at a time, 432 beyond; 0: no limit
	IdleTimeout    time.Duration // 421 after so long a silence; 0: 5 minutes (RFC 5321 section 4.5.3.2.7)
	Latency        time.Duration // an SMTP round trip's time: each group of replies arrives so much later

	DropBodies bool // record size and SHA-256 of a message, not its bytes
	CountOnly  bool // record nothing of a message but its number: the cheapest, for benchmarks

	Hosts         []string  // names and IPs in the certificate; empty: localhost, 127.0.0.1, ::1
	NotAfter      time.Time // the certificate's end; zero: in a day
	MaxTLSVersion uint16    // for example tls.VersionTLS11; 0: the newest

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
	if o.MaxSize == 0 {
		o.MaxSize = 35882577
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

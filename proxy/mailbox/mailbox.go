// Package mailbox is an account at work, and the hall in which mail programs of all protocols
// stand: their connections, logins, limits and statistics.
//
// A [Hall] admits a mail program's connection as a [Client]. A session of the client's protocol serves
// it, and [Hall.Login] finds the [Mailbox] whose address and local password it gives. What a mailbox
// can do depends on its provider; [Explain] is the one place where an error gets words.
package mailbox

import (
	"cmp"
	"context"
	"crypto/x509"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/pace"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// Mailbox is an account in use: its local password, its grant at the provider and its
// connections to the provider. No account ever waits for another.
type Mailbox struct {
	Address  string          // as configured; sessions find the mailbox by Fold(address)
	Account  api.Account     // as in the configuration
	Provider config.Provider // with the account's own settings applied

	Password Password
	Grant    *oauth.Grant
	Pool     *upstream.Pool // for sending
	Pace     *pace.Pacer    // the account's, whatever changes in its settings
	HTTP     *http.Client   // of the grant

	Messages atomic.Int64 // in progress

	hall    *Hall
	parts   Parts
	readers []*Reader // of the protocols for reading that the account does

	removed     atomic.Bool
	connections ByProtocol
	full        PerMinute // limits log lines about max_connections_per_account
	sent        atomic.Int64
	failed      atomic.Int64
	trouble     atomic.Pointer[api.Problem] // why the last login of sending failed; nil if it worked
}

// The breakers' names. There is one for each token endpoint, by host and path because one
// host may serve several tenants, and one for each mail server.
func TokenBreaker(p config.Provider) string { return "token " + endpoint(p.TokenURL) }
func MailBreaker(p config.Provider) string  { return ServerBreaker(p, api.SMTP) }
func IsMailBreaker(name string) bool        { return !strings.HasPrefix(name, "token ") }

// BreakerProtocol is the protocol of the server that a breaker stands before; "" for a token endpoint.
func BreakerProtocol(name string) api.Protocol {
	if protocol, _, _ := strings.Cut(name, " "); protocol != "token" {
		return api.Protocol(protocol)
	}
	return ""
}

// ServerBreaker names the breaker of a provider's server for a protocol.
func ServerBreaker(p config.Provider, protocol api.Protocol) string {
	address, _ := p.Server(protocol)
	return string(protocol) + " " + address
}

// BreakerHost is a breaker's name for people who may not know the tenants: without the path
// of a token endpoint.
func BreakerHost(name string) string {
	host, _, _ := strings.Cut(name, "/")
	return host
}

// Parts are what a mailbox needs beside its account and provider.
type Parts struct {
	HTTP      *http.Client   // for tokens
	Roots     *x509.CertPool // trusted for the provider's servers; nil: the system's
	Proxy     func(*url.URL) (*url.URL, error)
	LatePages *oauth.LatePages

	Timeouts Timeouts
	Now      func() time.Time
	Tokens   *breaker.Set // of token endpoints
	Servers  *breaker.Set // of mail servers
	Users    Users        // nil remembers nothing
}

// New makes an account's mailbox, without using the network.
func (h *Hall) New(a api.Account, p config.Provider, parts Parts) *Mailbox {
	b := &Mailbox{Address: a.Address, Account: a, Provider: p, HTTP: parts.HTTP, hall: h, parts: parts}
	b.Password.once = make(chan struct{}, 1)
	b.Grant = oauth.New(oauth.Config{
		Provider: p.ID, ClientID: p.ClientID, ClientSecret: config.BuiltSecret(p.ClientID),
		AuthURL: p.AuthURL, TokenURL: p.TokenURL, DeviceURL: p.DeviceURL, RevokeURL: p.RevokeURL,
		Scopes: p.ScopesFor(a.Does()), Needs: p.Needs(a.Does()), AuthParams: p.AuthParams, RedirectHost: p.RedirectHost, RedirectPath: p.RedirectPath,
		Issuer: p.Issuer, UserinfoURL: p.UserinfoURL, Login: a.Login, GrantType: p.Grant,
	}, config.Fold(a.Address), oauth.Deps{
		Secrets: h.Secrets, Shared: h.Shared, OnClaim: func(result string) { h.Stats.Claims.WithLabelValues(result).Inc() }, Now: parts.Now, HTTP: parts.HTTP, Timeout: parts.Timeouts.Token, Breaker: parts.Tokens.Get(TokenBreaker(p)), Log: h.Log,
		LatePages: parts.LatePages,
		OnRefresh: func(result string) { h.Stats.Refreshed(p.ID, result) },
		OnChange:  h.Changed.Wake,
	})
	wait := parts.Timeouts
	if was := h.Mailbox(a.Address); was != nil {
		b.Pace = was.Pace
	} else {
		b.Pace = pace.New(pace.Config{Limits: p.Limits(), Past: b.past(), Minute: wait.Minute, Now: parts.Now})
	}
	b.Pool = upstream.New(upstream.Config{
		Addr: p.SMTP, TLS: dial.TLSMode(p.SMTPTLS), Hello: p.Hello, RootCAs: parts.Roots, Proxy: parts.Proxy, Login: cmp.Or(a.Login, a.Address), Tokens: b.Grant,
		MaxConnections: p.MaxConnections, Pace: b.Pace, Breaker: parts.Servers.Get(MailBreaker(p)),
		Log: h.Log.With("account", a.Address), Stats: &h.Stats.Upstream, Now: parts.Now,
		DialTimeout: wait.Dial, ReplyTimeout: wait.Reply, FinalTimeout: wait.Final, WaitTimeout: wait.Turn, IdleTimeout: wait.Idle,
	})
	for _, protocol := range a.Does() {
		if protocol.Reads() {
			b.readers = append(b.readers, b.newReader(protocol))
		}
	}
	return b
}

// past is what the account has sent before, as far as that is known.
func (b *Mailbox) past() pace.Day {
	if b.hall.History == nil {
		return nil
	}
	now := time.Now
	if b.parts.Now != nil {
		now = b.parts.Now
	}
	return b.hall.History.Sent(b.Address, now())
}

// endpoint names a token endpoint by host and path.
func endpoint(tokenURL string) string {
	u, err := url.Parse(tokenURL)
	if err != nil {
		return tokenURL
	}
	return u.Host + u.Path
}

// CanSend checks that the account can send now, and returns the error if it cannot.
func (b *Mailbox) CanSend(ctx context.Context) error {
	// The token comes first: an account whose consent has ended must report that, even if
	// its connections are still logged in.
	if _, err := b.Grant.Token(ctx); err != nil {
		return err
	}
	err := b.Pool.Check(ctx)
	b.Note(err)
	return err
}

// ProviderName is the name of the account's provider, for people.
func (b *Mailbox) ProviderName() string {
	if b.Provider.Name != "" {
		return b.Provider.Name
	}
	return b.Provider.ID
}

// CloseIdle closes the connections that are idle, so that the next message and the next
// refresh use new ones. Each mailbox closes those of its own HTTP client, because a mailbox
// that stays keeps its client after clients.forget.
func (b *Mailbox) CloseIdle() {
	b.Pool.Drop()
	b.HTTP.CloseIdleConnections()
}

// Removed reports whether the account was removed, or another mailbox has taken the place of this
// one.
func (b *Mailbox) Removed() bool { return b.removed.Load() }

// retireTimeout is the longest wait for a token refresh in progress.
const retireTimeout = 15 * time.Second

// Retire ends the use of a mailbox after the messages in flight. Sessions that hold it
// look for its successor at their next message.
func (b *Mailbox) Retire(ctx context.Context) {
	b.removed.Store(true)
	b.Pool.Drop()
	ctx, cancel := context.WithTimeout(ctx, retireTimeout)
	defer cancel()
	if err := b.Grant.Close(ctx); err != nil {
		b.hall.Log.Error("a new refresh token could not be stored", "account", b.Address, "err", err)
	}
	b.HTTP.CloseIdleConnections()
}

// Close stores what must be stored and closes the connections to the provider.
func (b *Mailbox) Close(ctx context.Context) {
	if err := b.Grant.Close(ctx); err != nil {
		b.hall.Log.Error("a new refresh token could not be stored", "account", b.Address, "err", err)
	}
	b.Pool.Close(ctx)
	b.HTTP.CloseIdleConnections()
}

// Reader is what the account does with a protocol for reading; nil if it does not do that.
func (b *Mailbox) Reader(p api.Protocol) *Reader {
	for _, r := range b.readers {
		if r.protocol == p {
			return r
		}
	}
	return nil
}

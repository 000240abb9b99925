package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// mailbox is an account in use: its local password, its grant at the provider and its
// connections to the provider. No account ever waits for another.
type mailbox struct {
	address  string          // as configured; sessions find the mailbox by Fold(address)
	account  api.Account     // as in the configuration
	provider config.Provider // with the account's own settings applied

	password localPassword
	grant    *oauth.Grant
	pool     *upstream.Pool
	http     *http.Client // of the grant
	removed  atomic.Bool

	connections atomic.Int64
	full        perMinute // limits log lines about max_connections_per_account
	messages    atomic.Int64
	sent        atomic.Int64
	failed      atomic.Int64
	trouble     atomic.Pointer[api.Problem] // why the last login failed; nil if it worked
}

// The breakers' names. There is one for each token endpoint, by host and path because one
// host may serve several tenants, and one for each mail server.
func tokenBreaker(p config.Provider) string { return "token " + endpoint(p.TokenURL) }
func mailBreaker(p config.Provider) string  { return "smtp " + p.SMTP }
func isMailBreaker(name string) bool        { return strings.HasPrefix(name, "smtp ") }

// breakerHost is a breaker's name for people who may not know the tenants: without the path
// of a token endpoint.
func breakerHost(name string) string {
	host, _, _ := strings.Cut(name, "/")
	return host
}

// newMailbox makes an account's mailbox. It reads the provider's ca_file and no other
// file.
func (s *Server) newMailbox(a api.Account, p config.Provider) (*mailbox, error) {
	client, roots, err := s.clients.Get(p.CAFile)
	if err != nil {
		return nil, fmt.Errorf("provider %q: %w", p.ID, err)
	}
	b := &mailbox{address: a.Address, account: a, provider: p, http: client}
	b.password.once = make(chan struct{}, 1)
	b.grant = oauth.New(oauth.Config{
		Provider: p.ID, ClientID: p.ClientID, ClientSecret: config.BuiltSecret(p.ClientID),
		AuthURL: p.AuthURL, TokenURL: p.TokenURL, DeviceURL: p.DeviceURL, RevokeURL: p.RevokeURL,
		Scopes: p.Scopes, AuthParams: p.AuthParams, RedirectHost: p.RedirectHost, RedirectPath: p.RedirectPath,
		Issuer: p.Issuer, UserinfoURL: p.UserinfoURL, Login: a.Login, GrantType: p.Grant,
	}, config.Fold(a.Address), oauth.Deps{
		Secrets: s.secrets, Now: s.opts.Now, HTTP: client, Timeout: s.opts.Timeouts.Token, Breaker: s.tokenBreakers.Get(tokenBreaker(p)), Log: s.log,
		LatePages: s.latePages,
		OnRefresh: func(result string) { s.stats.refreshed(p.ID, result) },
		OnChange:  s.changed.wake,
	})
	login := a.Login
	if login == "" {
		login = a.Address
	}
	wait := s.opts.Timeouts
	b.pool = upstream.New(upstream.Config{
		Addr: p.SMTP, TLS: dial.TLSMode(p.SMTPTLS), Hello: p.Hello, RootCAs: roots, Proxy: s.outbound.For, Login: login, Tokens: b.grant,
		MaxConnections: p.MaxConnections, Breaker: s.smtpBreakers.Get(mailBreaker(p)),
		Log: s.log.With("account", a.Address), Stats: &s.stats.upstream, Now: s.opts.Now,
		DialTimeout: wait.Dial, ReplyTimeout: wait.Reply, FinalTimeout: wait.Final, WaitTimeout: wait.Turn, IdleTimeout: wait.Idle,
	})
	return b, nil
}

// endpoint names a token endpoint by host and path.
func endpoint(tokenURL string) string {
	u, err := url.Parse(tokenURL)
	if err != nil {
		return tokenURL
	}
	return u.Host + u.Path
}

// canSend checks that the account can send now, and returns the error if it cannot.
func (b *mailbox) canSend(ctx context.Context) error {
	// The token comes first: an account whose consent has ended must report that, even if
	// its connections are still logged in.
	if _, err := b.grant.Token(ctx); err != nil {
		return err
	}
	err := b.pool.Check(ctx)
	b.note(err)
	return err
}

func (b *mailbox) providerName() string {
	if b.provider.Name != "" {
		return b.provider.Name
	}
	return b.provider.ID
}

// retireTimeout is the longest wait for a token refresh in progress.
const retireTimeout = 15 * time.Second

// retire ends the use of a mailbox after the messages in flight. Sessions that hold it
// look for its successor at their next message.
func (s *Server) retire(ctx context.Context, b *mailbox) {
	b.removed.Store(true)
	b.pool.Drop()
	ctx, done := s.finishing(ctx)
	defer done()
	ctx, cancel := context.WithTimeout(ctx, retireTimeout)
	defer cancel()
	if err := b.grant.Close(ctx); err != nil {
		s.log.Error("a new refresh token could not be stored", "account", b.address, "err", err)
	}
	b.http.CloseIdleConnections()
}

// closeIdle closes the connections that are idle, so that the next message and the next
// refresh use new ones. Each mailbox closes those of its own HTTP client, because a mailbox
// that stays keeps its client after dial.Clients.Forget.
func (b *mailbox) closeIdle() {
	b.pool.Drop()
	b.http.CloseIdleConnections()
}

// preload reads local passwords into memory, so that the first login does not wait for a
// keychain. Passwords that cannot be read now are read at the first login.
func (s *Server) preload(ctx context.Context, log *slog.Logger) {
	for _, b := range *s.boxes.Load() {
		if ctx.Err() != nil {
			return
		}
		err := b.password.load(ctx, s.secrets, b.address)
		switch {
		case errors.Is(err, keystore.ErrUnavailable):
			log.Error("the keystore cannot be read; logins get a temporary error until it can", "err", err, "cure", keystore.Cure(err))
			return
		case errors.Is(err, keystore.ErrNotFound):
			b.trouble.Store(noPassword(b.address))
			log.Warn("the account has no local password", "account", b.address, "cure", "waxseal account password "+b.address+" --new")
		}
	}
}

// Package oauth keeps one account's access token fresh.
//
// A [Grant] is what one user allowed this program at one provider: a refresh token in the keystore,
// and an access token in memory. [Grant.Token] is all that the mail path needs:
//
//	g := oauth.New(cfg, "me@example.com", oauth.Deps{Secrets: secrets})
//	defer g.Close(ctx)
//	token, err := g.Token(ctx)
//
// While the cached token is fresh that is one atomic load. Otherwise it is
//
//	singleflight( breaker( retry( refresh ) ) )
//
// so that any number of callers cost one request, and an open breaker answers at once. The refresh
// belongs to the Grant, not to a caller: a caller who leaves does not cancel it.
//
// A refresh token is never sent twice. A provider that rotates may have replaced it although no
// answer came, and may take the second use for theft and end the consent. So only a request that
// surely had no effect is made again by itself: it was not sent, or the answer was 429 or 503. Once
// a request has been sent its answer is awaited in the background, for minutes; callers wait a while
// and then hear that it is late.
//
// The errors of Token are of six kinds: [*ConsentError], only the user can help; [*AdminError], only
// an administrator can; [*RefusedError], the registration is wrong; [*EndpointError], a passing fault
// of the provider; [*breaker.OpenError], too many of those; and the keystore's own, wrapped. The
// first four have a [Reason]. None of them holds a secret, whatever the provider repeats.
//
// A consent may cover less than the account does: an administrator blocks reading, or the user leaves a
// box empty. [Grant.Allows] says so, with a [*ScopeError], and the account goes on with the rest.
// [Grant.Widen] asks the provider for more without the user, where that is possible. [Grant.Young]
// gives a token for a session that is to last.
//
// Several machines may use one consent (Deps.Shared). Then the record that they share is the lock on its
// refresh: whoever claims it asks the provider, and the others wait for the token that comes of it.
//
// A Grant begins with [Grant.Consent], the user's approval in their own browser (RFC 8252, RFC 7636),
// with [Grant.Device], their approval on another machine (RFC 8628), or with [Grant.Accept], a
// refresh token from elsewhere. Where the provider tells who signed in, another user than the
// account's is refused with an [*IdentityError]. [Grant.Renew] keeps an idle consent alive,
// [Grant.Revoke] gives it back.
//
// An organisation may give a program its own right to its mailboxes (Config.GrantType). Such a Grant needs no
// consent; what it lacks an administrator must give, which is an [*AdminError].
package oauth

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/breaker"
)

// Config is this program's registration at a provider (RFC 6749 section 2).
type Config struct {
	Provider  string // the catalogue's id
	ClientID  string
	AuthURL   string
	TokenURL  string
	DeviceURL string   // RFC 8628; "" when the provider has none
	RevokeURL string   // RFC 7009; "" when the provider has none
	Scopes    []string // asked for at a sign-in

	// Needs are the scopes without which what the account does cannot work, by its name: "smtp",
	// "imap" or "pop". Nil means that it sends, and needs those of Scopes that are about mail.
	Needs map[string][]string

	// ClientSecret is one that came with the program, for a desktop client, whose secret is not one
	// (RFC 8252 section 8.5). One in the keystore takes precedence.
	ClientSecret string

	// AuthParams are added to the authorization request, such as Google's access_type=offline.
	AuthParams map[string]string

	// RedirectHost is "127.0.0.1" (the default) or "localhost", and RedirectPath the path ("/" by
	// default), as registered. Any port will do (RFC 8252 section 7.3).
	RedirectHost, RedirectPath string

	// Issuer is the provider's OpenID Connect issuer, UserinfoURL its endpoint of OpenID Connect
	// Core section 5.3. With either, a consent is checked for who gave it. "" when the provider has
	// none.
	Issuer, UserinfoURL string

	// Login is who signs in for the account; "" means the account's own address. It differs for a
	// shared mailbox or an alias.
	Login string

	// GrantType is "" for a consent of the user, or ClientCredentials or JWTBearer.
	GrantType string
}

// ClientKey is the keystore's key for the secret that a registration's accounts share. A
// registration is a client ID at the host of a token endpoint: no other host is sent its secret,
// whatever client ID it is asked with.
func ClientKey(tokenURL, clientID string) string {
	return "client/" + clientID + "@" + strings.ToLower(hostOf(tokenURL))
}

// OwnClientKey is the key for the secret of one account, which takes precedence over the shared one.
func OwnClientKey(tokenURL, clientID, account string) string {
	return ClientKey(tokenURL, clientID) + "/" + account
}

// ServiceKey is the key for a service account's key file.
func ServiceKey(clientID string) string { return "service/" + clientID }

// user is who signs in for the account.
func (g *Grant) user() string { return cmp.Or(g.cfg.Login, g.account) }

// Deps are what a Grant works with. Secrets is needed, the rest may be zero.
type Deps struct {
	// Secrets holds "refresh/<account>", [ClientKey] and [OwnClientKey] where the registration has a
	// secret, and [ServiceKey] for [JWTBearer].
	Secrets *keystore.Store

	// Shared has the record of the account's consent if several machines use it; nil if this one alone does.
	// Call [Grant.Changed] when the record changes. OnClaim is told how each attempt ended to be the machine
	// that asks the provider, one of Claims.
	Shared  *shared.Store
	OnClaim func(result string)

	// HTTP may be shared by all grants. Its transport is used, which must be an *http.Transport or
	// hand its requests to one; redirects are never followed. Nil means a client that all grants
	// share, with TLS 1.2 or newer.
	HTTP *http.Client

	// Timeout bounds a connection to an endpoint, and one request that may be repeated; 0 is 10 s. A
	// caller waits two and a half times as long for a token. The answer to a request that may not
	// be repeated, such as a refresh, is awaited thirty times as long.
	Timeout time.Duration

	// Breaker stands before the token endpoint; share one per endpoint. It counts only what the
	// endpoint did wrong, so it needs no Classify. Nil means one for this Grant alone.
	Breaker *breaker.Breaker

	// LatePages keeps the last page of each sign-in for browsers that come late. Nil keeps none.
	LatePages *LatePages

	Log *slog.Logger

	// Now tells the time; nil means time.Now.
	Now func() time.Time

	// OnRefresh is told how each refresh ended, one of Results. OnChange is told that Status says
	// something new. Both may ask for Status, and must call nothing else of the Grant.
	OnRefresh func(result string)
	OnChange  func()
}

// Grant is one account's authorization at one provider. All methods may be called by many
// goroutines at a time.
type Grant struct {
	account  string
	cfg      Config
	deps     Deps
	endpoint *endpoint     // the token endpoint
	patience time.Duration // of a caller, and of tries that may be repeated

	cached atomic.Pointer[cached] // nil when there is none worth trying

	storing chan struct{} // of capacity 1: held while the stored token is read to be changed, or changed

	life    context.Context // of the work that outlives its caller
	end     context.CancelFunc
	closing chan struct{}
	work    sync.WaitGroup

	mu          sync.Mutex
	closed      bool
	generation  uint64  // counts the refresh tokens the user gave; results of older ones are dropped
	flight      *flight // the refresh in progress
	consent     error   // the provider took the consent back: the answer until there is a new one
	lastErr     error   // of the last refresh
	lastRefresh time.Time
	paused      time.Time // no request before, as the provider asked; lastErr is the answer
	unsaved     *unsaved  // a refresh token that the keystore does not hold yet
	saveErr     error     // why
	saving      bool      // a goroutine is trying again
	lastSecret  *string   // the client secret as last read
	signedIn    string    // whom the provider names; "" when it does not
	granted     []string  // the scopes for mail, or a program's roles, that are known to be granted
	fleet       fleet
}

const (
	defaultTimeout = 10 * time.Second
	// A caller waits for the time of two tries and the pauses between them: mail programs wait about
	// 30 s for the answer to AUTH.
	patienceInTimeouts = 2.5
	// No answer has been seen to take longer than a few minutes.
	answerInTimeouts = 30
)

// New makes the Grant of an account, the address its secrets are kept under. It does no I/O.
func New(cfg Config, account string, deps Deps) *Grant {
	cfg.RedirectHost = cmp.Or(cfg.RedirectHost, "127.0.0.1")
	cfg.RedirectPath = cmp.Or(cfg.RedirectPath, "/")
	deps.Timeout = cmp.Or(deps.Timeout, defaultTimeout)
	if deps.HTTP == nil {
		deps.HTTP = sharedClient()
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Breaker == nil {
		deps.Breaker = breaker.New(hostOf(cfg.TokenURL), breaker.Settings{})
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.OnRefresh == nil {
		deps.OnRefresh = func(string) {}
	}
	if deps.OnClaim == nil {
		deps.OnClaim = func(string) {}
	}
	if deps.OnChange == nil {
		deps.OnChange = func() {}
	}
	deps.Log = deps.Log.With("account", account, "provider", cfg.Provider)
	g := &Grant{
		account: account,
		cfg:     cfg,
		deps:    deps,
		endpoint: &endpoint{
			kind: tokenEndpoint, url: cfg.TokenURL, host: hostOf(cfg.TokenURL), clientID: cfg.ClientID, http: client(deps.HTTP),
			times: times{deps.Timeout, deps.Timeout}, now: deps.Now, manners: mannersOf(deps.HTTP, cfg.TokenURL, cfg.ClientID),
		},
		patience: time.Duration(patienceInTimeouts * float64(deps.Timeout)),
		storing:  make(chan struct{}, 1),
		closing:  make(chan struct{}),
	}
	g.fleet.news = make(chan struct{})
	g.life, g.end = context.WithCancel(context.Background())
	if deps.Shared != nil {
		g.resume()
		g.Changed()
	}
	return g
}

// once is the token endpoint for a request that may not be repeated: its answer is awaited.
func (g *Grant) once() *endpoint { return g.endpoint.within(answerInTimeouts * g.deps.Timeout) }

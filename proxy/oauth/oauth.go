// Package oauth keeps one account's access token fresh.
//
// A [Grant] is what one user allowed this program at one provider: a refresh
// token in the keystore, and an access token in memory. [Grant.Token] is all
// that the mail path needs:
//
//	g := oauth.New(cfg, "me@example.com", oauth.Deps{Secrets: secrets})
//	defer g.Close(ctx)
//	token, err := g.Token(ctx)
//
// While the cached token is fresh that is one atomic load. Else it is
//
//	singleflight( breaker( retry( refresh ) ) )
//
// so that any number of callers cost one request, a broken endpoint is asked
// three times and then left alone, and an open breaker answers at once. The
// refresh belongs to the Grant, not to a caller: one who leaves does not cancel
// it, and even when all have left it goes on to its end, because an answer
// nobody reads may hold a new refresh token that replaced the old one.
//
// The errors of Token are of six kinds: [*ConsentError], only the user can help;
// [*AdminError], only an administrator can; [*RefusedError], the registration is
// wrong; [*EndpointError], a passing fault
// of the provider; [*breaker.OpenError], too many of those; and the keystore's
// own, wrapped. None of them holds a secret, whatever the provider echoes.
//
// A Grant begins with [Grant.Consent], the user's approval in their own browser
// (RFC 8252, RFC 7636), with [Grant.Device], their approval on another machine
// (RFC 8628), or with [Grant.Accept], a refresh token from elsewhere. Where the
// provider tells who signed in, another user than the account's is refused with
// an [*IdentityError]. [Grant.Renew] keeps an idle consent alive, [Grant.Revoke]
// gives it back.
//
// An organisation may give a program its own right to send (Config.GrantType).
// Such a Grant needs no consent; what it lacks an administrator must give, which
// is an [*AdminError].
package oauth

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/breaker"
)

// Config is this program's registration at a provider (RFC 6749 section 2).
type Config struct {
	Provider  string // the catalogue's id
	ClientID  string
	AuthURL   string
	TokenURL  string
	DeviceURL string // RFC 8628; "" when the provider has none
	RevokeURL string // RFC 7009; "" when the provider has none
	Scopes    []string

	// ClientSecret is one that came with the program, for a desktop client whose
	// secret is none (RFC 8252 section 8.5). The keystore's goes before it.
	ClientSecret string

	// AuthParams are added to the authorization request, such as Google's
	// access_type=offline.
	AuthParams map[string]string

	// RedirectHost is "127.0.0.1" (the default) or "localhost", and RedirectPath
	// the path ("/" by default), as registered. The port is any (RFC 8252
	// section 7.3).
	RedirectHost, RedirectPath string

	// Issuer is the provider's OpenID Connect issuer, UserinfoURL its endpoint of
	// OpenID Connect Core section 5.3. With either, a consent is checked for who
	// gave it. "" when the provider has none.
	Issuer, UserinfoURL string

	// Login is who signs in for the account; "" means the account's own address.
	// It differs for a shared mailbox or an alias.
	Login string

	// GrantType is "" for a consent of the user, or ClientCredentials or JWTBearer.
	GrantType string
}

// ClientKey is the keystore's key for the secret that a registration's accounts
// share. A registration is a client ID at the host of a token endpoint: no other
// host is sent its secret, whatever client ID it is asked with.
func ClientKey(tokenURL, clientID string) string {
	return "client/" + clientID + "@" + strings.ToLower(hostOf(tokenURL))
}

// OwnClientKey is the key for the secret of one account, which goes before the
// one that is shared.
func OwnClientKey(tokenURL, clientID, account string) string {
	return ClientKey(tokenURL, clientID) + "/" + account
}

// ServiceKey is the key for a service account's key file.
func ServiceKey(clientID string) string { return "service/" + clientID }

// user is who signs in for the account.
func (g *Grant) user() string { return cmp.Or(g.cfg.Login, g.account) }

// Deps are what a Grant works with. Secrets is needed, the rest may be zero.
type Deps struct {
	// Secrets holds "refresh/<account>", [ClientKey] and [OwnClientKey] where the
	// registration has a secret, and [ServiceKey] for [JWTBearer].
	Secrets *keystore.Store

	// HTTP may be shared by all grants. Its transport is used; redirects are
	// never followed. Nil means a client that all
	// grants share, with TLS 1.2 or newer.
	HTTP *http.Client

	// Timeout bounds one request to an endpoint; 0 is 10 s.
	Timeout time.Duration

	// Breaker stands before the token endpoint; share one per endpoint. It
	// counts what the endpoint did wrong, and nothing else, so it needs no
	// Classify. Nil means one for this Grant alone.
	Breaker *breaker.Breaker

	Log *slog.Logger

	// Now tells the time; nil means time.Now.
	Now func() time.Time

	// OnRefresh is told how each refresh ended, one of Results. OnChange is told
	// that Status says something new. Both may ask for Status, and must call
	// nothing else of the Grant.
	OnRefresh func(result string)
	OnChange  func()
}

// Grant is one account's authorization at one provider. All methods may be
// called by many goroutines at a time.
type Grant struct {
	account  string
	cfg      Config
	deps     Deps
	endpoint *endpoint // the token endpoint

	cached atomic.Pointer[cached] // nil when there is none worth trying

	storing chan struct{} // of capacity 1: held while the stored token is read to be changed, or changed

	life    context.Context // of the work that outlives its caller
	end     context.CancelFunc
	closing chan struct{}
	work    sync.WaitGroup

	mu          sync.Mutex
	closed      bool
	generation  uint64  // counts the refresh tokens the user gave; results of older ones are dropped
	flight      *flight // the refresh under way
	consent     error   // the provider took the consent back: the answer until there is a new one
	lastErr     error   // of the last refresh
	lastRefresh time.Time
	paused      time.Time // no request before, as the provider asked; lastErr is the answer
	unsaved     *stored   // a refresh token that the keystore does not hold yet
	saveErr     error     // why
	saving      bool      // a goroutine tries again
	lastSecret  *string   // the client secret as last read
}

// New makes the Grant of an account, the address its secrets are kept under. It
// does no I/O.
func New(cfg Config, account string, deps Deps) *Grant {
	if cfg.RedirectHost == "" {
		cfg.RedirectHost = "127.0.0.1"
	}
	if cfg.RedirectPath == "" {
		cfg.RedirectPath = "/"
	}
	e := newEndpoint(tokenEndpoint, cfg.TokenURL, cfg.ClientID, client(deps.HTTP))
	e.timeout = cmp.Or(deps.Timeout, tryTimeout)
	if deps.Now == nil {
		deps.Now = time.Now
	}
	e.now = deps.Now
	if deps.Breaker == nil {
		deps.Breaker = breaker.New(e.host, breaker.Settings{})
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.OnRefresh == nil {
		deps.OnRefresh = func(string) {}
	}
	if deps.OnChange == nil {
		deps.OnChange = func() {}
	}
	deps.Log = deps.Log.With("account", account, "provider", cfg.Provider)
	g := &Grant{
		account:  account,
		cfg:      cfg,
		deps:     deps,
		endpoint: e,
		storing:  make(chan struct{}, 1),
		closing:  make(chan struct{}),
	}
	g.life, g.end = context.WithCancel(context.Background())
	return g
}

// Token is an access token (RFC 6750). Printing one shows nothing secret.
type Token struct {
	Value  string    `json:"-"`
	Expiry time.Time `json:"expiry"`
}

// String tells when the token ends.
func (t Token) String() string { return "token until " + t.Expiry.Format(time.RFC3339) }

// GoString keeps %#v from showing the value.
func (t Token) GoString() string { return "oauth.Token{" + t.String() + "}" }

// LogValue is for slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// cached is the access token in use.
type cached struct {
	Token
	refreshAt time.Time
}

// maxMargin is how long before its end a token is renewed, so that one handed
// out now outlives the AUTH it is for and clocks may differ.
const maxMargin = 5 * time.Minute

func newCached(value string, received time.Time, life time.Duration) *cached {
	return &cached{
		Token:     Token{Value: value, Expiry: received.Add(life)},
		refreshAt: received.Add(life - min(maxMargin, life/10)),
	}
}

// before compares by the wall clock and by the monotonic one: the first goes on
// while the machine sleeps, the second is not moved by who sets the time.
func before(now, t time.Time) bool {
	return now.Before(t) && now.Round(0).Before(t.Round(0))
}

func (c *cached) fresh(now time.Time) bool { return c != nil && before(now, c.refreshAt) }
func (c *cached) valid(now time.Time) bool { return c != nil && before(now, c.Expiry) }

// States of a Grant, for Status.State.
const (
	Ready        = "ready"         // the last refresh worked
	Unknown      = "unknown"       // nothing was tried yet
	Refreshing   = "refreshing"    // a request is under way
	NeedsConsent = "needs_consent" // only the user can help
	NeedsAdmin   = "needs_admin"   // only an administrator can
	Failed       = "error"         // Err says what
)

// Results are the ways that a refresh ends. "breaker" is that it was open.
var Results = []string{"ok", "consent", "error", "breaker"}

// Status is how a Grant stands at one moment.
type Status struct {
	State       string    `json:"state"`
	Expiry      time.Time `json:"expiry,omitzero"`       // of the access token
	LastRefresh time.Time `json:"last_refresh,omitzero"` // that worked
	Err         string    `json:"error,omitempty"`       // a sentence for people
	Unsaved     bool      `json:"unsaved,omitempty"`     // a new refresh token is in memory only
}

// Status tells how the Grant stands. It asks nobody and waits for nothing.
func (g *Grant) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Status{LastRefresh: g.lastRefresh, Unsaved: g.saveErr != nil}
	c := g.cached.Load()
	if c != nil {
		s.Expiry = c.Expiry
	}
	why := g.lastErr
	switch {
	case g.consent != nil:
		s.State, why = NeedsConsent, g.consent
	case g.flight != nil:
		s.State = Refreshing
	case isConsent(g.lastErr):
		s.State = NeedsConsent
	case g.lastErr != nil && !c.valid(g.deps.Now()):
		s.State = Failed
		if errors.Is(g.lastErr, ErrAdmin) {
			s.State = NeedsAdmin
		}
	case g.lastRefresh.IsZero():
		s.State = Unknown
	default:
		s.State = Ready
	}
	switch {
	case why != nil:
		s.Err = why.Error()
	case g.saveErr != nil:
		s.Err = g.saveErr.Error()
	}
	return s
}

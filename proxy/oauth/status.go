package oauth

import (
	"errors"
	"log/slog"
	"time"
)

// Token is an access token (RFC 6750). Printing one shows nothing secret.
type Token struct {
	Value  string    `json:"-"`
	Expiry time.Time `json:"expiry"`
}

// String says until when the token is good.
func (t Token) String() string { return "token until " + t.Expiry.Format(time.RFC3339) }

// GoString keeps %#v from showing the value.
func (t Token) GoString() string { return "oauth.Token{" + t.String() + "}" }

// LogValue is for slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// cached is the access token in use.
type cached struct {
	Token
	got       time.Time // when it was asked for
	refreshAt time.Time
	youngTill time.Time
	signedIn  string // whom the ID token names that came along; "" when there was none
}

// maxMargin is how long before its end a token is renewed, so that one handed out now outlives the
// AUTH it is for, and clocks may differ.
const maxMargin = 5 * time.Minute

// youngMargin is what a token must have left, at least, for a session that ends with it, unless half of
// its life is less. Google's and Microsoft's tokens live an hour or a little more.
const youngMargin = 30 * time.Minute

func newCached(a answer) *cached {
	return cachedFor(a.access, a.received, a.life, unverified(a.identity).login())
}

func cachedFor(access string, got time.Time, life time.Duration, signedIn string) *cached {
	return &cached{
		Token:     Token{Value: access, Expiry: got.Add(life)},
		got:       got,
		refreshAt: got.Add(life - min(maxMargin, life/10)),
		youngTill: got.Add(life - min(youngMargin, life/2)),
		signedIn:  signedIn,
	}
}

// before compares by the wall clock and by the monotonic one: the first goes on while the machine
// sleeps, the second does not move when somebody sets the time.
func before(now, t time.Time) bool {
	return now.Before(t) && now.Round(0).Before(t.Round(0))
}

func (c *cached) fresh(now time.Time) bool { return c != nil && before(now, c.refreshAt) }
func (c *cached) young(now time.Time) bool { return c != nil && before(now, c.youngTill) }
func (c *cached) valid(now time.Time) bool { return c != nil && before(now, c.Expiry) }

// States of a Grant, for Status.State.
const (
	Ready        = "ready"         // the last refresh worked
	Unknown      = "unknown"       // nothing was tried yet
	Refreshing   = "refreshing"    // a request is in progress
	NeedsConsent = "needs_consent" // only the user can help
	NeedsAdmin   = "needs_admin"   // only an administrator can
	Failed       = "error"         // Err says what
)

// Results are the ways that a refresh ends. "breaker" means that it was open.
var Results = []string{"ok", "consent", "error", "breaker"}

// Status is how a Grant stands at one moment.
type Status struct {
	State       string
	Expiry      time.Time // of the access token
	LastRefresh time.Time // that worked
	Err         error     // why there is no new token, or why it could not be stored; nil when all is well
	Unsaved     bool      // a new refresh token is in memory only

	// SignedIn is the name by which the provider knows who signed in, where it told: the name to
	// log in with at its mail server. It may differ from the account's address.
	SignedIn string
}

// Status says how the Grant stands. It asks nobody and waits for nothing.
func (g *Grant) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Status{LastRefresh: g.lastRefresh, Unsaved: g.saveErr != nil, SignedIn: g.signedIn}
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
		s.Err = why
	case g.saveErr != nil:
		s.Err = g.saveErr
	}
	return s
}

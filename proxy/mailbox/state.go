package mailbox

import (
	"cmp"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/history"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// Note remembers how a login at the mail server ended, for the account's state. A failure
// that is neither the account's nor its server's changes nothing.
func (b *Mailbox) Note(err error) {
	if err == nil {
		if b.trouble.Load() != nil {
			b.trouble.Store(nil)
		}
		return
	}
	if p := Explain(b, err); p.State != "" {
		b.trouble.Store(p.Problem)
	}
}

// Trouble remembers why the account cannot send; nil if it can.
func (b *Mailbox) Trouble(p *api.Problem) { b.trouble.Store(p) }

// Ended counts a message.
func (b *Mailbox) Ended(r api.Result) {
	if r == api.Sent {
		b.Note(nil)
		b.sent.Add(1)
	} else {
		b.failed.Add(1)
	}
}

// Inherit takes over the counts of the account's previous mailbox, whose limits end here. It does
// nothing if the account was removed.
func (b *Mailbox) Inherit(before *Mailbox) {
	if b == nil {
		return
	}
	b.Pace.SetLimits(b.Provider.Limits(), b.past())
	b.sent.Add(before.sent.Load())
	b.failed.Add(before.failed.Load())
	for _, r := range b.readers {
		if was := before.Reader(r.protocol); was != nil {
			r.inherit(was)
		}
	}
}

// Circumstances are what an account's status depends on, beside the account itself.
type Circumstances struct {
	Secrets *api.Problem // why the keystore can't be read; nil if it can
	Past    history.Account
	Renewed time.Time // the last refresh that worked, as far as that is known from before the start
	Now     time.Time
}

// Status returns the account's status.
func (b *Mailbox) Status(c Circumstances) api.AccountStatus {
	pool, token, pacing := b.Pool.Status(), b.Grant.Status(), b.Pace.Status()
	st := api.AccountStatus{
		Address: b.Address, Provider: b.Provider.ID, Name: b.ProviderName(), ClientID: b.Provider.ClientID, Protocols: b.Account.Does(),
		Connections: b.connections.Of(api.SMTP).Load(), Messages: b.Messages.Load(),
		Sent: b.sent.Load(), Failed: b.failed.Load(), SentToday: c.Past.Today.Messages, Recipients: c.Past.Today.Recipients,
		Limits:      limitUses(pacing.Uses),
		Upstream:    api.PoolStatus{Warm: pool.Warm, Busy: pool.Busy, Waiting: pool.Waiting + pacing.Waiting, Limit: pool.Limit},
		Token:       api.Token{Expiry: token.Expiry, LastRefresh: token.LastRefresh, Unsaved: token.Unsaved},
		ConsentUsed: c.Renewed,
	}
	signIn := cmp.Or(c.keystore(b), b.signInTrouble(token))
	for _, r := range b.readers {
		st.Reading = append(st.Reading, r.status(signIn))
	}
	if a := c.Past.Last; a != nil {
		st.LastMessage, st.LastResult = a.Time, a.Result
	}
	if token.LastRefresh.After(st.ConsentUsed) {
		st.ConsentUsed = token.LastRefresh
	}
	st.ConsentEnds = ConsentEnds(b.Provider, st.ConsentUsed)
	st.State, st.Problem = b.state(c, token)
	return st
}

// ConsentEnds returns when an account's consent ends if it is not used again. It is zero if
// the provider does not say.
func ConsentEnds(p config.Provider, renewed time.Time) time.Time {
	if p.ConsentDays == 0 || renewed.IsZero() {
		return time.Time{}
	}
	return renewed.AddDate(0, 0, p.ConsentDays)
}

// state returns the account's state, and its problem if there is one. It is ready only if
// nothing is known to keep the next message from being sent. Lasting problems take precedence
// over passing ones, those of the token over those of the login, and what the last messages
// tell comes last.
func (b *Mailbox) state(c Circumstances, token oauth.Status) (api.State, *api.Problem) {
	trouble := b.trouble.Load()
	if trouble != nil && trouble.State == api.NoPassword && b.Password.Known() {
		trouble = nil // there is a password now
	}
	trouble = cmp.Or(b.signInTrouble(token), trouble)
	if trouble == nil || !trouble.Lasting {
		trouble = cmp.Or(c.obstacle(b), trouble, b.limitReached(), c.unsent(b))
	}
	if trouble == nil {
		return tokenStates[token.State], nil
	}
	return trouble.State, trouble
}

// signInTrouble is why there is no access token, for whatever the account does; nil if there is one, or
// that is not known.
func (b *Mailbox) signInTrouble(token oauth.Status) (trouble *api.Problem) {
	if b.Provider.ClientID == "" {
		trouble = subjectOf(b, api.SMTP).notRegistered()
	}
	if token.Err != nil {
		p := Explain(b, token.Err)
		// While a refresh is in progress, only a lasting problem is certain. One that failed while the token is
		// good keeps nothing from working yet.
		passes := token.State == oauth.Refreshing || token.State == oauth.Ready && !token.Unsaved
		if p.State != "" && (p.Lasting || !passes) {
			trouble = p.Problem
		}
	}
	return trouble
}

// servers are the breakers in front of what sending needs.
func (b *Mailbox) servers() (all []breaker.Status) {
	if b.Account.Uses(api.SMTP) {
		all = append(all, b.Breaker(api.SMTP).Status())
	}
	return append(all, b.parts.Tokens.Get(TokenBreaker(b.Provider)).Status())
}

// keystore is why the account's secrets cannot be read; nil if they can.
func (c Circumstances) keystore(b *Mailbox) *api.Problem {
	if c.Secrets == nil {
		return nil
	}
	p := *c.Secrets
	p.Account = b.Address
	return &p
}

// obstacle is what keeps the account from sending though it is not the account's own.
func (c Circumstances) obstacle(b *Mailbox) *api.Problem {
	if p := c.keystore(b); p != nil {
		return p
	}
	for _, server := range b.servers() {
		if server.State != breaker.Closed {
			return explainBreaker(subjectOf(b, api.SMTP), &breaker.OpenError{Name: server.Name, RetryIn: server.RetryIn, Cause: server.Cause})
		}
	}
	return nil
}

const (
	unsentFor  = time.Hour // how long a message that was not sent keeps its account from being ready
	unsentMost = 3         // refused messages in a row that may be their own fault, as a mistyped recipient is
)

// unsent is the problem of an account whose last messages were not sent; nil if they were, or if
// that was long ago. A refused message says nothing about the account if the next one may go
// through.
func (c Circumstances) unsent(b *Mailbox) *api.Problem {
	last := c.Past.Last
	if c.Past.Unsent == 0 || last == nil || c.Now.Sub(last.Time) > unsentFor {
		return nil
	}
	if last.Result == api.Refused && c.Past.Unsent < unsentMost {
		return nil
	}
	return subjectOf(b, api.SMTP).unsent(last)
}

// tokenStates are the states of accounts without a problem.
var tokenStates = map[string]api.State{
	oauth.Ready: api.Ready, oauth.Unknown: api.Unused, oauth.Refreshing: api.Refreshing,
	oauth.NeedsConsent: api.NeedsConsent, oauth.NeedsAdmin: api.NeedsAdmin, oauth.Failed: api.SignInDown,
}

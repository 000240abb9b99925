package proxy

import (
	"cmp"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/history"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// note remembers how a login at the mail server ended, for the account's state. A failure
// that is neither the account's nor its server's changes nothing.
func (b *mailbox) note(err error) {
	if err == nil {
		if b.trouble.Load() != nil {
			b.trouble.Store(nil)
		}
		return
	}
	if p := explain(b, err); p.State != "" {
		b.trouble.Store(p.Problem)
	}
}

// ended counts a message.
func (b *mailbox) ended(r api.Result) {
	if r == api.Sent {
		b.note(nil)
		b.sent.Add(1)
	} else {
		b.failed.Add(1)
	}
}

// inheritCounts takes over the counts of the account's previous mailbox. It does nothing
// if the account was removed.
func (b *mailbox) inheritCounts(before *mailbox) {
	if b == nil {
		return
	}
	b.sent.Add(before.sent.Load())
	b.failed.Add(before.failed.Load())
}

// accountStatus returns the status of an account.
func (s *Server) accountStatus(b *mailbox, secrets api.KeystoreStatus, now time.Time) api.AccountStatus {
	pool, token, past := b.pool.Status(), b.grant.Status(), s.history.Account(b.address, now)
	st := api.AccountStatus{
		Address: b.address, Provider: b.provider.ID, Name: b.providerName(), ClientID: b.provider.ClientID,
		Connections: b.connections.Load(), Messages: b.messages.Load(),
		Sent: b.sent.Load(), Failed: b.failed.Load(), SentToday: past.Today.Messages, Recipients: past.Today.Recipients,
		DailyLimit: int64(b.provider.DailyLimit), LimitUnit: api.LimitUnit(b.provider.DailyLimitUnit),
		Upstream:    api.PoolStatus{Warm: pool.Warm, Busy: pool.Busy, Waiting: pool.Waiting, Limit: pool.Limit},
		Token:       api.Token{Expiry: token.Expiry, LastRefresh: token.LastRefresh, Unsaved: token.Unsaved},
		ConsentUsed: s.ages.get(b.address).Renewed,
	}
	if a := past.Last; a != nil {
		st.LastMessage, st.LastResult = a.Time, a.Result
	}
	if token.LastRefresh.After(st.ConsentUsed) {
		st.ConsentUsed = token.LastRefresh
	}
	st.ConsentEnds = consentEnds(b.provider, st.ConsentUsed)
	st.State, st.Problem = b.state(circumstances{
		token: token, secrets: secrets.Problem, past: past, now: now,
		servers: []breaker.Status{s.smtpBreakers.Get(mailBreaker(b.provider)).Status(), s.tokenBreakers.Get(tokenBreaker(b.provider)).Status()},
	})
	return st
}

// stateOf is the state of an account now.
func (s *Server) stateOf(b *mailbox) api.State {
	return s.accountStatus(b, s.keystoreStatus(), time.Now()).State
}

// circumstances are what an account's state depends on, beside the account itself.
type circumstances struct {
	token   oauth.Status
	servers []breaker.Status // of its provider
	secrets *api.Problem     // why the keystore can't be read; nil if it can
	past    history.Account
	now     time.Time
}

// state returns the account's state, and its problem if there is one. It is ready only if
// nothing is known to keep the next message from being sent. Lasting problems take precedence
// over passing ones, those of the token over those of the login, and what the last messages
// tell comes last.
func (b *mailbox) state(c circumstances) (api.State, *api.Problem) {
	trouble := b.trouble.Load()
	if trouble != nil && trouble.State == api.NoPassword && b.password.sum.Load() != nil {
		trouble = nil // there is a password now
	}
	if b.provider.ClientID == "" {
		trouble = subjectOf(b).notRegistered()
	}
	if c.token.Err != nil {
		p := explain(b, c.token.Err)
		// While a refresh is in progress, only a lasting problem is certain.
		if p.State != "" && (p.Lasting || c.token.State != oauth.Refreshing) {
			trouble = p.Problem
		}
	}
	if trouble == nil || !trouble.Lasting {
		trouble = cmp.Or(c.obstacle(b), trouble, c.unsent(b))
	}
	if trouble == nil {
		return tokenStates[c.token.State], nil
	}
	return trouble.State, trouble
}

// obstacle is what keeps the account from sending though it is not the account's own.
func (c circumstances) obstacle(b *mailbox) *api.Problem {
	if c.secrets != nil {
		p := *c.secrets
		p.Account = b.address
		return &p
	}
	for _, server := range c.servers {
		if server.State != breaker.Closed {
			return explainBreaker(subjectOf(b), &breaker.OpenError{Name: server.Name, RetryIn: server.RetryIn, Cause: server.Cause})
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
func (c circumstances) unsent(b *mailbox) *api.Problem {
	last := c.past.Last
	if c.past.Unsent == 0 || last == nil || c.now.Sub(last.Time) > unsentFor {
		return nil
	}
	if last.Result == api.Refused && c.past.Unsent < unsentMost {
		return nil
	}
	return subjectOf(b).unsent(last)
}

// tokenStates are the states of accounts without a problem.
var tokenStates = map[string]api.State{
	oauth.Ready: api.Ready, oauth.Unknown: api.Unused, oauth.Refreshing: api.Refreshing,
	oauth.NeedsConsent: api.NeedsConsent, oauth.NeedsAdmin: api.NeedsAdmin, oauth.Failed: api.SignInDown,
}

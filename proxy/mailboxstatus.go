package proxy

import (
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
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
func (b *mailbox) ended(r api.Result, a *api.Activity) {
	if r == api.Sent {
		b.note(nil)
		b.sent.Add(1)
		b.today.count(dayOf(a.Time))
	} else {
		b.failed.Add(1)
	}
	b.last.Store(a)
}

// inheritCounts takes over the counts of the account's previous mailbox. It does nothing
// if the account was removed.
func (b *mailbox) inheritCounts(before *mailbox) {
	if b == nil {
		return
	}
	b.sent.Add(before.sent.Load())
	b.failed.Add(before.failed.Load())
	b.today.n.Store(before.today.n.Load())
	b.last.Store(before.last.Load())
}

// status returns the account's status. mail is the breaker of its mail server.
func (b *mailbox) status(mail breaker.Status) api.AccountStatus {
	pool, token := b.pool.Status(), b.grant.Status()
	st := api.AccountStatus{
		Address: b.address, Provider: b.provider.ID, Name: b.providerName(), ClientID: b.provider.ClientID,
		Connections: b.connections.Load(), Messages: b.messages.Load(),
		Sent: b.sent.Load(), Failed: b.failed.Load(), SentToday: b.today.of(dayOf(time.Now())), DailyLimit: int64(b.provider.DailyLimit),
		Upstream: api.PoolStatus{Warm: pool.Warm, Busy: pool.Busy, Waiting: pool.Waiting, Limit: pool.Limit},
		Token:    api.Token{Expiry: token.Expiry, LastRefresh: token.LastRefresh, Unsaved: token.Unsaved},
	}
	st.State, st.Problem = b.state(token, mail)
	if a := b.last.Load(); a != nil {
		st.LastMessage, st.LastResult = a.Time, a.Result
	}
	return st
}

// state returns the account's state, and its problem if there is one. Lasting problems take
// precedence over passing ones, and those of the token over those of the login.
func (b *mailbox) state(token oauth.Status, mail breaker.Status) (api.State, *api.Problem) {
	trouble := b.trouble.Load()
	if trouble != nil && trouble.State == api.NoPassword && b.password.sum.Load() != nil {
		trouble = nil // there is a password now
	}
	if b.provider.ClientID == "" {
		trouble = subjectOf(b).notRegistered()
	}
	if token.Err != nil {
		p := explain(b, token.Err)
		// While a refresh is in progress, only a lasting problem is certain.
		if p.State != "" && (p.Lasting || token.State != oauth.Refreshing) {
			trouble = p.Problem
		}
	}
	switch {
	case trouble != nil && trouble.Lasting:
	case mail.State != breaker.Closed:
		trouble = explainBreaker(subjectOf(b), &breaker.OpenError{Name: mail.Name, RetryIn: mail.RetryIn, Cause: mail.Cause})
	case trouble == nil:
		return tokenStates[token.State], nil
	}
	return trouble.State, trouble
}

// tokenStates are the states of accounts without a problem.
var tokenStates = map[string]api.State{
	oauth.Ready: api.Ready, oauth.Unknown: api.Unused, oauth.Refreshing: api.Refreshing,
	oauth.NeedsConsent: api.NeedsConsent, oauth.NeedsAdmin: api.NeedsAdmin, oauth.Failed: api.SignInDown,
}

package providertest

import "sync/atomic"

// Counts are what the provider has counted since its start.
type Counts struct {
	Authorizations int64 // consents given at the authorization page
	TokenRequests  int64 // requests to the token endpoint, including refused and faulty ones
	Exchanges      int64 // codes exchanged for tokens
	Refreshes      int64 // access tokens issued for a refresh token
	Replays        int64 // refresh tokens used again that a newer one had replaced
	Revocations    int64 // tokens revoked by clients

	Traffic            // of SMTP
	Transactions int64 // MAIL commands accepted
	Messages     int64 // messages accepted and recorded

	IMAP, POP Traffic
}

// Traffic counts what the clients of one protocol do.
type Traffic struct {
	Connections  int64 // connections accepted
	Active       int64 // connections open now
	Handshakes   int64 // TLS handshakes done
	Resumed      int64 // of these, those that resumed a session
	Auths        int64 // logins accepted
	AuthFailures int64 // logins refused
	Commands     int64 // command lines read
	Flights      int64 // groups of replies sent; a client that waits for each of them spends a round trip on each
}

type counters struct {
	authorizations, tokenRequests, exchanges, refreshes, replays, revocations, transactions atomic.Int64

	smtp, imap, pop traffic
}

type traffic struct {
	connections, active, handshakes, resumed, auths, authFailures, commands, flights atomic.Int64
}

func (c *counters) of(p Protocol) *traffic {
	switch p {
	case IMAP:
		return &c.imap
	case POP:
		return &c.pop
	}
	return &c.smtp
}

// Counts returns the current numbers. They are read one by one, so they need not match each other
// while mail is arriving.
func (p *Provider) Counts() Counts {
	c := &p.count
	return Counts{
		Authorizations: c.authorizations.Load(),
		TokenRequests:  c.tokenRequests.Load(),
		Exchanges:      c.exchanges.Load(),
		Refreshes:      c.refreshes.Load(),
		Replays:        c.replays.Load(),
		Revocations:    c.revocations.Load(),
		Traffic:        c.smtp.load(),
		Transactions:   c.transactions.Load(),
		Messages:       p.store.total(),
		IMAP:           c.imap.load(),
		POP:            c.pop.load(),
	}
}

func (t *traffic) load() Traffic {
	return Traffic{
		Connections:  t.connections.Load(),
		Active:       t.active.Load(),
		Handshakes:   t.handshakes.Load(),
		Resumed:      t.resumed.Load(),
		Auths:        t.auths.Load(),
		AuthFailures: t.authFailures.Load(),
		Commands:     t.commands.Load(),
		Flights:      t.flights.Load(),
	}
}

// Peak returns the largest number of authenticated SMTP connections that account had at the same time.
func (p *Provider) Peak(account string) int { return p.PeakOf(SMTP, account) }

// PeakOf is Peak for any protocol.
func (p *Provider) PeakOf(protocol Protocol, account string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.accounts[user{protocol, fold(account)}]; u != nil {
		return u.peak
	}
	return 0
}

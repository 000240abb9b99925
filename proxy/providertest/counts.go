package providertest

import "sync/atomic"

// Counts are what the provider has counted since its start.
type Counts struct {
	Authorizations int64 // consents given at the authorization page
	TokenRequests  int64 // requests to the token endpoint, including refused and faulty ones
	Exchanges      int64 // codes exchanged for tokens
	Refreshes      int64 // access tokens issued for a refresh token
	Revocations    int64 // tokens revoked by clients

	Connections  int64 // SMTP connections accepted
	Active       int64 // SMTP connections open now
	Handshakes   int64 // TLS handshakes done
	Resumed      int64 // of these, those that resumed a session
	Auths        int64 // logins accepted
	AuthFailures int64 // logins refused
	Transactions int64 // MAIL commands accepted
	Messages     int64 // messages accepted and recorded
	Commands     int64 // command lines read
	Flights      int64 // groups of replies sent; a client that waits for each of them spends a round trip on each
}

type counters struct {
	authorizations, tokenRequests, exchanges, refreshes, revocations atomic.Int64

	connections, active, handshakes, resumed, auths, authFailures atomic.Int64

	transactions, commands, flights atomic.Int64
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
		Revocations:    c.revocations.Load(),
		Connections:    c.connections.Load(),
		Active:         c.active.Load(),
		Handshakes:     c.handshakes.Load(),
		Resumed:        c.resumed.Load(),
		Auths:          c.auths.Load(),
		AuthFailures:   c.authFailures.Load(),
		Transactions:   c.transactions.Load(),
		Messages:       p.store.total(),
		Commands:       c.commands.Load(),
		Flights:        c.flights.Load(),
	}
}

// Peak returns the largest number of authenticated connections that account had at the same time.
func (p *Provider) Peak(account string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.accounts[fold(account)]; u != nil {
		return u.peak
	}
	return 0
}

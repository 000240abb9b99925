package providertest

import "time"

// Ending is how a provider ends a session of its own accord, between two responses.
type Ending struct {
	Line string // the last words, without CRLF; "" closes the connection without any
	Open bool   // leave the connection open and discard what arrives, until the client leaves
}

// What providers say when a session's token has expired.
var (
	ExchangeTokenEnd = Ending{Line: "* BYE Session invalidated - AccessTokenExpired", Open: true}
	GmailTokenEnd    = Ending{Line: "* BYE Session expired, please login again."}
)

// End ends the sessions in which account is logged in with a protocol, as e does. A session that is
// sending a response sends it to the end first. It returns the number of sessions.
func (p *Provider) End(protocol Protocol, account string, e Ending) (sessions int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.peers {
		if c.protocol == protocol && c.account != "" && fold(c.account) == fold(account) {
			c.interrupt(e)
			sessions++
		}
	}
	return sessions
}

// interrupt makes the session end at its next read, or now if it is waiting for one.
func (c *peer) interrupt(e Ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending, c.interrupted = &e, true
	c.conn.SetReadDeadline(time.Unix(1, 0))
}

// end says the last words that interrupt was given.
func (c *peer) end() error {
	c.mu.Lock()
	e := c.ending
	c.mu.Unlock()
	if e.Line != "" {
		c.out = append(append(c.out, e.Line...), '\r', '\n')
	}
	if e.Open {
		if err := c.flush(); err != nil {
			return err
		}
		c.hang()
	}
	return errEnd
}

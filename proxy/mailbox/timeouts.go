package mailbox

import "time"

// Timeouts are how long a server waits for providers. Zero means the default, which follows
// the RFCs and what people put up with; tests use shorter ones.
type Timeouts struct {
	Dial    time.Duration // to connect to a mail server, and for each TLS handshake; 20 s
	Reply   time.Duration // for each reply; the times of RFC 5321 section 4.5.3.2
	Final   time.Duration // for the reply to a whole message; 10 min
	Turn    time.Duration // for a message's turn, by the provider's limits of messages per minute and of connections; 90 s
	Idle    time.Duration // for the next message on a warm connection; 60 s
	Token   time.Duration // for one answer of a token endpoint; 10 s
	Breaker time.Duration // before an endpoint that failed several times in a row is tried again; 30 s
	Minute  time.Duration // of the limits per minute; a minute
}

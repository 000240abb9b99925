package providertest

import (
	"context"
	"net/http"
	"time"
)

// Faults say what goes wrong. With a nil hook nothing does. Hooks are called from many goroutines at
// once, and must not block for longer than the test can wait.
type Faults struct {
	SMTP     func(Event) Action                 // called at each step of each SMTP dialogue
	IMAP     func(Event) Action                 // called at each step of each IMAP dialogue
	POP      func(Event) Action                 // called at each step of each POP dialogue
	Token    func(*http.Request) TokenFault     // called at each token request; its form has been parsed
	Identity func(claims map[string]any)        // may change the claims of an ID token before it is signed
	Consent  func(account, scope string) string // called when an account consents; returns the scope that it grants. It must not call the Provider
}

// SetFaults replaces the faults from the next step on. The zero value removes them.
func (p *Provider) SetFaults(f Faults) { p.faults.Store(&f) }

// Event is a step of a dialogue that is about to happen.
type Event struct {
	Protocol Protocol
	Conn     int    // the connection's number, from 1
	Message  int    // SMTP: the transaction's number in the connection, from 1, or 0 before the first MAIL; else the command's
	Step     string // one of the Step constants
	Account  string // the account that is logged in (at StepAuth: that wants to log in)
	Line     string // the command as it came, without CRLF; where it contains a secret only the mechanism or the verb
	Bytes    int64  // StepChunk, StepLiteral: the size; StepBody, StepFinal: octets of the body so far
}

// The steps of a dialogue. StepBody comes for each piece of a body as it arrives, by DATA or BDAT.
// The first piece is at most 512 octets long, so that a fault can happen in the middle of a small
// message too. StepFinal comes once, when the body is complete and before the reply.
const (
	StepTLS      = "tls" // the handshake, after STARTTLS or on accepting
	StepGreeting = "greeting"
	StepEHLO     = "ehlo" // HELO too
	StepSTARTTLS = "starttls"
	StepAuth     = "auth"
	StepMail     = "mail"
	StepRcpt     = "rcpt"
	StepData     = "data"
	StepChunk    = "chunk"
	StepBody     = "body"
	StepFinal    = "final"
	StepRset     = "rset"
	StepNoop     = "noop"
	StepQuit     = "quit"

	// StepCommand is a command of IMAP or POP, with its tag, in either state and before it has any
	// effect. AUTHENTICATE and AUTH come to StepAuth afterwards. StepLiteral comes before the literal
	// that contains a message or a part of it, and before a message in POP.
	StepCommand = "command"
	StepLiteral = "literal"
)

// Action is what a hook wants to happen at a step. The zero value means: nothing unusual.
//
// Code and Text are a reply; Text has one line for each line of the reply, with its enhanced code.
// With 4xx or 5xx the command has no effect. With 2xx and 3xx it takes effect, and only the text of
// the reply changes. 421 ends the connection. At StepBody a reply ends the connection too, in the
// middle of the body. At StepAuth, 334 sends Text as the error report for a refused token, and 535
// follows.
//
// IMAP and POP have no codes. Text is the whole response, without the tag, which is the client's:
// "NO [UNAVAILABLE] Try again later" or "-ERR [SYS/TEMP] Try again later". The command has no effect,
// except that a login works if Text begins with "OK" or "+OK". At StepGreeting Text is what follows
// "* " (IMAP), such as "PREAUTH Welcome"; BYE and -ERR end the connection there.
type Action struct {
	Delay    time.Duration // wait this long first
	Drop     bool          // close the connection without a reply; earlier replies that are not sent yet are lost too
	Hang     bool          // send nothing more and discard what arrives until the client leaves
	Code     int
	Text     string
	Raw      string // these exact bytes instead of a reply; the command has no effect
	Untagged string // IMAP and POP: these exact bytes first; the command takes effect as usual
	Close    bool   // IMAP and POP: end the connection after the reply
	Cut      int64  // StepLiteral: lose the connection after this many octets
	Expired  bool   // StepTLS: use a certificate that expired an hour ago
	Deliver  bool   // StepFinal: record the message even if its reply is lost or refuses it
}

// TokenFault is what a token request gets instead of the normal response. The zero value is the
// normal response.
type TokenFault struct {
	Delay     time.Duration // wait this long first
	Late      time.Duration // the normal response, sent this long after it has taken effect, even if the client has left
	Drop      bool          // close the connection without a response
	Hang      bool          // do not respond until the client leaves
	Status    int           // respond with this status; a redirect is 302 with a Location in Header
	Header    http.Header   // in addition to Content-Type: application/json, or replacing it
	Body      string
	Pad       int64  // this many spaces after Body
	ExpiresIn string // the normal response, but with this JSON as expires_in; "-": without that field
}

// ask calls the hook for a step, and waits, drops or hangs as it says. errEnd means that the
// connection has to end.
func (s *session) ask(name, line string, n int64) (Action, error) {
	hook := s.p.faults.Load().SMTP
	if hook == nil {
		return Action{}, nil
	}
	act, err := s.hook(hook, name, line, n)
	if err != nil {
		return act, err
	}
	if act.Deliver && name == StepFinal {
		s.record()
	}
	return act, s.suffer(act)
}

// hook calls a hook for a step, and waits as it says.
func (c *peer) hook(hook func(Event) Action, name, line string, n int64) (Action, error) {
	e := Event{Protocol: c.protocol, Conn: c.id, Message: c.message, Step: name, Account: c.account, Line: line, Bytes: n}
	if name == StepAuth {
		e.Account, e.Line = line, c.mechanism
	}
	act := hook(e)
	if act.Delay > 0 {
		if err := c.flush(); err != nil { // earlier replies are not part of the delay
			return act, err
		}
		if !c.p.wait(context.Background(), act.Delay) {
			return act, errEnd
		}
	}
	return act, nil
}

// suffer drops the connection or hangs if act says so.
func (c *peer) suffer(act Action) error {
	switch {
	case act.Drop:
		c.drop()
		return errEnd
	case act.Hang:
		c.hang()
		return errEnd
	}
	return nil
}

// step calls the hook and sends the reply it wants. It returns skip if the command has got its
// reply and must have no effect. A reply of 2xx or 3xx is kept for the call of reply that follows.
func (s *session) step(name, line string, n int64) (skip bool, err error) {
	act, err := s.ask(name, line, n)
	if err != nil {
		return true, err
	}
	if act.refuses() {
		return true, s.refuse(act)
	}
	s.act = act
	return false, nil
}

// refuses reports whether the command must have no effect.
func (a Action) refuses() bool { return a.Raw != "" || a.Code >= 400 }

// refuse sends the reply of an action that refuses.
func (s *session) refuse(a Action) error {
	if a.Raw != "" {
		s.out = append(s.out, a.Raw...)
		return nil
	}
	return s.reply(a.Code, a.Text)
}

package providertest

import (
	"context"
	"net/http"
	"time"
)

// Faults say what goes wrong. With a nil hook nothing does. Hooks are called from many goroutines at
// once, and must not block for longer than the test can wait.
type Faults struct {
	SMTP     func(Event) Action             // called at each step of each SMTP dialogue
	Token    func(*http.Request) TokenFault // called at each token request; its form has been parsed
	Identity func(claims map[string]any)    // may change the claims of an ID token before it is signed
}

// SetFaults replaces the faults from the next step on. The zero value removes them.
func (p *Provider) SetFaults(f Faults) { p.faults.Store(&f) }

// Event is a step of an SMTP dialogue that is about to happen.
type Event struct {
	Conn    int    // the connection's number, from 1
	Message int    // the transaction's number in the connection, from 1; 0 before the first MAIL
	Step    string // one of the Step constants
	Account string // the account that is logged in (at StepAuth: that wants to log in)
	Line    string // the command as it came, without CRLF; at StepAuth only the mechanism, because the rest is secret
	Bytes   int64  // StepChunk: the chunk's size; StepBody, StepFinal: octets of the body so far
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
)

// Action is what a hook wants to happen at a step. The zero value means: nothing unusual.
//
// Code and Text are a reply; Text has one line for each line of the reply, with its enhanced code.
// With 4xx or 5xx the command has no effect. With 2xx and 3xx it takes effect, and only the text of
// the reply changes. 421 ends the connection. At StepBody a reply ends the connection too, in the
// middle of the body. At StepAuth, 334 sends Text as the error report for a refused token, and 535
// follows.
type Action struct {
	Delay   time.Duration // wait this long first
	Drop    bool          // close the connection without a reply; earlier replies that are not sent yet are lost too
	Hang    bool          // send nothing more and discard what arrives until the client leaves
	Code    int
	Text    string
	Raw     string // these exact bytes instead of a reply; the command has no effect
	Expired bool   // StepTLS: use a certificate that expired an hour ago
	Deliver bool   // StepFinal: record the message even if its reply is lost or refuses it
}

// TokenFault is what a token request gets instead of the normal response. The zero value is the
// normal response.
type TokenFault struct {
	Delay     time.Duration // wait this long first
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
	e := Event{Conn: s.id, Message: s.message, Step: name, Account: s.account, Line: line, Bytes: n}
	if name == StepAuth {
		e.Account, e.Line = line, s.mechanism
	}
	act := hook(e)
	if act.Delay > 0 {
		if err := s.flush(); err != nil { // earlier replies are not part of the delay
			return act, err
		}
		if !s.p.wait(context.Background(), act.Delay) {
			return act, errEnd
		}
	}
	if act.Deliver && name == StepFinal {
		s.record()
	}
	switch {
	case act.Drop:
		s.drop()
		return act, errEnd
	case act.Hang:
		s.hang()
		return act, errEnd
	}
	return act, nil
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

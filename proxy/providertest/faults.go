package providertest

import (
	"context"
	"net/http"
	"time"
)

// Faults say what goes wrong. A nil hook means that nothing does. Hooks are called from many goroutines at once and
// may block only as long as the test allows.
type Faults struct {
	SMTP     func(Event) Action             // asked at each step of each SMTP dialogue
	Token    func(*http.Request) TokenFault // asked at each token request; its form has been parsed
	Identity func(claims map[string]any)    // may change what an ID token says before it is signed
}

// SetFaults replaces the faults from the next step on. The zero value ends them.
func (p *Provider) SetFaults(f Faults) { p.faults.Store(&f) }

// Event is a step of an SMTP dialogue that is about to happen.
type Event struct {
	Conn    int    // the connection's number, from 1
	Message int    // the transaction's number in the connection, from 1; 0 before the first MAIL
	Step    string // one of the Step constants
	Account string // who is logged in (at StepAuth: who wants to be)
	Line    string // the command as it came, without CRLF; at StepAuth the mechanism alone, for the rest is secret
	Bytes   int64  // StepChunk: the chunk's size; StepBody, StepFinal: octets of the body so far
}

// The steps of a dialogue. StepBody comes for each piece of a body as it arrives, be it by DATA or BDAT, the first piece
// being at most 512 octets long so that the middle of a small message can be met; StepFinal comes once, when the body
// is complete and the answer not yet given.
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

// Action is what a hook wants instead of the usual. The zero value is: nothing, go on.
//
// Code and Text are a reply, Text one line for each line of it and enhanced code included. With 4xx or 5xx the command
// has no effect; with 2xx and 3xx it takes effect, and only the words change. 421 ends the connection. At StepBody a
// reply ends the connection too, in the middle of the body. At StepAuth, 334 sends Text as the report of a refused
// token, and 535 follows.
type Action struct {
	Delay   time.Duration // wait so long first
	Drop    bool          // close the connection without a word; replies not sent yet in this flight are lost too
	Hang    bool          // say nothing any more; what arrives is thrown away until the client leaves
	Code    int
	Text    string
	Raw     string // bytes sent as they are in place of a reply, and the command has no effect
	Expired bool   // StepTLS: show a certificate that ended an hour ago
	Deliver bool   // StepFinal: record the message though its reply is lost or says otherwise
}

// TokenFault is what a token request gets instead of an honest answer. The zero value is the honest answer.
type TokenFault struct {
	Delay     time.Duration // wait so long first
	Drop      bool          // close the connection without an answer
	Hang      bool          // answer nothing until the client leaves
	Status    int           // answer this; a redirect is 302 with a Location in Header
	Header    http.Header   // beside or in place of Content-Type: application/json
	Body      string
	Pad       int64  // so many spaces after Body
	ExpiresIn string // honest answer, but with this JSON as expires_in; "-": without the field
}

// ask asks the hook about a step. It waits, drops and hangs as told; errEnd means that the connection is to end.
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
		if err := s.flush(); err != nil { // what was answered before is not part of the delay
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

// step asks the hook and gives the reply it wants. It returns skip when the command is answered and shall have no
// effect. A kind reply is kept for the reply call that follows.
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

// refuses tells that the command shall have no effect.
func (a Action) refuses() bool { return a.Raw != "" || a.Code >= 400 }

// refuse gives a refusing action's reply.
func (s *session) refuse(a Action) error {
	if a.Raw != "" {
		s.out = append(s.out, a.Raw...)
		return nil
	}
	return s.reply(a.Code, a.Text)
}

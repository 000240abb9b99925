package providertest

import (
	"math/rand/v2"
	"net/http"
	"sync/atomic"
)

// Odds are probabilities between 0 and 1 of temporary faults. What happens depends only on Seed and
// on the numbers of the connection and the transaction, so a dialogue fails in the same way again.
type Odds struct {
	Seed      uint64
	Greeting  float64 // 421 instead of the greeting
	Mail      float64 // 451 to MAIL
	Rcpt      float64 // 450 to every RCPT of a message
	Final     float64 // 451 to a complete body
	DropBody  float64 // the connection is lost in the middle of a body
	DropFinal float64 // the connection is lost after the end of the body; the message is recorded
	Token     float64 // 503 from the token endpoint

	// IMAP and POP
	ReadGreeting float64 // BYE or -ERR instead of the greeting
	ReadLogin    float64 // [UNAVAILABLE] or [SYS/TEMP] instead of a login
	ReadDrop     float64 // the connection is lost instead of the response to a command
	ReadCut      float64 // the connection is lost in the middle of a message
}

// Faults returns hooks that fail with these probabilities.
func (o Odds) Faults() Faults {
	var requests atomic.Uint64
	return Faults{
		SMTP: o.smtp,
		IMAP: o.read,
		POP:  o.read,
		Token: func(*http.Request) TokenFault {
			if o.draw(requests.Add(1), 0, "token") < o.Token {
				return TokenFault{Status: http.StatusServiceUnavailable, Body: `{"error":"temporarily_unavailable"}`}
			}
			return TokenFault{}
		},
	}
}

// hit draws whether something happens at a step.
func (o Odds) hit(e Event, odds float64, lot string) bool {
	return odds > 0 && o.draw(uint64(e.Conn), uint64(e.Message), lot) < odds
}

// read decides for IMAP and POP.
func (o Odds) read(e Event) Action {
	busy, goodbye := Unavailable, "BYE Try again later"
	if e.Protocol == POP {
		busy, goodbye = "-ERR [SYS/TEMP] Try again later", "-ERR [SYS/TEMP] Try again later"
	}
	switch e.Step {
	case StepGreeting:
		if o.hit(e, o.ReadGreeting, e.Step) {
			return Action{Text: goodbye}
		}
	case StepAuth:
		if o.hit(e, o.ReadLogin, e.Step) {
			return Action{Text: busy}
		}
	case StepCommand:
		return Action{Drop: o.hit(e, o.ReadDrop, e.Step)}
	case StepLiteral:
		if o.hit(e, o.ReadCut, e.Step) {
			return Action{Cut: 1 + e.Bytes/2}
		}
	}
	return Action{}
}

func (o Odds) smtp(e Event) Action {
	hit := func(odds float64, lot string) bool { return o.hit(e, odds, lot) }
	switch e.Step {
	case StepGreeting:
		if hit(o.Greeting, e.Step) {
			return Action{Code: 421, Text: "4.3.2 Service not available, try again later"}
		}
	case StepMail:
		if hit(o.Mail, e.Step) {
			return Action{Code: 451, Text: "4.3.0 Sender refused by chance, try again later"}
		}
	case StepRcpt:
		if hit(o.Rcpt, e.Step) {
			return Action{Code: 450, Text: "4.2.1 Recipient refused by chance, try again later"}
		}
	case StepBody:
		return Action{Drop: hit(o.DropBody, e.Step)}
	case StepFinal:
		if hit(o.DropFinal, "drop") {
			return Action{Drop: true, Deliver: true}
		}
		if hit(o.Final, e.Step) {
			return Action{Code: 451, Text: "4.3.0 Message refused by chance, try again later"}
		}
	}
	return Action{}
}

// draw returns a number in [0,1), always the same for the same arguments.
func (o Odds) draw(a, b uint64, lot string) float64 {
	h := o.Seed
	for _, c := range []byte(lot) {
		h = (h ^ uint64(c)) * 0x100000001b3 // FNV-1a
	}
	return rand.New(rand.NewPCG(h, a<<24^b)).Float64()
}

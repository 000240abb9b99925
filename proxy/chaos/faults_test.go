//go:build linux

package chaos

import (
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// faults are what goes wrong at one provider and on the road to it.
type faults struct {
	seed   uint64
	number uint64 // the provider's
	tally  *tally
	calm   *atomic.Bool // nothing goes wrong

	noTokens atomic.Bool   // the token endpoint is down
	requests atomic.Uint64 // token requests so far
	message  [1 << 16]atomic.Int32
	fired    []atomic.Bool // by message: its fault has happened
}

// plan is what goes wrong with a message. Its number decides.
type plan struct {
	step, kind string
	once       bool // not when the message is sent again on another connection
}

var (
	messageSteps = []string{providertest.StepMail, providertest.StepRcpt, providertest.StepData, providertest.StepBody, providertest.StepFinal, providertest.StepFinal}
	stepKinds    = []string{"421", "4xx", "5xx", "drop", "hang", "slow", "noise"}
	finalKinds   = append([]string{"reply lost", "reply lost", "reply never sent", "noise for a reply"}, stepKinds...)
)

func (f *faults) plan(n int) (p plan) {
	r := stream(f.seed, "message", uint64(n))
	if r.IntN(100) >= 12 {
		return plan{}
	}
	p = plan{step: pick(r, messageSteps), once: r.IntN(2) == 0}
	p.kind = pick(r, stepKinds)
	if p.step == providertest.StepFinal {
		p.kind = pick(r, finalKinds)
	}
	return p
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// smtp is the provider's hook for SMTP dialogues.
func (f *faults) smtp(e providertest.Event) providertest.Action {
	n := &f.message[e.Conn&0xffff]
	if e.Step == providertest.StepMail {
		n.Store(int32(numberOf(e.Line)))
	}
	if f.calm.Load() {
		return providertest.Action{}
	}
	switch e.Step {
	case providertest.StepTLS, providertest.StepGreeting, providertest.StepEHLO, providertest.StepSTARTTLS, providertest.StepAuth:
		return f.connection(e)
	}
	if n := int(n.Load()); e.Message > 0 && n >= 0 && n < len(f.fired) {
		p := f.plan(n)
		if p.step == e.Step || p.step == providertest.StepData && e.Step == providertest.StepChunk {
			if p.once && f.fired[n].Swap(true) {
				return providertest.Action{}
			}
			f.tally.add("smtp " + p.step + ": " + p.kind)
			return action(p.kind)
		}
	}
	return providertest.Action{}
}

func action(kind string) (a providertest.Action) {
	switch kind {
	case "421":
		a.Code, a.Text = 421, "4.3.2 chaos: closing"
	case "4xx":
		a.Code, a.Text = 451, "4.3.0 chaos: try again later"
	case "5xx":
		a.Code, a.Text = 554, "5.3.0 chaos: refused for good"
	case "drop":
		a.Drop = true
	case "hang":
		a.Hang = true
	case "slow":
		a.Delay = 5 * time.Millisecond
	case "noise":
		a.Raw = "what?\r\n"
	case "reply lost":
		a.Drop, a.Deliver = true, true
	case "reply never sent":
		a.Hang, a.Deliver = true, true
	case "noise for a reply":
		a.Raw, a.Deliver = "what?\r\n", true
	}
	return a
}

var connectionKinds = map[string][]string{
	providertest.StepTLS:      {"expired certificate", "no handshake", "drop", "hang"},
	providertest.StepGreeting: {"421", "5xx", "drop", "hang", "slow", "noise"},
	providertest.StepEHLO:     {"421", "4xx", "5xx", "drop", "hang", "noise"},
	providertest.StepSTARTTLS: {"421", "4xx", "5xx", "drop", "hang", "noise"},
	providertest.StepAuth:     {"421", "4xx", "535", "334", "drop", "hang", "noise"},
}

// connection returns what goes wrong before the first message.
func (f *faults) connection(e providertest.Event) providertest.Action {
	r := stream(f.seed, e.Step, f.number, uint64(e.Conn))
	if r.IntN(100) >= 2 {
		return providertest.Action{}
	}
	kind := pick(r, connectionKinds[e.Step])
	f.tally.add("smtp " + e.Step + ": " + kind)
	switch kind {
	case "expired certificate":
		return providertest.Action{Expired: true}
	case "no handshake":
		return providertest.Action{Code: 554, Text: "5.3.0 chaos: no TLS"}
	case "535":
		return providertest.Action{Code: 535, Text: "5.7.8 chaos: bad credentials"}
	case "334":
		return providertest.Action{Code: 334, Text: `{"status":"401","schemes":"bearer"}`}
	}
	return action(kind)
}

// token is the provider's hook for the token endpoint.
func (f *faults) token(*http.Request) providertest.TokenFault {
	r := stream(f.seed, "token", f.number, f.requests.Add(1))
	switch {
	case f.calm.Load():
		return providertest.TokenFault{}
	case f.noTokens.Load():
		f.tally.add("token: endpoint down")
		return providertest.TokenFault{Drop: true}
	case r.IntN(100) >= 25:
		return providertest.TokenFault{}
	}
	kinds := []string{"503", "429 with Retry-After", "500 with a page", "drop", "hang", "not JSON", "cut off", "a redirect", "a megabyte", "no expires_in", "expires_in as text"}
	kind := pick(r, kinds)
	f.tally.add("token: " + kind)
	switch kind {
	case "503":
		return providertest.TokenFault{Status: 503, Body: `{"error":"temporarily_unavailable"}`}
	case "429 with Retry-After":
		return providertest.TokenFault{Status: 429, Header: http.Header{"Retry-After": {"1"}}, Body: `{}`}
	case "500 with a page":
		return providertest.TokenFault{Status: 500, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>oops</html>"}
	case "drop":
		return providertest.TokenFault{Drop: true}
	case "hang":
		return providertest.TokenFault{Hang: true}
	case "not JSON":
		return providertest.TokenFault{Status: 200, Body: "<html>log in to the hotel's network</html>"}
	case "cut off":
		return providertest.TokenFault{Status: 200, Header: http.Header{"Content-Length": {"500"}}, Body: `{"access_token":"x`}
	case "a redirect":
		return providertest.TokenFault{Status: 302, Header: http.Header{"Location": {"http://127.0.0.1:1/"}}}
	case "a megabyte":
		return providertest.TokenFault{Status: 200, Body: `{`, Pad: 1 << 20}
	case "no expires_in":
		return providertest.TokenFault{ExpiresIn: "-"}
	}
	return providertest.TokenFault{ExpiresIn: `"3"`}
}

// fate decides what happens to a connection on the road.
func (f *faults) fate(n uint64) fate {
	r := stream(f.seed, "road", f.number, n)
	if f.calm.Load() || r.IntN(100) >= 6 {
		return fate{}
	}
	out := fate{kind: pick(r, []string{"reset at once", "reset", "reset", "half-open", "drip"}), up: r.IntN(2) == 0}
	f.tally.add("network: " + out.kind)
	switch out.kind {
	case "reset at once":
		out.kind, out.up = "reset", true
	case "drip":
		out.at = 1 << 40
	default:
		out.at = r.Int64N(9000)
	}
	return out
}

// reads is the provider's hook for IMAP and POP dialogues. It never hangs: after a login, Waxseal waits as
// long as the mail program does.
func (f *faults) reads(e providertest.Event) providertest.Action {
	odds, kinds := 2, []string{"drop", "noise", "slow"}
	switch e.Step {
	case providertest.StepGreeting, providertest.StepAuth:
	case providertest.StepTLS:
		kinds = []string{"drop", "hang"}
	case providertest.StepCommand:
		kinds = []string{"drop", "slow", "noise"}
	case providertest.StepLiteral:
		odds, kinds = 6, []string{"drop", "cut", "cut", "cut", "slow"}
	}
	r := stream(f.seed, string(e.Protocol)+e.Step, f.number, uint64(e.Conn), uint64(e.Message))
	if f.calm.Load() || r.IntN(100) >= odds {
		return providertest.Action{}
	}
	kind := pick(r, kinds)
	f.tally.add(string(e.Protocol) + " " + e.Step + ": " + kind)
	if kind == "cut" {
		return providertest.Action{Cut: 1 + r.Int64N(max(1, e.Bytes))}
	}
	return action(kind)
}

// readingFate is fate for IMAP and POP. Half-open are only connections that have not logged in.
func (f *faults) readingFate(n uint64) fate {
	r := stream(f.seed, "reading road", f.number, n)
	if f.calm.Load() || r.IntN(100) >= 8 {
		return fate{}
	}
	out := fate{kind: pick(r, []string{"reset", "reset", "half-open", "drip"}), up: r.IntN(2) == 0}
	f.tally.add("network, reading: " + out.kind)
	switch out.kind {
	case "drip":
		out.at = 1 << 40
	case "half-open":
		out.at = r.Int64N(200) // within the handshake
	default:
		out.at = r.Int64N(30_000)
	}
	return out
}

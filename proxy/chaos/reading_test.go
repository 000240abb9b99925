//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// inboxSize is how many messages each account can read at the beginning.
const inboxSize = 20

// reading is what mail programs read, and how that goes.
type reading struct {
	visits atomic.Int64 // so far, which number them
	whole  atomic.Int64 // messages that were read to the end

	mu    sync.Mutex
	inbox map[string]int // messages by account
}

// letter is the message that has a UID, in the INBOX of every account. Most are small.
func (w *world) letter(uid int) []byte { return w.ledger.body(1_000_000 + uid) }

// deliver puts the next message into the INBOX of an account.
func (w *world) deliver(p *place, account string) {
	w.reading.mu.Lock()
	defer w.reading.mu.Unlock()
	w.inbox[account]++
	p.provider.Deliver(account, w.letter(w.inbox[account]))
}

func (w *world) arrived(account string) int {
	w.reading.mu.Lock()
	defer w.reading.mu.Unlock()
	return w.inbox[account]
}

// arrive is mail that comes from elsewhere. Those who wait for it with IDLE hear of it.
func (e *events) arrive() {
	for _, p := range e.places {
		for _, a := range p.accounts {
			if e.arrived(a) < 2*inboxSize {
				e.deliver(p, a)
			}
		}
	}
}

// endSessions is a provider that ends sessions, for maintenance or because a token has expired.
func (e *events) endSessions() {
	p := pick(e.rng, e.places)
	for _, a := range p.accounts {
		p.provider.End(providertest.IMAP, a, pick(e.rng, []providertest.Ending{providertest.ExchangeTokenEnd, providertest.GmailTokenEnd, {}}))
		p.provider.End(providertest.POP, a, providertest.Ending{})
	}
}

// startReading lets mail programs read until stop is called.
func (w *world) startReading() (stop func()) {
	var over atomic.Bool
	var running sync.WaitGroup
	for range readers {
		running.Go(func() {
			for !over.Load() {
				v := w.newVisit(int(w.visits.Add(1)))
				if err := v.read(); err != nil {
					w.fail("%+v: %v", v.visit, err)
				}
			}
		})
	}
	return func() { over.Store(true); running.Wait() }
}

// judgeReading checks whether enough has happened.
func (w *world) judgeReading(messages int) {
	w.t.Logf("%d visits to mailboxes, in which %d messages were read to the end", w.visits.Load(), w.whole.Load())
	if messages >= shortRun && w.whole.Load() < 200 {
		w.fail("only %d messages were read, which proves little", w.whole.Load())
	}
}

// readCalmly reads all mailboxes with each protocol and expects that to work. Breakers may still be open for a
// moment.
func (w *world) readCalmly() {
	var running sync.WaitGroup
	for _, p := range w.places {
		for _, a := range p.accounts {
			running.Go(func() { w.readOne(a) })
		}
	}
	running.Wait()
}

func (w *world) readOne(account string) {
	for _, p := range []api.Protocol{api.IMAP, api.POP} {
		w.eventually(fmt.Sprintf("%s of %s to be read", p, account), func() bool {
			v := w.newVisit(int(w.visits.Add(1)))
			v.visit = visit{number: v.number, account: account, protocol: p, messages: 5}
			err := v.read()
			if err != nil {
				w.fail("%+v: %v", v.visit, err)
			}
			return v.done == v.messages
		})
	}
}

// sessions are those that a provider has let in, of all protocols, as a server counts them.
func sessions(s api.Snapshot) (n int64) {
	for _, r := range s.Reading {
		n += r.Connections + r.Sessions
	}
	for _, a := range s.Accounts {
		for _, r := range a.Reading {
			n += r.Sessions
		}
	}
	return n
}

// errEnded is the end of a session that was somebody else's doing, after nothing wrong was said.
var errEnded = errors.New("ended")

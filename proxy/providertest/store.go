package providertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"sync"
	"time"
)

// Message is a message that the provider has accepted.
type Message struct {
	ID         string // part of the reply: "250 2.0.0 OK <id> queued as <id> - gsmtp"
	Account    string // the account that was logged in
	From       string // the reverse path as sent, without the angle brackets; "" is the null sender
	MailParams string // the rest of the MAIL line
	Rcpts      []Rcpt // the accepted recipients, in order
	Body       []byte // the bytes sent, without dot-stuffing; nil with DropBodies
	Size       int64  // octets in Body
	SHA256     string // of Body, in hexadecimal
	Time       time.Time
	TLS        bool // arrived over TLS
	Chunked    bool // arrived by BDAT
	Conn       int  // the connection's number, as in Event
}

// Rcpt is an accepted recipient.
type Rcpt struct {
	To     string // as sent, without the angle brackets
	Params string // the rest of the RCPT line
}

// store records the accepted messages.
type store struct {
	keepBodies, keep bool
	mailroom         *mailroom

	mu       sync.Mutex
	count    int64
	messages []Message
	changed  chan struct{} // closed at the next message, if somebody is waiting for it
}

func (st *store) init(o Options) {
	st.keep = !o.CountOnly
	st.keepBodies = st.keep && !o.DropBodies
}

// add gives the message its ID and records it.
func (st *store) add(m Message) (id string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.count++
	id = messageID(st.count)
	if st.keep {
		m.ID = id
		st.messages = append(st.messages, m)
		st.mailroom.arrived(m)
	}
	if st.changed != nil {
		close(st.changed)
		st.changed = nil
	}
	return id
}

func (st *store) total() int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.count
}

// messageID is short, unique within one provider, and unlike any number that a reply contains anyway.
func messageID(n int64) string {
	b := []byte("wx0000000000")
	for i := len(b) - 1; n > 0 && i > 1; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return string(b)
}

// Messages returns the accepted messages in the order in which they were accepted. The bodies are
// shared, so do not change them.
func (p *Provider) Messages() []Message {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	return slices.Clone(p.store.messages)
}

// Forget drops the messages recorded so far, for long runs. Counts and IDs continue.
func (p *Provider) Forget() {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	p.store.messages = nil
}

// Drain returns the messages recorded since the last Drain and drops them, for long runs that look
// at each message. Counts and IDs continue.
func (p *Provider) Drain() []Message {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	all := p.store.messages
	p.store.messages = nil
	return all
}

// WaitMessages waits until n messages have been accepted since the start, or until ctx ends.
func (p *Provider) WaitMessages(ctx context.Context, n int) error {
	for {
		p.store.mu.Lock()
		have := p.store.count
		if have >= int64(n) {
			p.store.mu.Unlock()
			return nil
		}
		if p.store.changed == nil {
			p.store.changed = make(chan struct{})
		}
		changed := p.store.changed
		p.store.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d messages, of which %d have arrived: %w", n, have, ctx.Err())
		case <-p.done:
			return fmt.Errorf("wait for %d messages, of which %d have arrived: the provider is closed", n, have)
		}
	}
}

// sink takes a body as it arrives. Beyond limit it only counts.
type sink struct {
	limit  int64
	bodies bool      // keep the bytes
	sum    hash.Hash // nil: no digest is needed
	n      int64
	body   []byte
}

// begin prepares the sink for a body of about size octets.
func (k *sink) begin(st *store, limit, size int64) {
	k.limit, k.bodies, k.n, k.body = limit, st.keepBodies, 0, nil
	if !st.keep {
		return
	}
	if k.sum == nil {
		k.sum = sha256.New()
	}
	k.sum.Reset()
	if k.bodies && size > 0 {
		k.body = make([]byte, 0, min(size, limit, 1<<20))
	}
}

func (k *sink) write(b []byte) {
	k.n += int64(len(b))
	if k.n > k.limit {
		k.body = nil
		return
	}
	if k.sum != nil {
		k.sum.Write(b)
	}
	if k.bodies {
		k.body = append(k.body, b...)
	}
}

func (k *sink) over() bool { return k.n > k.limit }

func (k *sink) digest() string {
	if k.sum == nil {
		return ""
	}
	return hex.EncodeToString(k.sum.Sum(nil))
}

//go:build linux

package chaos

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// outcome is what a mail program knows about a message at the end.
type outcome uint8

const (
	untried   outcome = iota // the program did not get that far
	accepted                 // 250
	refused                  // 4xx or 5xx, at any step
	uncertain                // 451 4.4.2: it may have been delivered
	left                     // the program disconnected before it had sent the whole message
	leftAfter                // the program disconnected without waiting for the reply
	cut                      // Waxseal was gone before it replied
	outcomes
)

var outcomeNames = [outcomes]string{"untried", "accepted", "refused", "uncertain", "left", "left after the end", "cut"}

// ledger has room for all messages from the start, so that it does not grow during the run. A
// message is identified by its number, which is part of its sender's address.
type ledger struct {
	seed    uint64
	size    int // messages of the run; those after it are sent while nothing fails
	outcome []outcome
	taken   []uint8 // recipients that the provider accepted, one bit each
	arrived []atomic.Uint32
}

func newLedger(seed uint64, size int) *ledger {
	all := size + 200
	return &ledger{seed: seed, size: size, outcome: make([]outcome, all), taken: make([]uint8, all), arrived: make([]atomic.Uint32, all)}
}

// stream is the source of all random choices about one thing. Each thing has its own, so that the
// choices do not depend on the order in which things happen.
func stream(seed uint64, what string, n ...uint64) *rand.Rand {
	h := seed
	mix := func(v uint64) { h = (h ^ v) * 0x9e3779b97f4a7c15; h ^= h >> 29 }
	for _, c := range []byte(what) {
		mix(uint64(c))
	}
	for _, v := range n {
		mix(v)
	}
	return rand.New(rand.NewPCG(seed, h))
}

func sender(n int) string { return fmt.Sprintf("m%d@chaos.test", n) }

// numberOf returns the number of a message by its sender's address, or by a line that contains one;
// -1 if there is none.
func numberOf(text string) int {
	n := -1
	if i := strings.Index(text, "m"); i >= 0 {
		if _, rest, ok := strings.Cut(text, "<"); ok {
			text = rest
		}
		if _, err := fmt.Sscanf(text, "m%d@", &n); err != nil {
			return -1
		}
	}
	return n
}

// recipients returns the recipients of a message.
func (l *ledger) recipients(n int) []string {
	all := make([]string, 1+stream(l.seed, "recipients", uint64(n)).IntN(3))
	for i := range all {
		all[i] = fmt.Sprintf("r%d.%d@there.test", n, i)
	}
	return all
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.\t "

// body makes the body of a message: all kinds of lines, many of which begin with dots. Most bodies
// are small; one in a thousand is a megabyte.
func (l *ledger) body(n int) []byte {
	r := stream(l.seed, "body", uint64(n))
	size := 100 + r.IntN(3000)
	switch lot := r.IntN(1000); {
	case lot == 0:
		size = 1 << 20
	case lot < 20:
		size = 20_000 + r.IntN(200_000)
	}
	b := fmt.Appendf(make([]byte, 0, size+200), "X-Chaos: %d\r\n\r\n", n)
	for len(b) < size {
		for range r.IntN(4) {
			b = append(b, '.')
		}
		for k := r.IntN(160); k > 0; k -= 10 {
			for v, i := r.Uint64(), 0; i < 10; i, v = i+1, v>>6 {
				b = append(b, letters[v&63])
			}
		}
		b = append(b, "\r\n"...)
	}
	return b
}

// receive records what arrived at a provider, and returns what is wrong with it.
func (l *ledger) receive(all []providertest.Message, accountOf func(n int) string) (wrong []string) {
	for _, m := range all {
		n := numberOf(m.From)
		if n < 0 || n >= len(l.outcome) {
			wrong = append(wrong, fmt.Sprintf("a message from %q arrived that nobody sent", m.From))
			continue
		}
		l.arrived[n].Add(1)
		sum := sha256.Sum256(l.body(n))
		switch {
		case m.SHA256 != hex.EncodeToString(sum[:]):
			wrong = append(wrong, fmt.Sprintf("message %d arrived changed, with %d bytes of %d", n, m.Size, len(l.body(n))))
		case m.Account != accountOf(n):
			wrong = append(wrong, fmt.Sprintf("message %d arrived from account %s, but %s sent it", n, m.Account, accountOf(n)))
		case l.outcome[n] == accepted:
			var want, got []string
			for i, to := range l.recipients(n) {
				if l.taken[n]&(1<<i) != 0 {
					want = append(want, to)
				}
			}
			for _, rcpt := range m.Rcpts {
				got = append(got, rcpt.To)
			}
			if !slices.Equal(got, want) {
				wrong = append(wrong, fmt.Sprintf("message %d arrived for %v, but was accepted for %v", n, got, want))
			}
		}
	}
	return wrong
}

// verdict is what became of the messages.
type verdict struct {
	counts                      [outcomes]int
	lost, duplicated, forbidden []int
	uncertainArrived            int
}

func (l *ledger) judge(upTo int) (v verdict) {
	for n := range upTo {
		o, arrived := l.outcome[n], l.arrived[n].Load()
		v.counts[o]++
		switch {
		case arrived > 1:
			v.duplicated = append(v.duplicated, n)
		case o == accepted && arrived == 0:
			v.lost = append(v.lost, n)
		case arrived == 1 && (o == refused || o == left || o == untried):
			v.forbidden = append(v.forbidden, n)
		case o == uncertain && arrived == 1:
			v.uncertainArrived++
		}
	}
	return v
}

// tally counts faults by kind.
type tally struct {
	mu sync.Mutex
	of map[string]int
}

func (t *tally) add(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of[kind]++
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	kinds := make([]string, 0, len(t.of))
	for k := range t.of {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	for _, k := range kinds {
		fmt.Fprintf(&b, "  %-32s %d\n", k, t.of[k])
	}
	return b.String()
}

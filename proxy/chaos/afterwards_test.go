//go:build linux

package chaos

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// level is what is in use while nothing happens.
type level struct {
	heap        uint64 // bytes
	goroutines  int
	descriptors int
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// eventually waits for a condition that other goroutines bring about.
func (w *failing) eventually(what string, condition func() bool) bool {
	for deadline := time.Now().Add(calmPatience); !condition(); {
		if time.Now().After(deadline) {
			w.fail("timed out waiting for: %s", what)
			return false
		}
		<-time.After(time.Millisecond)
	}
	return true
}

// rest waits until nothing is in progress any more, in the server or at the providers.
func (w *world) rest() {
	w.eventually("all gauges at 0", func() bool {
		s := w.server.Snapshot()
		return s.Clients == 0 && s.Messages == 0 && s.Upstream.Busy == 0 && s.Upstream.Dialling == 0 && sessions(s) == 0
	})
	w.server.Wake("the end of a third")
	w.eventually("no open connection to a provider", func() bool {
		n := w.server.Snapshot().Upstream.Warm
		for _, p := range w.places {
			c := p.provider.Counts()
			n += c.Active + c.IMAP.Active + c.POP.Active
		}
		return n == 0
	})
}

// slack is how many goroutines and descriptors the runtime and the system may add on their own.
const slack = 10

func (w *world) measure(before []level) (l level) {
	w.rest()
	w.collect()
	if len(before) > 1 {
		w.eventually("no more goroutines and descriptors than after the first third", func() bool {
			w.server.Wake("a token may have come late")
			return runtime.NumGoroutine() <= before[1].goroutines+slack && descriptors(w.t) <= before[1].descriptors+slack
		})
	}
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return level{m.HeapAlloc, runtime.NumGoroutine(), descriptors(w.t)}
}

// collect checks what has arrived.
func (w *world) collect() {
	of := accountOf(w.all)
	for _, p := range w.places {
		for _, wrong := range w.ledger.receive(p.provider.Drain(), of) {
			w.fail("%s", wrong)
		}
	}
}

// compare checks whether the thirds of a run leave something behind. The first tenth fills what is
// only filled once.
func (w *world) compare(levels []level) string {
	first, last := levels[1], levels[len(levels)-1]
	if last.heap > first.heap+first.heap/5+1<<20 {
		w.fail("the heap grew from %d KB to %d KB", first.heap>>10, last.heap>>10)
	}
	var b strings.Builder
	for _, l := range levels[1:] {
		fmt.Fprintf(&b, "%d KB of heap, %d goroutines, %d descriptors; ", l.heap>>10, l.goroutines, l.descriptors)
	}
	return b.String()
}

// afterwards checks that everything works again once nothing fails any more: with this server, and
// with one that starts from the files it leaves behind.
func (w *world) afterwards(messages int) {
	n := messages
	for round := range 2 {
		for _, p := range w.places {
			for _, account := range p.accounts {
				w.calmly(n, account)
				n++
			}
		}
		w.readCalmly()
		if round == 0 {
			w.shutdown()
			w.serve()
		}
	}
	w.rest()
}

// calmly sends one message and expects it to be accepted. Breakers may still be open for a moment.
func (w *world) calmly(n int, account string) {
	j := job{number: n, first: n, last: n + 1, account: account, door: "plain"}
	w.all = append(w.all, j)
	w.eventually(fmt.Sprintf("a message from %s to be accepted", account), func() bool {
		if err := w.send(&j); err != nil {
			w.fail("%v", err)
		}
		return w.ledger.outcome[n] == accepted
	})
}

func (w *world) judge(messages int) {
	w.collect()
	total := len(w.all)
	end := w.all[total-1].last
	v := w.ledger.judge(end)
	of := accountOf(w.all)
	tell := func(numbers []int, what string) {
		for _, n := range numbers {
			o := outcomeNames[w.ledger.outcome[n]]
			w.fail("message %d from %s %s; its outcome was %q, and its fault %+v", n, of(n), what, o, w.places[0].plan(n))
		}
	}
	tell(v.lost, "did not arrive")
	tell(v.duplicated, "arrived more than once")
	tell(v.forbidden, "arrived although it was not accepted")
	if v.counts[accepted] < messages/4 {
		w.fail("only %d of %d messages were accepted, which proves little", v.counts[accepted], messages)
	}
	if v.counts[uncertain] == 0 && messages >= shortRun {
		w.fail("no final reply was lost, which proves little")
	}
	text := fmt.Sprintf("lost %d, duplicated %d, arrived although refused %d, unknown %d (of which %d arrived)",
		len(v.lost), len(v.duplicated), len(v.forbidden), v.counts[uncertain], v.uncertainArrived)
	for o, n := range v.counts {
		text += fmt.Sprintf(", %s %d", outcomeNames[o], n)
	}
	w.t.Log(text)
}

// shutdown ends the server and compares its counts with the replies that programs got.
func (w *world) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), calmPatience)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		w.fail("shutdown: %v", err)
	}
	if err := <-w.served; err != nil {
		w.fail("Serve: %v", err)
	}
	s := w.server.Snapshot()
	if s.Clients != 0 || sessions(s) != 0 || s.Messages != 0 || s.Upstream.Dialling+s.Upstream.Warm+s.Upstream.Busy != 0 {
		w.fail("after the shutdown: %d connections, %d messages, upstream %+v", s.Clients, s.Messages, s.Upstream)
	}
	for _, a := range s.Accounts {
		if a.Connections != 0 || a.Messages != 0 || a.Upstream.Busy+a.Upstream.Warm+a.Upstream.Waiting != 0 {
			w.fail("after the shutdown: %+v", a)
		}
	}
	// The first server's counts include messages whose programs disconnected before the reply.
	if v := w.ledger.judge(w.ledger.size); w.first {
		w.first = false
		if got := s.Totals["unknown"]; got < int64(v.counts[uncertain]) {
			w.fail("the server counts %d unknown outcomes, and programs got %d such replies", got, v.counts[uncertain])
		}
		if got := s.Totals["sent"]; got < int64(v.counts[accepted]) {
			w.fail("the server counts %d sent messages, and programs got %d such replies", got, v.counts[accepted])
		}
	}
}

func (w *world) stop() {
	w.shutdown()
	for _, p := range w.places {
		if err := p.provider.Close(); err != nil {
			w.fail("%v", err)
		}
		for _, r := range p.roads {
			r.Close()
		}
	}
}

package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// way is one of the ways from a mail program to the provider.
type way struct {
	name  string
	addr  string
	local bool // Waxseal: plain text, local password; else STARTTLS and the token
	roots *x509.CertPool
	pid   int // of what stands between; 0: nothing does
}

// load is what the clients do.
type load struct {
	accounts   []account
	clients    int
	persistent bool // one connection for all messages, else one for each
	body       []byte
	lasting    time.Duration
}

// figure is what came of a load on one way.
type figure struct {
	perSecond float64 // messages
	cpu       float64 // seconds per 1,000 messages, of what stands between
	rss       int64   // bytes, of the same, at the end
}

// run puts the load on the way. Connections and accounts are warm when the
// clock starts: each client has sent one message before.
func (l load) run(w way) (figure, error) {
	var (
		ready, done sync.WaitGroup
		begin       = make(chan struct{})
		sent        atomic.Int64
		failed      atomic.Pointer[error]
		over        atomic.Bool
	)
	ready.Add(l.clients)
	for i := range l.clients {
		done.Go(func() {
			if err := l.client(w, i, &ready, begin, &sent, &over); err != nil {
				failed.CompareAndSwap(nil, &err)
				over.Store(true)
			}
		})
	}
	ready.Wait()
	cpu := cpuOf(w.pid)
	start := time.Now()
	timer := time.AfterFunc(l.lasting, func() { over.Store(true) })
	close(begin)
	done.Wait()
	timer.Stop()
	took := time.Since(start)
	if err := failed.Load(); err != nil {
		return figure{}, *err
	}
	n := float64(sent.Load())
	return figure{n / took.Seconds(), (cpuOf(w.pid) - cpu).Seconds() / n * 1000, rssOf(w.pid)}, nil
}

func (l load) client(w way, i int, ready *sync.WaitGroup, begin <-chan struct{}, sent *atomic.Int64, over *atomic.Bool) error {
	account := func(n int) account { return l.accounts[(i+n*l.clients)%len(l.accounts)] }
	a := account(0)
	c, err := w.dial(a)
	if err == nil {
		err = c.message(a.Address, l.body)
	}
	ready.Done()
	if err != nil {
		return err
	}
	if !l.persistent {
		c.quit()
	}
	<-begin
	for n := 1; !over.Load(); n++ {
		if !l.persistent {
			a = account(n)
			if c, err = w.dial(a); err != nil {
				return err
			}
		}
		if err := c.message(a.Address, l.body); err != nil {
			return err
		}
		sent.Add(1)
		if !l.persistent {
			c.quit()
		}
	}
	if l.persistent {
		c.quit()
	}
	return nil
}

// cpuOf is the CPU time of a process so far (proc(5), /proc/PID/stat fields 14
// and 15, in ticks of 10 ms).
func cpuOf(pid int) time.Duration {
	if pid == 0 {
		return 0
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rssOf is what a process has in memory, in bytes.
func rssOf(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseInt(fields[0], 10, 64)
	return kb << 10
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	return s[len(s)/2]
}

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

// route is one of the routes from a mail program to the provider.
type route struct {
	name  string
	addr  string
	local bool // through Waxseal: clear text and the local password; otherwise STARTTLS and the token
	clear bool // through haproxy: clear text and the token
	roots *x509.CertPool
	pid   int // of the process in between; 0 if there is none
}

// load describes what the clients do.
type load struct {
	accounts   []account
	clients    int
	persistent bool // one connection for all messages; otherwise one for each message
	body       []byte
	lasting    time.Duration
}

// figure is what one load on one route measured.
type figure struct {
	perSecond float64 // messages
	cpu       float64 // seconds per 1,000 messages, of the process in between
	rss       int64   // bytes, of the same process, at the end
}

// run puts the load on a route. Connections and accounts are warm when the clock
// starts, because each client has already sent one message.
func (l load) run(r route) (figure, error) {
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
			if err := l.client(r, i, &ready, begin, &sent, &over); err != nil {
				failed.CompareAndSwap(nil, &err)
				over.Store(true)
			}
		})
	}
	ready.Wait()
	cpu := cpuOf(r.pid)
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
	return figure{n / took.Seconds(), (cpuOf(r.pid) - cpu).Seconds() / n * 1000, rssOf(r.pid)}, nil
}

func (l load) client(r route, i int, ready *sync.WaitGroup, begin <-chan struct{}, sent *atomic.Int64, over *atomic.Bool) error {
	account := func(n int) account { return l.accounts[(i+n*l.clients)%len(l.accounts)] }
	a := account(0)
	c, err := r.dial(a)
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
			if c, err = r.dial(a); err != nil {
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

// cpuOf is the CPU time that a process has used so far (proc(5): fields 14 and 15 of
// /proc/PID/stat, in ticks of 10 ms).
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

// rssOf is a process's resident memory in bytes.
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

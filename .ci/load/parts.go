package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// stage is everything that takes part in a measurement: a provider with a given latency
// and the routes to it.
type stage struct {
	upstream  upstream
	waxseal   *waxseal
	routes    []route // direct, forwarder, waxseal
	processes []*peer
}

// set starts a stage with n accounts.
func (b *bench) set(latency time.Duration, n int) (*stage, error) { return b.setReading(latency, n, 0) }

// setReading starts a stage with n accounts, on which each can read a message of so many bytes. The routes
// lead to the provider's IMAP server; to the SMTP server if message is 0.
func (b *bench) setReading(latency time.Duration, n, message int) (s *stage, err error) {
	s = &stage{}
	defer func() {
		if err != nil {
			s.end()
		}
	}()
	up, err := start(&s.upstream, b.self, "-role", "upstream", "-latency", latency.String(), "-accounts", fmt.Sprint(n), "-message", fmt.Sprint(message))
	if err != nil {
		return s, err
	}
	s.processes = append(s.processes, up)
	to := cmp.Or(s.upstream.IMAP, s.upstream.SMTP)
	var at string
	f, err := start(&at, b.self, "-role", "forwarder", "-to", to)
	if err != nil {
		return s, err
	}
	s.processes = append(s.processes, f)
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return s, err
	}
	if s.waxseal, err = startWaxseal(b.bin, dir, s.upstream, ""); err != nil {
		return s, err
	}
	s.processes = append(s.processes, s.waxseal.peer)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.upstream.CA))
	s.routes = []route{
		{name: "direct", addr: to, roots: roots},
		{name: "forwarder", addr: at, roots: roots, pid: f.cmd.Process.Pid},
		{name: "Waxseal", addr: cmp.Or(s.waxseal.imap, s.waxseal.addr), local: true, pid: s.waxseal.cmd.Process.Pid},
	}
	return s, nil
}

func (s *stage) end() {
	for _, p := range slices.Backward(s.processes) {
		p.end()
	}
}

// tokens gets each account the access token it needs to send directly.
func (s *stage) tokens() error {
	for i := range s.upstream.Accounts {
		if err := s.upstream.Accounts[i].refresh(s.upstream.TokenURL); err != nil {
			return err
		}
	}
	return nil
}

// throughput compares the routes with 20 accounts and one client for each.
func (b *bench) throughput() error {
	const small, large, huge = 10 << 10, 1 << 20, 25 << 20
	for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
		s, err := b.set(latency, 20)
		if err != nil {
			return err
		}
		err = func() error {
			defer s.end()
			if err := s.tokens(); err != nil {
				return err
			}
			rtt := "no delay"
			if latency > 0 {
				rtt = latency.String() + " round trip"
			}
			persistent, err := b.compare(s, load{clients: 20, persistent: true, body: body(small)})
			if err != nil {
				return err
			}
			each, err := b.compare(s, load{clients: 20, body: body(small)})
			if err != nil {
				return err
			}
			if latency > 0 {
				b.add(persistent.result("persistent connections, 10 KiB, "+rtt+", compared with direct", "direct", 1.9))
				b.add(each.result("a connection per message, 10 KiB, "+rtt+", compared with direct", "direct", 4))
				return nil
			}
			b.add(persistent.result("persistent connections, 10 KiB, "+rtt+", compared with the forwarder", "forwarder", 1))
			b.add(persistent.cpu("CPU per message in that case, compared with the forwarder", 1.5))
			b.add(each.result("a connection per message, 10 KiB, "+rtt+", compared with direct", "direct", 1.2))
			for _, size := range []int{large, huge} {
				c, err := b.compare(s, load{clients: 20, persistent: true, body: body(size)})
				if err != nil {
					return err
				}
				b.add(c.bytes(fmt.Sprintf("%d MiB bodies, compared with the forwarder", size>>20), size))
				grown := float64(c.rss["Waxseal"]-persistent.rss["Waxseal"]) / (1 << 20)
				b.add(result{what: fmt.Sprintf("extra memory for %d MiB bodies, MB", size>>20), ratio: grown, limit: 4, atMost: true,
					got: fmt.Sprintf("%d MB; with 10 KiB bodies %d MB", c.rss["Waxseal"]>>20, persistent.rss["Waxseal"]>>20)})
			}
			return nil
		}()
		if err != nil {
			return err
		}
	}
	return nil
}

// comparison is what each route achieved, by its name.
type comparison struct {
	perSecond, cpuEach map[string][]float64
	rss                map[string]int64
}

// compare runs a load on each route in turn, once per round.
func (b *bench) compare(s *stage, l load) (comparison, error) {
	l.accounts, l.lasting = s.upstream.Accounts, b.lasting
	c := comparison{map[string][]float64{}, map[string][]float64{}, map[string]int64{}}
	for range b.rounds {
		for _, w := range s.routes {
			f, err := l.run(w)
			if err != nil {
				return c, err
			}
			c.perSecond[w.name] = append(c.perSecond[w.name], f.perSecond)
			c.cpuEach[w.name] = append(c.cpuEach[w.name], f.cpu)
			c.rss[w.name] = f.rss
		}
	}
	return c, nil
}

// ratio is the median of the rounds' ratios. The two figures of a round are measured
// one after the other, so a slow moment slows both.
func ratio(a, b []float64) float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return median(r)
}

func (c comparison) result(what, to string, limit float64) result {
	return result{what: what, ratio: ratio(c.perSecond["Waxseal"], c.perSecond[to]), limit: limit,
		got: fmt.Sprintf("messages/s: direct %.0f, forwarder %.0f, Waxseal %.0f", median(c.perSecond["direct"]), median(c.perSecond["forwarder"]), median(c.perSecond["Waxseal"]))}
}

func (c comparison) cpu(what string, limit float64) result {
	return result{what: what, ratio: ratio(c.cpuEach["Waxseal"], c.cpuEach["forwarder"]), limit: limit, atMost: true,
		got: fmt.Sprintf("CPU s per 1,000 messages: forwarder %.3f, Waxseal %.3f", median(c.cpuEach["forwarder"]), median(c.cpuEach["Waxseal"]))}
}

func (c comparison) bytes(what string, size int) result {
	r := c.result(what, "forwarder", 1)
	mb := func(name string) float64 { return median(c.perSecond[name]) * float64(size) / 1e6 }
	r.got = fmt.Sprintf("MB/s: direct %.0f, forwarder %.0f, Waxseal %.0f", mb("direct"), mb("forwarder"), mb("Waxseal"))
	return r
}

// idle measures the memory of 5,000 clients on 1,000 accounts that have logged in and
// do nothing, after the last connection to the provider has been closed. The clients
// connect twice, so that what an account keeps after its first use is not counted.
func (b *bench) idle() error {
	const accounts, clients = 1000, 5000
	empty, err := b.set(0, 0)
	if err != nil {
		return err
	}
	bare := atRest(empty.routes[2].pid)
	empty.end()
	b.add(result{what: "memory of an idle `serve`, MB", ratio: bare / 1e6, limit: 25, atMost: true, got: "headless program, no account"})
	s, err := b.set(0, accounts)
	if err != nil {
		return err
	}
	defer s.end()
	w := s.routes[2]
	if _, err := s.crowd(w, clients, func() error { return nil }); err != nil {
		return err
	}
	base := atRest(w.pid)
	var full float64
	st, err := s.crowd(w, clients, func() error { full = atRest(w.pid); return nil })
	if err != nil {
		return err
	}
	if st.Connections != clients {
		return fmt.Errorf("waxseal status counts %d connections, want %d", st.Connections, clients)
	}
	b.add(result{what: "memory per idle client, with 5,000 of them, kB", ratio: (full - base) / clients / 1000, limit: 20, atMost: true,
		got: fmt.Sprintf("%.0f MB with 1,000 accounts, %.0f MB with the clients; the gauge shows %d, connections to the provider %d", base/1e6, full/1e6, st.Connections, st.Upstream.Warm+st.Upstream.Busy)})
	return nil
}

// crowd logs clients in, to each account in turn, waits until all connections to the
// provider are closed, calls then, and returns the status from just before that.
func (s *stage) crowd(w route, clients int, then func() error) (st status, err error) {
	var open []*client
	defer func() {
		for _, c := range open {
			c.conn.Close()
		}
	}()
	for i := range clients {
		c, err := w.dial(s.upstream.Accounts[i%len(s.upstream.Accounts)])
		if err != nil {
			return st, err
		}
		open = append(open, c)
	}
	for deadline := time.Now().Add(3 * patience); ; time.Sleep(time.Second) {
		if err := s.waxseal.run(&st, "status"); err != nil {
			return st, err
		}
		if st.Upstream.Warm+st.Upstream.Busy == 0 {
			return st, then()
		}
		if time.Now().After(deadline) {
			return st, fmt.Errorf("%d warm and %d busy connections to the provider are still open", st.Upstream.Warm, st.Upstream.Busy)
		}
	}
}

// atRest is a process's memory in bytes once it has released what it no longer needs.
// That may take a minute, so it is the lowest value within a little more than that.
func atRest(pid int) float64 {
	least := rssOf(pid)
	for range 70 {
		time.Sleep(time.Second)
		least = min(least, rssOf(pid))
	}
	return float64(least)
}

// status is part of the output of `waxseal status --json`.
type status struct {
	Connections int64 `json:"smtp_connections_active"`
	Upstream    struct {
		Warm int64 `json:"warm"`
		Busy int64 `json:"busy"`
	} `json:"upstream_connections"`
	Reading []gauges `json:"reading"`
}

// gauges are those of a protocol for reading.
type gauges struct {
	Protocol string `json:"protocol"`
	Sessions int64  `json:"sessions"`
	Spares   int64  `json:"spares"`
}

func (s status) imap() (g gauges) {
	for _, g = range s.Reading {
		if g.Protocol == "imap" {
			break
		}
	}
	return g
}

// breaker measures how quickly AUTH gets its reply while the breaker is open because
// nothing listens at the token endpoint.
func (b *bench) breaker() error {
	const clients, asks = 100, 20
	var u upstream
	up, err := start(&u, b.self, "-role", "upstream", "-accounts", "20")
	if err != nil {
		return err
	}
	defer up.end()
	closed, err := freePort()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return err
	}
	w, err := startWaxseal(b.bin, dir, u, "http://"+closed+"/token")
	if err != nil {
		return err
	}
	defer w.end()
	at := route{name: "Waxseal", addr: w.addr, local: true}
	// Each client stays connected and asks ten times a second. Asking more often would
	// measure how long a hundred simultaneous replies take.
	const pause = 100 * time.Millisecond
	ask := func(c *client, i int) (time.Duration, error) {
		start := time.Now()
		err := c.authenticate(at, u.Accounts[i%len(u.Accounts)])
		took := time.Since(start)
		if err == nil || !strings.Contains(err.Error(), "454") {
			return 0, fmt.Errorf("AUTH with the token endpoint down: %v", err)
		}
		return took, nil
	}
	connect := func() (*client, error) {
		conn, err := net.Dial("tcp", at.addr)
		if err != nil {
			return nil, err
		}
		c := newClient(conn)
		return c, c.hello()
	}
	took := make([][]time.Duration, clients)
	errs := make([]error, clients)
	var all sync.WaitGroup
	first, err := connect()
	if err != nil {
		return err
	}
	for i := range 6 { // five failures open the breaker
		if _, err := ask(first, i); err != nil {
			return err
		}
	}
	for i := range clients {
		all.Go(func() {
			time.Sleep(pause * time.Duration(i) / clients)
			c, err := connect()
			for n := 0; n < asks && err == nil; n++ {
				var d time.Duration
				d, err = ask(c, i+n)
				took[i] = append(took[i], d)
				time.Sleep(pause)
			}
			errs[i] = err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	times := slices.Sorted(slices.Values(slices.Concat(took...)))
	p99 := times[len(times)*99/100]
	b.add(result{what: "AUTH while the breaker is open, 99th percentile, ms", ratio: p99.Seconds() * 1000, limit: 1, atMost: true,
		got: fmt.Sprintf("%d clients, each asking every 100 ms; %d answers, median %.2f ms", clients, len(times), times[len(times)/2].Seconds()*1000)})
	return nil
}

// scale compares few connections or accounts with many. It also measures sending
// directly, because the mail programs and the provider run on this machine too, and
// their own cache misses slow them down.
func (b *bench) scale() error {
	s, err := b.set(0, 1000)
	if err != nil {
		return err
	}
	defer s.end()
	if err := s.tokens(); err != nil {
		return err
	}
	direct, waxseal := s.routes[0], s.routes[2]
	run := func(w route, accounts, clients int) (figure, error) {
		return load{accounts: s.upstream.Accounts[:accounts], clients: clients, persistent: clients == accounts, body: body(10 << 10), lasting: b.lasting}.run(w)
	}
	// An account's first message connects to the provider; that must not be measured.
	if _, err := run(waxseal, 1000, 1000); err != nil {
		return err
	}
	for _, c := range []struct {
		what                     string
		few, many, fewAt, manyAt int
	}{
		{"1,000 connections compared with 10", 10, 1000, 10, 1000},
		{"1,000 accounts compared with 10, a connection per message", 10, 1000, 9, 9},
	} {
		var few, many, own, cpuFew, cpuMany []float64
		var figures [4]figure
		for range b.rounds {
			for i, r := range []struct {
				w                 route
				accounts, clients int
			}{{waxseal, c.few, c.fewAt}, {waxseal, c.many, c.manyAt}, {direct, c.few, c.fewAt}, {direct, c.many, c.manyAt}} {
				if figures[i], err = run(r.w, r.accounts, r.clients); err != nil {
					return err
				}
			}
			few, many = append(few, figures[0].perSecond), append(many, figures[1].perSecond)
			own = append(own, figures[3].perSecond/figures[2].perSecond)
			cpuFew, cpuMany = append(cpuFew, figures[0].cpu), append(cpuMany, figures[1].cpu)
		}
		b.add(result{what: c.what, ratio: ratio(many, few), limit: 0.8, got: fmt.Sprintf("messages/s: %.0f with 10, %.0f with 1,000; CPU s per 1,000 messages: %.3f, %.3f; ratio when sent directly: %.2f",
			median(few), median(many), median(cpuFew), median(cpuMany), median(own))})
	}
	return nil
}

// starting measures the time from the start of `waxseal serve` until it accepts a
// connection, with 1,000 accounts in the encrypted file.
func (b *bench) starting() error {
	var u upstream
	up, err := start(&u, b.self, "-role", "upstream", "-accounts", "1000")
	if err != nil {
		return err
	}
	defer up.end()
	dir := filepath.Join(b.dir, "start")
	os.Setenv("WAXSEAL_KEYSTORE", "file")
	os.Setenv("WAXSEAL_KEYSTORE_PASSPHRASE", "bench")
	defer os.Unsetenv("WAXSEAL_KEYSTORE")
	defer os.Unsetenv("WAXSEAL_KEYSTORE_PASSPHRASE")
	w, err := startWaxseal(b.bin, dir, u, "")
	if err != nil {
		return err
	}
	w.end()
	var all []float64
	for range max(b.rounds, 3) {
		began := time.Now()
		p, err := start(nil, b.bin, "serve", "--config", w.config, "--log-level", "error")
		if err != nil {
			return err
		}
		w.peer = p
		err = w.await()
		all = append(all, time.Since(began).Seconds()*1000)
		p.end()
		if err != nil {
			return err
		}
	}
	b.add(result{what: "start with 1,000 accounts until mail is accepted, ms", ratio: median(all), limit: 150, atMost: true, got: "secrets in the encrypted file"})
	return nil
}

package main

import (
	"fmt"
	"math"
	"slices"
	"syscall"
	"time"
)

// fetching compares the routes with one mail program that fetches a message of 1 GB.
func (b *bench) fetching() error {
	const size = 1e9
	s, err := b.setReading(0, 1, size)
	if err != nil {
		return err
	}
	defer s.end()
	if err := s.tokens(); err != nil {
		return err
	}
	if err := s.haproxy(b.dir); err != nil {
		return err
	}
	perSecond, cpu := map[string][]float64{}, map[string][]float64{}
	for range b.rounds {
		for _, r := range s.routes {
			took, used, err := s.fetched(r)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			perSecond[r.name], cpu[r.name] = append(perSecond[r.name], size/took.Seconds()), append(cpu[r.name], used.Seconds())
		}
	}
	figures := func(of map[string][]float64, format string, unit float64) string {
		text := ""
		for i, r := range s.routes {
			if i > 0 {
				text += ", "
			}
			text += r.name + " " + fmt.Sprintf(format, median(of[r.name])/unit)
		}
		return text
	}
	for _, against := range []struct {
		name  string
		limit float64
	}{{"the forwarder", 1}, {"haproxy", 1}, {"direct", 0.85}} {
		name := against.name
		if name == "the forwarder" {
			name = "forwarder"
		}
		if perSecond[name] == nil {
			continue
		}
		b.add(result{what: "FETCH of 1 GB, compared with " + against.name, ratio: ratio(perSecond["Waxseal"], perSecond[name]), limit: against.limit,
			got: "MB/s: " + figures(perSecond, "%.0f", 1e6)})
	}
	b.add(result{what: "CPU of mail program and proxy in that case, compared with direct", ratio: ratio(cpu["Waxseal"], cpu["direct"]), limit: 1.1, atMost: true,
		got: "CPU s: " + figures(cpu, "%.2f", 1)})
	return b.slowly(s)
}

// fetched measures one fetch over a route: how long it took, and the CPU time of this process, which plays
// the mail program, and of the one in between.
func (s *stage) fetched(r route) (took, cpu time.Duration, err error) {
	c, err := r.open(s.upstream.Accounts[0], 64<<10)
	if err != nil {
		return 0, 0, err
	}
	defer c.logout()
	cpu, start := ownCPU()+cpuOf(r.pid), time.Now()
	_, err = c.fetch(nil)
	return time.Since(start), ownCPU() + cpuOf(r.pid) - cpu, err
}

// slowly watches the memory of Waxseal while a mail program takes ten seconds for 1 GB.
func (b *bench) slowly(s *stage) error {
	w := s.routes[2]
	c, err := w.open(s.upstream.Accounts[0], 64<<10)
	if err != nil {
		return err
	}
	defer c.logout()
	time.Sleep(time.Second)
	before := rssOf(w.pid)
	most, start, read := before, time.Now(), 0
	_, err = c.fetch(func() {
		if read += c.r.Size(); read%(16<<20) == 0 {
			most = max(most, rssOf(w.pid))
			time.Sleep(time.Until(start.Add(time.Duration(read/100) * time.Microsecond)))
		}
	})
	if err != nil {
		return err
	}
	b.add(result{what: "extra memory while 1 GB goes to a slow reader, MB", ratio: float64(most-before) / (1 << 20), limit: 4, atMost: true,
		got: fmt.Sprintf("%d MB before, %d MB at most; %.0f MB/s", before>>20, most>>20, 1e3/time.Since(start).Seconds())})
	return nil
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

func ownCPU() time.Duration {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// loggingIn measures how long a mail program waits for its login, 20 ms from the provider: an account's first
// one, and one for which a connection is kept ready.
func (b *bench) loggingIn() error {
	const latency, accounts = 20 * time.Millisecond, 20
	s, err := b.setReading(latency, accounts, 1000)
	if err != nil {
		return err
	}
	defer s.end()
	if err := s.tokens(); err != nil {
		return err
	}
	direct, waxseal := s.routes[0], s.routes[2]
	var cold [2][]float64 // ms
	for _, a := range s.upstream.Accounts {
		for i, r := range []route{direct, waxseal} {
			start := time.Now()
			c, err := r.reach(1 << 10)
			if err == nil {
				err = c.login(r, a)
			}
			if err != nil {
				return err
			}
			cold[i] = append(cold[i], ms(time.Since(start)))
			c.logout()
		}
	}
	trips := func(v []float64) float64 { return math.Round(median(v) / ms(latency)) }
	b.add(result{what: "round trips of a cold login, compared with direct", ratio: trips(cold[1]) / trips(cold[0]), limit: 1, atMost: true,
		got: fmt.Sprintf("from connecting to the OK, 20 ms from the provider: direct %.0f (%.1f ms), Waxseal %.0f (%.1f ms)", trips(cold[0]), median(cold[0]), trips(cold[1]), median(cold[1]))})
	var ready []float64
	for n, a := range s.upstream.Accounts {
		took, err := s.withSpare(waxseal, a, int64(n))
		if err != nil {
			return err
		}
		ready = append(ready, ms(took))
	}
	b.add(result{what: "login with a spare connection, 20 ms from the provider, ms", ratio: median(ready), limit: 5, atMost: true,
		got: fmt.Sprintf("%d logins, longest %.2f ms", len(ready), slices.Max(ready))})
	return nil
}

// withSpare logs in twice, so that a connection is kept ready for the third time, and measures that. Others
// have so many spares already.
func (s *stage) withSpare(r route, a account, others int64) (time.Duration, error) {
	for range 2 {
		c, err := r.open(a, 1<<10)
		if err != nil {
			return 0, err
		}
		c.logout()
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var st status
		if err := s.waxseal.run(&st, "status"); err != nil {
			return 0, err
		}
		if st.imap().Spares > others {
			break
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("there is no spare connection for %s", a.Address)
		}
	}
	c, err := r.reach(1 << 10)
	if err != nil {
		return 0, err
	}
	defer c.logout()
	start := time.Now()
	err = c.login(r, a)
	return time.Since(start), err
}

// sessions measures what 1,000 IDLE sessions of 50 accounts cost. Each account has more of them than half its
// provider's limit, so no spare connections are counted.
func (b *bench) sessions() error {
	const accounts, sessions, message = 50, 1000, 100_000
	s, err := b.setReading(0, accounts, message)
	if err != nil {
		return err
	}
	defer s.end()
	w := s.routes[2]
	for _, a := range s.upstream.Accounts { // what an account keeps is not counted
		c, err := w.open(a, 1<<10)
		if err != nil {
			return err
		}
		c.logout()
	}
	base := atRest(w.pid)
	for _, test := range []struct {
		what  string
		fetch bool
		limit float64
	}{{"memory per IDLE session, with 1,000 of them, kB", false, 30}, {"memory per IDLE session after a fetch of 100 kB, kB", true, 60}} {
		var full, core float64
		err := s.idling(w, sessions, test.fetch, func() {
			cpu, start := cpuOf(w.pid), time.Now()
			full = atRest(w.pid)
			core = (cpuOf(w.pid) - cpu).Seconds() / time.Since(start).Seconds() * 100
		})
		if err != nil {
			return err
		}
		b.add(result{what: test.what, ratio: (full - base) / sessions / 1000, limit: test.limit, atMost: true,
			got: fmt.Sprintf("%.0f MB with %d accounts, %.0f MB with the sessions", base/1e6, accounts, full/1e6)})
		if !test.fetch {
			b.add(result{what: "CPU of those 1,000 sessions, % of a core", ratio: core, limit: 0.2, atMost: true, got: "in 70 seconds"})
		}
	}
	return nil
}

// idling opens sessions, to each account in turn, and calls then while they wait for news.
func (s *stage) idling(w route, sessions int, fetch bool, then func()) error {
	var open []*reader
	defer func() {
		for _, c := range open {
			c.conn.Close()
		}
	}()
	for i := range sessions {
		c, err := w.open(s.upstream.Accounts[i%len(s.upstream.Accounts)], 1<<10)
		if err != nil {
			return err
		}
		open = append(open, c)
		if fetch {
			_, err = c.fetch(nil)
		}
		if err == nil {
			err = c.idle()
		}
		if err != nil {
			return err
		}
	}
	var st status
	if err := s.waxseal.run(&st, "status"); err != nil {
		return err
	}
	if r := st.imap(); r.Sessions != int64(sessions) || r.Spares > 0 {
		return fmt.Errorf("waxseal status counts %d sessions and %d spares, want %d and none", r.Sessions, r.Spares, sessions)
	}
	then()
	return nil
}

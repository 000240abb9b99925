// Command load measures what a message costs when it is sent or read through Waxseal,
// compared with the same message directly and through a plain TCP forwarder. It measures
// all of them in one run and reports ratios, so the machine's speed matters little.
// Reading is compared with haproxy too, where that is installed.
//
// The provider, the forwarder and the real `waxseal serve` run as separate
// processes; this one plays the mail programs. Everything runs on 127.0.0.1, is
// limited in number and time, and ends with the run. With -write it writes its
// results to docs/performance.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	role := flag.String("role", "", "play a part in the run: upstream or forwarder")
	latency := flag.Duration("latency", 0, "round-trip time to the upstream")
	accounts := flag.Int("accounts", 20, "how many accounts the upstream has")
	message := flag.Int("message", 0, "how many bytes the message has that each account can read; 0: there is none")
	to := flag.String("to", "", "the address that the forwarder connects to")
	var b bench
	flag.StringVar(&b.bin, "waxseal", "bin/waxseal", "the program to measure")
	flag.DurationVar(&b.lasting, "time", 3*time.Second, "how long each figure is measured")
	flag.IntVar(&b.rounds, "rounds", 3, "how often each figure is measured; the median counts")
	flag.StringVar(&b.only, "only", "", "measure only this `PART`: sending (throughput, idle, breaker, scale, start) or reading (fetch, login, sessions), or one of those in it")
	write := flag.String("write", "", "write the report to `FILE`, between the marks of each table")
	flag.Parse()
	var err error
	switch *role {
	case "upstream":
		err = serveUpstream(*latency, *accounts, *message)
	case "forwarder":
		err = serveForwarder(*to)
	default:
		err = b.run(*write)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	bin     string
	lasting time.Duration
	rounds  int
	only    string

	self, dir string // this program's path, and a folder for the run
	table     string // that is being measured
	results   map[string][]result
}

// The tables of the report.
const sending, reading = "sending", "reading"

// result is one line of the report.
type result struct {
	what   string
	got    string // the figures
	ratio  float64
	limit  float64 // what the ratio must reach or, with atMost, must not exceed
	atMost bool
}

func (r result) ok() bool { return r.atMost == (r.ratio <= r.limit) || r.ratio == r.limit }

func (b *bench) run(write string) (err error) {
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "waxseal-load-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.results = map[string][]result{}
	for _, part := range []struct {
		table, name string
		measure     func() error
	}{
		{sending, "throughput", b.throughput}, {sending, "idle", b.idle}, {sending, "breaker", b.breaker}, {sending, "scale", b.scale}, {sending, "start", b.starting},
		{reading, "fetch", b.fetching}, {reading, "login", b.loggingIn}, {reading, "sessions", b.sessions},
	} {
		if b.only != "" && b.only != part.name && b.only != part.table {
			continue
		}
		b.table = part.table
		if err := part.measure(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if write == "" {
		return nil
	}
	return b.write(write)
}

// add prints a result at once and keeps it for the table.
func (b *bench) add(r result) {
	b.results[b.table] = append(b.results[b.table], r)
	fmt.Println(r)
}

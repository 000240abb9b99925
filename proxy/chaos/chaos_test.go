//go:build linux

package chaos

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/providertest"
)

const (
	password     = "local-password-1"
	shortRun     = 2000 // messages
	programs     = 64   // at the same time
	readers      = 6    // of them in addition
	everySoMany  = 60   // messages, an event happens
	calmPatience = 20 * time.Second
)

func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		os.Unsetenv(name)
	}
	if args := withoutLog(os.Args[1:]); len(args) < len(os.Args[1:]) {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if cmd.Run() != nil {
			os.Exit(1)
		}
		return
	}
	m.Run()
}

// withoutLog removes the flag with which go test makes a test record the files it opens: the
// simulated full disk would break that file too.
func withoutLog(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "-test.testlogfile") })
}

// place is one provider and the road to it.
type place struct {
	faults
	id, domain, host string
	provider         *providertest.Provider
	roads            []*road
	accounts         []string // permanent
	guests           []string // added and removed during the run
}

// world is a running server and everything around it.
type world struct {
	failing
	dir     string
	config  string // path
	secrets *keystore.Store
	server  *proxy.Server
	served  chan error
	site
	names   *names
	places  []*place
	senders []string // all accounts, including guests
	calm    atomic.Bool
	log     *tail
	clock   providertest.Clock

	reading
	all    []job
	first  bool // this is the first server, not the one started after the run
	guests map[string]*guest
}

// failing reports failures with the seed, and stops printing after the first 20.
type failing struct {
	t    *testing.T
	seed uint64

	mu       sync.Mutex
	failures int
}

func (w *failing) fail(format string, args ...any) {
	w.mu.Lock()
	w.failures++
	n := w.failures
	w.mu.Unlock()
	if n <= 20 {
		w.t.Errorf("seed %d: "+format, append([]any{w.seed}, args...)...)
	}
}

func number(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED: chaos, which takes a while")
	}
	seed, messages := number("SEED", rand.Uint64N(1e9)), int(number("MESSAGES", shortRun))
	t.Logf("SEED=%d MESSAGES=%d", seed, messages)
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close() // makes the runtime open what it opens only once
	}
	before := descriptors(t)
	leaks := goleak.IgnoreCurrent()
	began := time.Now()

	w := newWorld(t, seed, messages)
	w.all = newJobs(seed, messages, w.senders)
	held := w.run(w.all, messages)
	w.judgeReading(messages)
	w.afterwards(messages)
	w.judge(messages)
	w.stop()

	if err := goleak.Find(leaks); err != nil {
		w.fail("%v", err)
	}
	w.eventually(fmt.Sprintf("no more than the %d descriptors that were open before the run", before), func() bool { return descriptors(t) <= before })
	if t.Failed() {
		t.Logf("the end of the log:\n%s", w.log)
	}
	t.Logf("%v for %d messages; in use after each third: %s", time.Since(began).Round(time.Second), messages, held)
	t.Logf("faults:\n%s", w.tally)
}

// newWorld starts four different providers, and a server that uses them.
func newWorld(t *testing.T, seed uint64, messages int) *world {
	w := &world{
		failing: failing{t: t, seed: seed}, dir: t.TempDir(), secrets: keystore.Memory(), served: make(chan error, 1),
		names: &names{fault: map[string]string{}}, log: &tail{}, first: true, guests: map[string]*guest{},
	}
	w.inbox = map[string]int{}
	w.site = site{ledger: newLedger(seed, messages), tally: &tally{of: map[string]int{}}, during: w.during}
	w.config = filepath.Join(w.dir, "config.toml")
	was := net.DefaultResolver
	net.DefaultResolver = w.names.resolver()
	t.Cleanup(func() { net.DefaultResolver = was })
	text := "metrics = \"\"\n"
	for _, key := range []string{"listen", "listen_tls", "listen_imap", "listen_imap_tls", "listen_pop", "listen_pop_tls"} {
		text += key + " = [\"127.0.0.1:0\"]\n"
	}
	fired := make([]atomic.Bool, messages)
	for i, o := range []providertest.Options{
		{Rotate: true, TokenTTL: 4 * time.Second, IMAP: providertest.Manners{TokenEnd: &providertest.GmailTokenEnd}},
		{NoChunking: true, TokenTTL: 3 * time.Second, Rotate: true},
		{NoPipelining: true, NoChunking: true, MaxConnections: 2},
		{TokenTTL: 5 * time.Second, IMAP: providertest.Manners{TokenEnd: &providertest.ExchangeTokenEnd}},
	} {
		text += w.open(i, o, fired)
	}
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.calm.Store(true)
	w.serve()
	for _, p := range w.places {
		for _, a := range append(p.guests[:1:1], p.accounts...) {
			if err := w.imports(p, a); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

// open starts provider i and returns its entry in the configuration.
func (w *world) open(i int, o providertest.Options, fired []atomic.Bool) string {
	p := &place{id: fmt.Sprintf("p%d", i), domain: fmt.Sprintf("p%d.test", i), host: fmt.Sprintf("smtp%d.chaos.test", i)}
	p.seed, p.number, p.tally, p.calm, p.fired = w.seed, uint64(i), w.tally, &w.calm, fired
	o.DropBodies, o.Hosts = true, []string{p.host}
	o.Scopes = map[providertest.Protocol]string{providertest.SMTP: "mail", providertest.IMAP: "mail", providertest.POP: "mail"}
	provider, err := providertest.Start(o)
	if err != nil {
		w.t.Fatal(err)
	}
	p.provider = provider
	to, mode := provider.SMTPAddr, "starttls"
	if i%2 == 1 {
		to, mode = provider.SMTPSAddr, "implicit"
	}
	ports := []any{}
	for _, to := range []string{to, provider.IMAPAddr, provider.POPAddr} {
		fate := p.fate
		if len(p.roads) > 0 {
			fate = p.readingFate
		}
		r, err := newRoad(to, fate)
		if err != nil {
			w.t.Fatal(err)
		}
		p.roads = append(p.roads, r)
		_, port, _ := net.SplitHostPort(r.Addr().String())
		ports = append(ports, net.JoinHostPort(p.host, port))
	}
	provider.SetFaults(providertest.Faults{SMTP: p.smtp, IMAP: p.reads, POP: p.reads, Token: p.token})
	ca := filepath.Join(w.dir, p.id+".pem")
	if err := os.WriteFile(ca, provider.CertPEM(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	for k := range 2 {
		p.accounts = append(p.accounts, fmt.Sprintf("user%d@%s", k, p.domain))
		p.guests = append(p.guests, fmt.Sprintf("guest%d@%s", k, p.domain))
	}
	w.places = append(w.places, p)
	for i, a := range p.guests {
		w.guests[a] = &guest{there: i == 0}
	}
	w.senders = slices.Concat(w.senders, p.accounts, p.accounts, p.accounts, p.guests) // guests send less often
	for _, a := range slices.Concat(p.accounts, p.guests) {
		for range inboxSize {
			w.deliver(p, a)
		}
	}
	return fmt.Sprintf("\n[[provider]]\nid = %q\nname = %q\ndomains = [%q]\nauth_url = %q\ntoken_url = %q\nrevoke_url = %q\n"+
		"scopes = [\"mail\"]\nclient_id = \"waxseal-test\"\nsmtp_tls = %q\nca_file = %q\nmax_connections = 4\n",
		p.id, p.id, p.domain, provider.AuthURL(), provider.TokenURL(), provider.RevokeURL(), mode, ca) +
		fmt.Sprintf("smtp = %q\nimap = %q\nimap_tls = \"implicit\"\npop = %q\npop_tls = \"implicit\"\n", ports...)
}

// serve starts a server with what is in the configuration and the keystore.
func (w *world) serve() {
	cfg, err := config.Load(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	short := 500 * time.Millisecond
	w.server, err = proxy.New(proxy.Options{
		Config: cfg, ConfigPath: w.config, Secrets: w.secrets, Version: "chaos", Now: w.clock.Now,
		Log:      slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Timeouts: mailbox.Timeouts{Dial: short, Reply: short, Final: short, Turn: 2 * short, Idle: 3 * short, Token: short, Breaker: short / 2},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	go func() { w.served <- w.server.Serve(context.Background()) }()
	select {
	case <-w.server.Ready():
	case err := <-w.served:
		w.t.Fatalf("Serve: %v", err)
	}
	w.plain, w.tls = w.listeners(api.SMTP)
}

// listeners are the addresses on which a protocol is served at present. Those for reading open with the
// first account that reads.
func (w *world) listeners(p api.Protocol) (plain, tls string) {
	for _, l := range w.server.Snapshot().Listeners {
		switch {
		case l.Protocol != p:
		case l.TLS:
			tls = l.Address
		default:
			plain = l.Address
		}
	}
	return plain, tls
}

func newJobs(seed uint64, messages int, senders []string) (all []job) {
	for n := 0; n < messages; n = all[len(all)-1].last {
		all = append(all, newJob(seed, len(all), n, messages, senders))
	}
	return all
}

// accountOf returns a function that finds the account that sent a message.
func accountOf(jobs []job) func(n int) string {
	return func(n int) string {
		i, found := slices.BinarySearchFunc(jobs, n, func(j job, n int) int { return cmp.Compare(j.first, n) })
		if !found {
			i--
		}
		return jobs[i].account
	}
}

// run does all jobs, first a tenth and then three thirds, and measures after each part.
func (w *world) run(jobs []job, messages int) (held string) {
	e := &events{world: w, rng: stream(w.seed, "events")}
	var levels []level
	var done, next atomic.Int64
	for part := range 4 {
		end := messages * (1 + 3*part) / 10
		w.calm.Store(false)
		var happening sync.Mutex // one event at a time
		work := make(chan *job)
		stopReading := w.startReading()
		var running sync.WaitGroup
		for range programs {
			running.Go(func() {
				for j := range work {
					if err := w.send(j); err != nil {
						w.fail("%v", err)
					}
					if done.Add(int64(j.last-j.first)) >= next.Load() && happening.TryLock() {
						next.Store(done.Load() + everySoMany)
						e.happen()
						happening.Unlock()
					}
				}
			})
		}
		for len(jobs) > 0 && jobs[0].first < end {
			work <- &jobs[0]
			jobs = jobs[1:]
		}
		close(work)
		happening.Lock()
		e.heal() // no further messages will end the event
		happening.Unlock()
		running.Wait()
		e.heal()
		stopReading()
		w.calm.Store(true)
		levels = append(levels, w.measure(levels))
	}
	return w.compare(levels)
}

// tail keeps the last part of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 256 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b == nil {
		l.b = make([]byte, 0, 2*tailSize)
	}
	if len(l.b)+len(p) > 2*tailSize {
		l.b = append(l.b[:0], l.b[len(l.b)-min(tailSize, len(l.b)):]...)
	}
	l.b = append(l.b, p...)
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, text, _ := strings.Cut(string(l.b[max(0, len(l.b)-60_000):]), "\n")
	return text
}

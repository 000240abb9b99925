//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore/etcd/etcdtest"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// The tests of a fleet: several processes of the program that share accounts in a real etcd, behind a real
// HAProxy, with providers that notice a refresh token that is sent twice. `make test` runs them in a short
// form; `make fleet` lets them go on for as long as FLEET says.

// lasting is how long the long form lets machines send; 0 means the short form.
var lasting, _ = time.ParseDuration(os.Getenv("FLEET"))

// longer chooses between the short and the long form.
func longer[T any](short, long T) T {
	if lasting > 0 {
		return long
	}
	return short
}

// figure prints what was measured, for docs/scaling.md.
func figure(name string, value any) { fmt.Printf("fleet: %s %v\n", name, value) }

const (
	fleetPassphrase = "of the whole fleet"
	fleetPassword   = "local-password-of-all"
)

// fleet is several machines with one set of accounts. Each machine and HAProxy have an address on loopback
// of their own, so that a port that a machine needs again when it is restarted is not taken by a connection.
type fleet struct {
	t         *testing.T // what runs now, the test or a part of it
	whole     *testing.T // the test
	net       string     // the addresses without their last number
	dir       string
	env       []string
	etcd      *etcdtest.Cluster
	endpoints []string // of etcd, as the machines reach it
	providers map[string]*providertest.Provider
	entries   map[string]string   // of the configuration, by provider
	accounts  map[string][]string // by provider
	passwords map[string]string   // of accounts that have another than fleetPassword
	machines  []*machine
	front     string // where HAProxy takes mail, with TLS
	arrived   map[string]int
}

// plan says what a fleet consists of.
type plan struct {
	machines, nodes int
	etcd            []string                        // arguments of its nodes
	providers       map[string]providertest.Options // by id; an account's domain is the id and ".test"
	accounts        map[string]int                  // of each provider
	max             map[string]int                  // max_connections of a provider, 20 where it is missing
	endpoint        func(string) string             // what is between the machines and etcd
}

var fleets atomic.Int32

// newFleet starts a fleet: accounts are imported on one computer and moved to etcd, and then the machines start.
func newFleet(t *testing.T, p plan) *fleet {
	t.Helper()
	f := &fleet{
		t: t, whole: t, dir: t.TempDir(), providers: map[string]*providertest.Provider{}, entries: map[string]string{}, accounts: map[string][]string{}, passwords: map[string]string{}, arrived: map[string]int{},
		net: fmt.Sprintf("127.%d.%d.", 64+os.Getpid()/50%32, os.Getpid()%50*5+int(fleets.Add(1))),
	}
	f.env = append(os.Environ(), "HOME="+f.dir, "XDG_RUNTIME_DIR="+f.dir, "WAXSEAL_KEYSTORE_PASSPHRASE="+fleetPassphrase, "DBUS_SESSION_BUS_ADDRESS=")
	f.etcd = etcdtest.Start(t, p.nodes, p.etcd...)
	for _, e := range f.etcd.Endpoints() {
		if p.endpoint != nil {
			e = p.endpoint(e)
		}
		f.endpoints = append(f.endpoints, e)
	}
	if err := writeCertificate(f.dir); err != nil {
		t.Fatal(err)
	}
	entries, imports := "", []map[string]string{}
	for id, o := range p.providers {
		o.DropBodies = true
		server, err := providertest.Start(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		folder := filepath.Join(f.dir, id)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		ca, err := server.WriteCA(folder)
		if err != nil {
			t.Fatal(err)
		}
		f.providers[id] = server
		f.entries[id] = fmt.Sprintf("\n[[provider]]\nid = %q\nname = %q\ndomains = [%q]\nauth_url = %q\ntoken_url = %q\nrevoke_url = %q\nscopes = [\"mail.send\"]\n"+
			"client_id = \"waxseal-test\"\nsmtp = %q\nca_file = %q\nmax_connections = %d\n",
			id, id, id+".test", server.AuthURL(), server.TokenURL(), server.RevokeURL(), server.SMTPAddr, ca, cmp.Or(p.max[id], 20))
		if o.ClientSecret != "" { // a program with its own right
			f.entries[id] += "grant = \"client_credentials\"\n"
		}
		entries += f.entries[id]
		for i := range p.accounts[id] {
			address := fmt.Sprintf("%s%d@%s.test", id, i, id)
			f.accounts[id] = append(f.accounts[id], address)
			imports = append(imports, f.consented(id, address))
		}
	}
	for i := range p.machines {
		f.machines = append(f.machines, f.newMachine(i))
	}
	first := f.machines[0]
	first.configure("file", entries)
	first.imports(imports)
	first.waxseal(0, "keystore", "move", "etcd")
	for _, m := range f.machines[1:] {
		m.configure("etcd", "")
	}
	for _, m := range f.machines {
		m.serve()
	}
	return f
}

// as has what follows belong to a part of the test.
func (f *fleet) as(t *testing.T) { f.t = t }

// consented is an entry of an import file, for an account whose user has consented.
func (f *fleet) consented(provider, address string) map[string]string {
	return map[string]string{"email": address, "provider": provider, "client_id": "waxseal-test", "smtp_password": fleetPassword,
		"refresh_token": f.providers[provider].Grant(address)}
}

// all are the accounts of some providers.
func (f *fleet) all(providers ...string) (all []string) {
	for _, id := range providers {
		all = append(all, f.accounts[id]...)
	}
	return all
}

// replays counts the refresh tokens that machines have sent a second time.
func (f *fleet) replays(provider string) int64 { return f.providers[provider].Counts().Replays }

// machine is one of a fleet.
type machine struct {
	*fleet
	name, dir string
	host      string
	inside    []string // what runs a program where the machine is, if that is not here
	namespace string   // its network, "" is this one's
	serving   *process
}

func (f *fleet) newMachine(i int) *machine {
	f.t.Helper()
	m := &machine{fleet: f, name: fmt.Sprint("m", i+1), host: fmt.Sprint(f.net, 11+i)}
	m.dir = filepath.Join(f.dir, m.name)
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		f.t.Fatal(err)
	}
	t := f.t
	t.Cleanup(func() {
		if m.serving != nil {
			m.kill()
		}
		if t.Failed() {
			t.Logf("complaints of %s:\n%s", m.name, m.complaints())
		}
	})
	return m
}

// complaints are the last lines of the machine's log that say that something is wrong.
func (m *machine) complaints() string {
	text, _ := os.ReadFile(filepath.Join(m.dir, "log"))
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-50):], "")
}

// configure writes the machine's configuration.
func (m *machine) configure(keystore, entries string) {
	m.t.Helper()
	quoted := make([]string, len(m.endpoints))
	for i, e := range m.endpoints {
		quoted[i] = fmt.Sprintf("%q", e)
	}
	text := fmt.Sprintf(`keystore = %q
listen = ["%[2]s:1587"]
listen_tls = ["%[2]s:1465"]
listen_imap = ["%[2]s:1143"]
listen_imap_tls = []
listen_pop = []
listen_pop_tls = []
metrics = "%[2]s:9587"
updates = ""
drain_delay = "2s"
shutdown_timeout = "20s"

[tls]
certificate = %[3]q
key = %[4]q

[proxy_protocol]
from = ["%[5]s5"]

[etcd]
endpoints = [%[6]s]
prefix = "/waxseal/office/"
`, keystore, m.host, filepath.Join(m.fleet.dir, "server.pem"), filepath.Join(m.fleet.dir, "server.key"), m.net, strings.Join(quoted, ", "))
	if err := os.WriteFile(filepath.Join(m.dir, "config.toml"), []byte(text+entries), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// start runs the program with this machine's configuration.
func (m *machine) start(args ...string) *process {
	m.t.Helper()
	words := append(slices.Clone(m.inside), binary)
	cmd := exec.Command(words[0], append(words[1:], append(args, "--config", filepath.Join(m.dir, "config.toml"))...)...)
	cmd.Dir, cmd.Env = m.dir, append(m.env[:len(m.env):len(m.env)], "WAXSEAL_INSTANCE="+m.name, "WAXSEAL_KEYSTORE_FILE="+filepath.Join(m.dir, "secrets.age"))
	p, err := start(cmd)
	if err != nil {
		m.t.Fatal(err)
	}
	return p
}

// waxseal runs a command until it ends, with an exit code.
func (m *machine) waxseal(code int, args ...string) (said string) {
	m.t.Helper()
	p := m.start(args...)
	p.ends(m.t, nil, code)
	return p.said()
}

// imports imports accounts.
func (m *machine) imports(entries []map[string]string) {
	m.t.Helper()
	text, _ := json.Marshal(entries)
	file := filepath.Join(m.dir, "accounts.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		m.t.Fatal(err)
	}
	m.waxseal(0, "account", "import", file)
}

// serve starts `waxseal serve` and waits until it is ready.
func (m *machine) serve() {
	m.t.Helper()
	m.launch()
	m.becomesReady()
}

// launch starts `waxseal serve` and waits until it listens.
func (m *machine) launch() {
	m.t.Helper()
	m.serving = m.start("serve", "--log-file", filepath.Join(m.dir, "log"))
	if _, err := m.serving.says("accepting mail on"); err != nil {
		m.t.Fatal(err)
	}
}

// signal lets it stop without a word, and go on.
func (m *machine) signal(s syscall.Signal) { m.serving.cmd.Process.Signal(s) }

// kill ends it at once, as a power cut would.
func (m *machine) kill() {
	m.serving.cmd.Process.Kill()
	<-m.serving.exited
}

// stop ends it as the operating system does.
func (m *machine) stop() {
	m.t.Helper()
	m.serving.ends(m.t, syscall.SIGTERM, 0)
}

// ready is what /readyz answers; 0 if there is no answer.
func (m *machine) ready() int {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: m.dial, DisableKeepAlives: true}}
	answer, err := client.Get("http://" + m.host + ":9587/readyz")
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

func (m *machine) becomesReady() {
	m.t.Helper()
	comesTrue(m.t, m.name+" is ready", func() bool { return m.ready() == http.StatusOK })
}

// comesTrue waits until something is so.
func comesTrue(t *testing.T, what string, is func() bool) (took time.Duration) {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	for !is() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("waited %v in vain until %s", time.Since(began), what)
		}
	}
	return time.Since(began)
}

// behindHAProxy starts HAProxy with the example's configuration, in front of all machines.
func (f *fleet) behindHAProxy() {
	f.t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		f.t.Skip("NOT TESTED: a fleet behind HAProxy, which is not installed")
	}
	data, err := os.ReadFile("../docs/haproxy.cfg")
	if err != nil {
		f.t.Fatal(err)
	}
	own := f.net + "5"
	text := strings.NewReplacer("send-proxy-v2 check", "send-proxy-v2 source "+own+" check", "inter 2s", "inter 300ms", "maxconn 20000", "maxconn 1000").Replace(string(data))
	bind, server := regexp.MustCompile(`^( +bind ):(\d+)$`), regexp.MustCompile(`^( +server mail)1 10\.0\.0\.11(:\d+)$`)
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := bind.FindStringSubmatch(line); m != nil {
			line = m[1] + own + ":2" + fmt.Sprintf("%04s", m[2]) // anybody may listen there
		} else if m := server.FindStringSubmatch(line); m != nil {
			for i, to := range f.machines {
				lines = append(lines, fmt.Sprint(m[1], i+1, " ", to.host, m[2]))
			}
			continue
		} else if strings.HasPrefix(line, "    server mail") { // another machine of the example
			continue
		}
		lines = append(lines, line)
	}
	file := filepath.Join(f.dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
	p, err := start(exec.Command(program, "-db", "-f", file))
	if err != nil {
		f.t.Fatal(err)
	}
	t := f.t
	t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if t.Failed() {
			said := p.said()
			t.Logf("the end of HAProxy's log:\n%s", said[max(0, len(said)-3000):])
		}
	})
	f.front = own + ":20465"
	comesTrue(t, "HAProxy passes mail on", func() bool {
		return f.tries(target{address: f.front, tls: true}, f.all(slices.Sorted(maps.Keys(f.accounts))...)[0]) == "250"
	})
}

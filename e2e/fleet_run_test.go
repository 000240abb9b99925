//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestFleet: three machines on three nodes of etcd, behind HAProxy. The domains are providers with tokens
// that live for five seconds (short) and a minute (minute), and one that accepts old refresh tokens as
// Microsoft does (old); the others end a consent whose token is sent twice.
func TestFleet(t *testing.T) {
	var asked requests // of the providers whose refreshes are interrupted
	beside(t)
	f := newFleet(t, plan{
		machines: 3, nodes: 3,
		providers: map[string]providertest.Options{
			"short": {Rotate: true, TokenTTL: shortLife}, "minute": {Rotate: true, TokenTTL: time.Minute},
			"old": {Rotate: true, OldTokens: true, TokenTTL: 2 * time.Second}, "strict": {Rotate: true, TokenTTL: 2 * time.Second},
			"brief": {Rotate: true, TokenTTL: time.Second}, "few": {Rotate: true, MaxConnections: 3},
		},
		accounts: map[string]int{"short": 20, "minute": 20, "old": 5, "strict": 5, "brief": 10, "few": 1},
		max:      map[string]int{"few": 3},
	})
	f.behindHAProxy()
	for _, id := range []string{"old", "strict"} {
		f.providers[id].SetFaults(providertest.Faults{Token: asked.slow(id)})
	}
	part := func(name string, run func(*fleet)) {
		t.Run(name, func(t *testing.T) {
			f.as(t)
			run(f)
		})
		f.as(t)
	}
	part("all machines are busy", busy)
	part("machines are restarted in turn", restartedInTurn)
	var whileKilled *load
	part("machines are killed", func(f *fleet) { whileKilled = machinesKilled(f, &asked) }) // their last refreshes are in doubt for half a minute
	part("etcd's leader is killed", leaderKilled)
	part("etcd hangs", etcdHangs)
	part("changes are seen everywhere", changesSeen)
	part("what a refresh costs", refreshCost)
	part("a second machine wants a place", placesLent)
	part("all is well after machines were killed", func(f *fleet) { healed(f, whileKilled, &asked) })
	if lasting > 0 {
		part("a machine is stopped for 45 seconds", machineStopped)
	}
	for _, id := range []string{"short", "minute", "brief", "few"} {
		if n := f.replays(id); n > 0 {
			t.Errorf("%d refresh tokens were sent twice to %s", n, id)
		}
	}
	figure("replays", f.replays("short")+f.replays("minute")+f.replays("brief")+f.replays("few"))
}

const shortLife = 5 * time.Second

// busy: tokens live for seconds, all machines send for all accounts. A fleet refreshes as often as one machine,
// and Waxseal does it when nine tenths of a token's life are over.
func busy(f *fleet) {
	before := f.providers["short"].Counts()
	l := f.load(f.everywhere(), f.accounts["short"], 400*time.Millisecond)
	time.Sleep(longer(11*time.Second, lasting))
	r := l.end()
	r.judge(f.t, "busy")
	n := f.providers["short"].Counts().Refreshes - before.Refreshes
	rounds := r.took.Seconds() / (shortLife.Seconds() * 0.9)
	figure("busy.refreshes", fmt.Sprintf("%d (accounts × time / life: %.0f)", n, 20*rounds))
	if float64(n) > 20*(math.Floor(rounds)+2) {
		f.t.Errorf("%d refreshes of 20 accounts in %v", n, r.took)
	}
	if n := f.replays("short"); n > 0 {
		f.t.Errorf("%d refresh tokens were sent twice", n)
	}
}

func leaderKilled(f *fleet) {
	l := f.load(f.everywhere(), f.accounts["short"], 400*time.Millisecond)
	for range longer(1, 5) {
		time.Sleep(time.Second)
		leader := f.etcd.Leader()
		if leader < 0 {
			f.t.Fatal("etcd has no leader")
		}
		f.etcd.Kill(leader)
		time.Sleep(longer(5*time.Second, 15*time.Second))
		f.etcd.Run(leader)
		f.etcd.Ready()
	}
	l.end().judge(f.t, "leader-killed")
}

// etcdHangs: all nodes stop answering. Accounts whose tokens live longer than that send on every machine, also
// where they were never used; the others get "try again later", and send again when etcd is back.
func etcdHangs(f *fleet) {
	const away, long = 8, 30
	for _, a := range f.accounts["minute"] {
		if code := f.tries(f.machines[0].directly(), a); code != "250" {
			f.t.Fatalf("%s: %s", a, code)
		}
	}
	for i := range 3 {
		f.etcd.Hang(i)
	}
	good := f.load([]target{f.machines[1].directly(), f.machines[2].directly()}, f.accounts["minute"], 500*time.Millisecond)
	ending := f.load(f.everywhere(), f.accounts["short"], time.Second)
	time.Sleep(longer(away*time.Second, long*time.Second))
	good.end().judge(f.t, "etcd-hangs.tokens-of-a-minute")
	ready := f.machines[1].ready()
	for i := range 3 {
		f.etcd.Resume(i)
	}
	ending.end().judge(f.t, "etcd-hangs.tokens-of-5s", passing...)
	if ready != http.StatusOK {
		f.t.Errorf("/readyz says %d while etcd hangs", ready)
	}
	figure("etcd-hangs.sends-again-after", f.allSend(f.everywhere(), f.accounts["short"]).Round(time.Millisecond))
}

// allSend waits until every account sends at every target, and says how long that took.
func (f *fleet) allSend(to []target, accounts []string) time.Duration {
	f.t.Helper()
	began := time.Now()
	var work sync.WaitGroup
	for _, at := range to {
		for _, a := range accounts {
			work.Go(func() {
				for end := time.Now().Add(2 * patience); ; {
					code := f.tries(at, a)
					if code == "250" {
						return
					}
					if code[0] == '5' || time.Now().After(end) {
						f.t.Errorf("%s at %s: %s", a, at.address, code)
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
	}
	work.Wait()
	return time.Since(began)
}

// requests remembers when a provider was asked for tokens.
type requests struct {
	mu   sync.Mutex
	at   map[string][]time.Time
	kill []time.Time
}

// slow delays each answer, so that something can happen to the machine in the meantime: the token that it has sent
// is used up, and it does not have the next one.
func (r *requests) slow(provider string) func(*http.Request) providertest.TokenFault {
	return func(*http.Request) providertest.TokenFault {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.at == nil {
			r.at = map[string][]time.Time{}
		}
		r.at[provider] = append(r.at[provider], time.Now())
		return providertest.TokenFault{Late: 200 * time.Millisecond}
	}
}

// interrupted is at most how many of them machines were killed in: they came in the second before a kill.
func (r *requests) interrupted(provider string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.at[provider] {
		if slices.ContainsFunc(r.kill, func(k time.Time) bool { return at.Before(k) && k.Sub(at) < time.Second }) {
			n++
		}
	}
	return n
}

// machinesKilled: machines are killed while they send and refresh, and started again. See healed.
func machinesKilled(f *fleet, asked *requests) *load {
	l := f.load(f.everywhere(), f.all("old", "strict"), 300*time.Millisecond)
	for i := range longer(5, 50) {
		time.Sleep(300 * time.Millisecond)
		m := f.machines[i%3]
		asked.mu.Lock()
		asked.kill = append(asked.kill, time.Now())
		asked.mu.Unlock()
		m.kill()
		m.serve()
	}
	l.stop()
	return l
}

// healed: where a provider accepts an old refresh token until the new one was used, no account is lost by kills;
// where it ends the consent, at most those are whose refresh was interrupted.
func healed(f *fleet, l *load, asked *requests) {
	l.end().judge(f.t, "killed", append(passing, "broken", "greeting 421", "AUTH 535")...) // 535 for those that are lost
	figure("killed.all-send-after", f.allSend(f.everywhere(), f.accounts["old"]).Round(time.Millisecond))
	lost := 0
	for _, a := range f.accounts["strict"] {
		code := ""
		comesTrue(f.t, a+" sends or needs a sign-in", func() bool {
			code = f.tries(f.machines[0].directly(), a)
			return code == "250" || code[0] == '5'
		})
		if code != "250" {
			lost++
		}
	}
	n := asked.interrupted("strict")
	figure("killed.consents-lost", fmt.Sprintf("%d of at most %d whose refresh was interrupted, in %d kills", lost, n, len(asked.kill)))
	if lost > n {
		f.t.Errorf("%d accounts are lost, but at most %d refreshes were interrupted", lost, n)
	}
}

// restartedInTurn: each machine ends as a system ends it, and starts again, while programs send through HAProxy.
func restartedInTurn(f *fleet) {
	l := f.load([]target{{address: f.front, tls: true}}, f.all("short", "minute"), 800*time.Millisecond)
	for range longer(1, 5) {
		for _, m := range f.machines {
			m.stop()
			m.serve()
			time.Sleep(time.Second) // until HAProxy has noticed
		}
	}
	l.end().judge(f.t, "rolling-restart")
}

// changesSeen: what is changed at one machine holds at all. The times are from the end of the command to the
// first program at another machine for which it holds, its login and that at the provider included.
func changesSeen(f *fleet) {
	logs := func(m *machine, account, password string) bool {
		p, err := logIn(m.directly(), account, password)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "AUTH 535") {
				f.t.Errorf("%s at %s: %v", account, m.name, err)
			}
			return false
		}
		p.quit()
		return true
	}
	seen := map[string][]time.Duration{}
	see := func(what string, others []*machine, is func(*machine) bool) {
		began := time.Now()
		var work sync.WaitGroup
		took := make([]time.Duration, len(others))
		for i, m := range others {
			work.Go(func() {
				comesTrue(f.t, what+" at "+m.name, func() bool { return is(m) })
				took[i] = time.Since(began)
			})
		}
		work.Wait()
		seen[what] = append(seen[what], took...)
	}
	for i := range longer(3, 20) {
		m := f.machines[i%3]
		others := slices.DeleteFunc(slices.Clone(f.machines), func(o *machine) bool { return o == m })
		address := fmt.Sprintf("new%d@minute.test", i)
		m.imports([]map[string]string{f.consented("minute", address)})
		see("account-added", others, func(o *machine) bool { return logs(o, address, fleetPassword) })
		m.waxseal(0, "account", "password", address, "--new")
		renewed := strings.TrimSpace(m.waxseal(0, "account", "password", address, "--only"))
		see("password-changed", others, func(o *machine) bool { return logs(o, address, renewed) })
		for _, o := range f.machines {
			if logs(o, address, fleetPassword) {
				f.t.Errorf("%s takes the old password", o.name)
			}
		}
		m.waxseal(0, "account", "remove", address)
		see("account-removed", others, func(o *machine) bool { return !logs(o, address, renewed) })
	}
	for what, all := range seen {
		slices.Sort(all)
		figure("changes."+what, spread(all))
		if all[len(all)-1] > 10*time.Second {
			f.t.Errorf("%s after %v", what, all[len(all)-1])
		}
	}
}

// spread is the median, the 99th percentile and the maximum.
func spread(sorted []time.Duration) string {
	at := func(p float64) time.Duration {
		return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("median %v, p99 %v, max %v of %d", at(0.5), at(0.99), at(1), len(sorted))
}

// refreshCost compares logins for which a token has to be refreshed: at a machine of the fleet, and at one with its
// own accounts at the same provider.
func refreshCost(f *fleet) {
	alone := f.newMachine(8)
	accounts := []map[string]string{}
	for i := range 10 {
		accounts = append(accounts, f.consented("brief", fmt.Sprintf("alone%d@brief.test", i)))
	}
	alone.configure("file", f.entries["brief"])
	alone.imports(accounts)
	alone.serve()
	defer alone.stop()
	took := map[*machine][]time.Duration{}
	before := f.providers["brief"].Counts().Refreshes
	rounds := longer(3, 30)
	for range rounds {
		time.Sleep(time.Second) // all tokens have ended
		for i := range 10 {
			for m, account := range map[*machine]string{alone: accounts[i]["email"], f.machines[i%3]: f.accounts["brief"][i]} {
				began := time.Now()
				if code := f.tries(m.directly(), account); code != "250" {
					f.t.Errorf("%s: %s", account, code)
				}
				if m != alone {
					m = nil
				}
				took[m] = append(took[m], time.Since(began))
			}
		}
	}
	for name, m := range map[string]*machine{"alone": alone, "fleet": nil} {
		slices.Sort(took[m])
		figure("refresh-and-message."+name, spread(took[m]))
	}
	median := func(m *machine) time.Duration { return took[m][len(took[m])/2] }
	figure("refresh-overhead.median", (median(nil) - median(alone)).Round(100*time.Microsecond))
	if n := f.providers["brief"].Counts().Refreshes - before; n < int64(rounds*20) {
		f.t.Errorf("%d refreshes in %d logins that needed one", n, rounds*20)
	}
}

// placesLent: the provider allows three connections, and one machine uses them all when another one wants to send.
func placesLent(f *fleet) {
	account := f.accounts["few"][0]
	var waits []time.Duration
	for range longer(2, 10) {
		busy := f.load(slices.Repeat([]target{f.machines[0].directly()}, 12), f.accounts["few"], time.Millisecond)
		time.Sleep(time.Second)
		comesTrue(f.t, "the first machine holds all places", func() bool { return f.machines[0].places(account) == 3 })
		began := time.Now()
		if code := f.tries(f.machines[1].directly(), account); code != "250" {
			f.t.Errorf("the second machine: %s", code)
		}
		waits = append(waits, time.Since(began))
		busy.end().judge(f.t, "places")
	}
	slices.Sort(waits)
	figure("places.first-message", spread(waits))
	if n := f.providers["few"].Peak(account); n > 3 {
		f.t.Errorf("%d connections at a time, but the provider allows 3", n)
	}
}

// places are the connections of an account that a machine holds.
func (m *machine) places(account string) int {
	m.t.Helper()
	text, err := m.etcd.Ctl("get", "--print-value-only", "/waxseal/office/places/connections/"+account)
	var record struct{ Held map[string]int }
	if err == nil {
		err = json.Unmarshal([]byte(text), &record)
	}
	if err != nil {
		m.t.Fatalf("%v\n%s", err, text)
	}
	return record.Held[m.name]
}

// machineStopped: a machine that does not run for longer than its claims stand is replaced, and goes on when it
// runs again.
func machineStopped(f *fleet) {
	m := f.machines[1]
	l := f.load([]target{f.machines[0].directly(), f.machines[2].directly()}, f.all("old", "minute"), 400*time.Millisecond)
	m.signal(syscall.SIGSTOP)
	time.Sleep(45 * time.Second)
	m.signal(syscall.SIGCONT)
	l.end().judge(f.t, "stopped-45s", passing...)
	figure("stopped-45s.all-send-after", f.allSend(f.everywhere(), f.all("old", "minute")).Round(time.Millisecond))
}

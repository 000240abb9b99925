//go:build linux

package chaos

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/config"
)

// events are what happens to the whole of it, one after the other, as messages
// go by. One that lasts ends when the next begins.
type events struct {
	*world
	rng   *rand.Rand
	quiet bool // the time between two events
}

func (e *events) happen() {
	e.heal()
	if e.quiet = !e.quiet; e.quiet {
		return // so that breakers close
	}
	all := []struct {
		name string
		do   func()
	}{
		{"dns nxdomain", func() { e.names.set(e.anyHost(), "dns nxdomain") }},
		{"dns servfail", func() { e.names.set(e.anyHost(), "dns servfail") }},
		{"dns silent", func() { e.names.set(e.anyHost(), "dns silent") }},
		{"mail server refuses", func() { e.names.set(e.anyHost(), "refused") }},
		{"no network", e.noNetwork},
		{"token endpoint down", func() { pick(e.rng, e.places).noTokens.Store(true) }},
		{"keychain locked", func() { e.secrets.Fail(keystore.ErrLocked) }},
		{"access token withdrawn", e.expire},
		{"account added", func() { e.change("added", e.add) }},
		{"account removed", func() { e.change("removed", e.remove) }},
		{"account added, keychain locked", func() {
			e.secrets.Fail(keystore.ErrLocked)
			e.change("added while locked", e.add)
		}},
		{"account added, disk full", func() { e.full(func() { e.change("added on a full disk", e.add) }) }},
		{"account removed, disk full", func() { e.full(func() { e.change("removed on a full disk", e.remove) }) }},
		{"account added, config deleted", func() { e.deleted(e.add) }},
		{"account removed, config deleted", func() { e.deleted(e.remove) }},
		{"wake from a suspend", func() { e.server.Wake("a suspend, by chaos") }},
		{"clock set ahead", func() { e.clock.Set(pick(e.rng, jumps)) }},
		{"clock set back", func() { e.clock.Set(-pick(e.rng, jumps)) }},
		{"pause", func() { e.server.SetPaused(true) }},
		{"reload", e.reload},
		{"settings changed", e.settings},
	}
	event := pick(e.rng, all)
	e.tally.add("event: " + event.name)
	event.do()
}

// jumps are how far a clock is off: a little, a day, a battery that died.
var jumps = []time.Duration{8 * time.Second, time.Hour, 24 * time.Hour, 2 * 365 * 24 * time.Hour}

// heal ends what lasts.
func (e *events) heal() {
	e.clock.Set(0)
	e.names.clear()
	e.secrets.Fail(nil)
	e.server.SetPaused(false)
	for _, p := range e.places {
		p.noTokens.Store(false)
	}
}

func (e *events) anyHost() string { return pick(e.rng, e.places).host }

func (e *events) noNetwork() {
	e.names.set("*", "no network")
	for _, p := range e.places {
		p.noTokens.Store(true)
	}
}

func (e *events) expire() {
	p := pick(e.rng, e.places)
	for _, a := range p.accounts {
		p.provider.ExpireAccess(a)
	}
}

// add and remove change one of the guests, who send mail as the others do.
func (e *events) add() error {
	p := pick(e.rng, e.places)
	address := pick(e.rng, p.guests)
	g := e.guests[address]
	g.Lock()
	defer g.Unlock()
	err := e.imports(p, address)
	g.there = g.there || err == nil
	return err
}

func (e *events) remove() error {
	p := pick(e.rng, e.places)
	address := pick(e.rng, p.guests)
	g := e.guests[address]
	g.Lock()
	defer g.Unlock()
	_, err := e.server.Remove(e.t.Context(), address)
	g.there = g.there && err != nil
	return err
}

// guest is an account that comes and goes.
type guest struct {
	sync.RWMutex
	there bool
}

// during is [site.during]: a guest is not taken away while it logs in, but at any
// moment after that.
func (w *world) during(account string, login func() error) error {
	if g := w.guests[account]; g != nil {
		g.RLock()
		defer g.RUnlock()
		if !g.there {
			w.tally.add("client of an account not there")
			return errOver
		}
	}
	return login()
}

// imports adds an account whose user has just consented.
func (w *world) imports(p *place, address string) error {
	data, err := json.Marshal([]map[string]string{{
		"email": address, "provider": p.id, "client_id": "waxseal-test", "refresh_token": p.provider.Grant(address), "smtp_password": password,
	}})
	if err != nil {
		return err
	}
	report, err := w.server.Import(w.t.Context(), data)
	if err == nil && report.Failed > 0 {
		err = &report.Problems[0].Problem
	}
	return err
}

// change makes a change of accounts, which may fail but not by half: what runs is
// what the file says.
func (e *events) change(what string, do func() error) {
	before := e.addresses()
	err := do()
	after := e.addresses()
	if err != nil {
		e.tally.add("account not " + what)
		if !slices.Equal(before, after) {
			e.fail("an account was not %s (%v), yet there are %v, before %v", what, err, after, before)
		}
	}
	e.whole(what)
}

// whole compares the configuration file with what runs.
func (e *events) whole(what string) {
	cfg, err := config.Load(e.config)
	if err != nil {
		e.fail("after an account was %s the configuration file is %v", what, err)
		return
	}
	var file []string
	for _, a := range cfg.Accounts {
		file = append(file, a.Address)
	}
	slices.Sort(file)
	if running := e.addresses(); !slices.Equal(file, running) {
		e.fail("after an account was %s the file has %v, and %v run", what, file, running)
	}
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		e.fail("%v", err)
	}
	for _, f := range entries {
		if strings.HasPrefix(f.Name(), ".") {
			e.fail("after an account was %s the folder has a file %s", what, f.Name())
		}
	}
}

func (w *world) addresses() (all []string) {
	for _, a := range w.server.Accounts() {
		all = append(all, a.Address)
	}
	slices.Sort(all)
	return all
}

// full lets no file of this process grow beyond some bytes, which is what a full
// disk does to those who write.
func (e *events) full(do func()) {
	signal.Ignore(syscall.SIGXFSZ)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		e.fail("%v", err)
		return
	}
	syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: e.rng.Uint64N(800), Max: was.Max})
	defer syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was)
	do()
}

// deleted does a change while somebody has thrown the configuration away. It is
// put back afterwards, as it should be by then.
func (e *events) deleted(do func() error) {
	text, err := os.ReadFile(e.config)
	if err != nil {
		e.fail("%v", err)
		return
	}
	before := e.addresses()
	os.Remove(e.config)
	if _, err := e.server.Reload(e.t.Context()); err == nil {
		e.fail("a configuration that is gone was read")
	}
	err = do()
	if got := e.addresses(); err != nil && !slices.Equal(got, before) {
		e.fail("a change without a file failed (%v), yet there are %v, before %v", err, got, before)
	}
	if _, serr := os.Stat(e.config); serr == nil {
		if _, lerr := config.Load(e.config); lerr != nil {
			e.fail("a change without a file made a bad one: %v", lerr)
		}
	}
	for _, g := range e.guests {
		g.Lock()
		defer g.Unlock()
	}
	if werr := os.WriteFile(e.config, text, 0o600); werr != nil {
		e.fail("%v", werr)
	}
	e.reload()
	running := e.addresses()
	for address, g := range e.guests {
		g.there = slices.Contains(running, address)
	}
}

func (e *events) reload() {
	if _, err := e.server.Reload(e.t.Context()); err != nil {
		e.fail("reload: %v", err)
	}
	e.whole("reloaded")
}

func (e *events) settings() {
	s := e.server.Settings()
	s.Notifications = !s.Notifications
	if e.rng.IntN(2) == 0 {
		s.LogLevel = pick(e.rng, []string{"debug", "info"})
	}
	if _, err := e.server.Configure(e.t.Context(), s); err != nil {
		e.fail("settings: %v", err)
	}
}

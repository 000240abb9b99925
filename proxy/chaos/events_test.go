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
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// events happen to everything at once, one after the other, while messages are sent. A lasting
// event ends when the next one begins.
type events struct {
	*world
	rng   *rand.Rand
	quiet bool // the time between two events
}

func (e *events) happen() {
	e.heal()
	if e.quiet = !e.quiet; e.quiet {
		return // so that breakers can close
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
		{"sessions ended by the provider", e.endSessions},
		{"mail arrives", e.arrive},
	}
	event := pick(e.rng, all)
	e.tally.add("event: " + event.name)
	event.do()
}

// jumps are how far a clock may be off: a little, a day, or years because its battery is dead.
var jumps = []time.Duration{8 * time.Second, time.Hour, 24 * time.Hour, 2 * 365 * 24 * time.Hour}

// heal ends lasting events.
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

// add and remove add and remove one of the guests, which send mail like other accounts.
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

// guest is an account that is added and removed during the run.
type guest struct {
	sync.RWMutex
	there bool
}

// during is [site.during]: a guest is not removed while it logs in, but may be at any time after
// that.
func (w *world) during(account string, login func() error) error {
	if g := w.guests[account]; g != nil {
		g.RLock()
		defer g.RUnlock()
		if !g.there {
			w.tally.add("client of a removed account")
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
	if err != nil {
		return err
	}
	if err := w.server.SetProtocols(w.t.Context(), address, api.Protocols); err != nil {
		w.tally.add("reading not switched on")
	}
	return nil
}

// change adds or removes an account. That may fail, but not halfway: the running accounts must be
// those in the file.
func (e *events) change(what string, do func() error) {
	before := e.addresses()
	err := do()
	after := e.addresses()
	if err != nil {
		e.tally.add("account not " + what)
		if !slices.Equal(before, after) {
			e.fail("an account was not %s (%v), but the accounts changed to %v from %v", what, err, after, before)
		}
	}
	e.whole(what)
}

// whole compares the configuration file with the running accounts.
func (e *events) whole(what string) {
	cfg, err := config.Load(e.config)
	if err != nil {
		e.fail("after an account was %s the configuration file cannot be loaded: %v", what, err)
		return
	}
	var file []string
	for _, a := range cfg.Accounts {
		file = append(file, a.Address)
	}
	slices.Sort(file)
	if running := e.addresses(); !slices.Equal(file, running) {
		e.fail("after an account was %s the file has %v, but %v are running", what, file, running)
	}
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		e.fail("%v", err)
	}
	for _, f := range entries {
		if strings.HasPrefix(f.Name(), ".") {
			e.fail("after an account was %s the folder still has the file %s", what, f.Name())
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

// full keeps this process from growing any file beyond a few hundred bytes, so writes fail as on a
// full disk.
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

// deleted does a change while the configuration file is missing, and puts the file back afterwards.
func (e *events) deleted(do func() error) {
	text, err := os.ReadFile(e.config)
	if err != nil {
		e.fail("%v", err)
		return
	}
	before := e.addresses()
	os.Remove(e.config)
	if _, err := e.server.Reload(e.t.Context()); err == nil {
		e.fail("a missing configuration was loaded")
	}
	err = do()
	if got := e.addresses(); err != nil && !slices.Equal(got, before) {
		e.fail("a change without a file failed (%v), but the accounts changed to %v from %v", err, got, before)
	}
	if _, serr := os.Stat(e.config); serr == nil {
		if _, lerr := config.Load(e.config); lerr != nil {
			e.fail("a change without a file wrote one that cannot be loaded: %v", lerr)
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
	was := e.server.Settings()
	s := was
	s.Notifications = !s.Notifications
	if e.rng.IntN(2) == 0 {
		s.LogLevel = pick(e.rng, []string{"debug", "info"})
	}
	if _, err := e.server.Configure(e.t.Context(), was.Change(s)); err != nil {
		e.fail("settings: %v", err)
	}
}

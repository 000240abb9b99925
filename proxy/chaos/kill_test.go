//go:build linux

package chaos

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/proxy/providertest"
)

const (
	kills        = 15
	passphrase   = "of the keystore file"
	startWithin  = 40 * time.Second // includes the work that makes passphrases hard to guess
	killMessages = 200              // message numbers reserved for one life
)

// lives is a program that is killed and started again and again.
type lives struct {
	failing
	dir, config, keys string
	program           string
	rng               *rand.Rand
	provider          *providertest.Provider
	site
	jobs []job

	cmd     *exec.Cmd
	ended   chan struct{}
	control *control.Client
	next    int // message

	// What the program has promised: which accounts exist and which do not. Either is right for an
	// account that the program was changing when it was killed. One that was half removed may have
	// lost its secrets although it is still listed.
	there  map[string]bool
	either map[string]bool
	half   map[string]bool

	unfinished []string // files whose writing the last kill interrupted
}

// TestKill runs the real program and kills it at random moments, while accounts are added and
// removed, tokens and passwords change and mail is sent. After each kill its files must be intact,
// and the program must start again and keep everything it has promised.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED: kill -9, which takes a while")
	}
	seed, rounds := number("SEED", rand.Uint64N(1e9)), int(number("KILLS", kills))
	t.Logf("SEED=%d KILLS=%d", seed, rounds)
	l := newLives(t, seed, rounds)
	for n := range rounds {
		l.live(n)
	}
	l.start()
	l.promised()
	l.kill()
	l.control.Close()
	l.judge(rounds)
	if t.Failed() {
		text, _ := os.ReadFile(filepath.Join(l.dir, "log"))
		t.Logf("the end of the log:\n%s", text[max(0, len(text)-20_000):])
	}
}

// frozenFor is longer than any delay that a server would put down to load.
const frozenFor = 15 * time.Second

// TestFrozen stops the real program for a while, as a suspend does, and expects that it notices and
// goes on sending. It only runs in the soak test, because it takes long.
func TestFrozen(t *testing.T) {
	if os.Getenv("KILLS") == "" {
		t.Skip("NOT TESTED: a frozen program; make soak tests it")
	}
	l := newLives(t, number("SEED", 1), 1)
	l.start()
	defer l.kill()
	l.promise("user0@corp.test", true, func() error { return l.add(t.Context(), "user0@corp.test") })
	l.promised()
	l.cmd.Process.Signal(syscall.SIGSTOP)
	<-time.After(frozenFor)
	l.cmd.Process.Signal(syscall.SIGCONT)
	l.eventually("the program to notice", func() bool {
		text, _ := os.ReadFile(filepath.Join(l.dir, "log"))
		return strings.Contains(string(text), "the machine slept")
	})
	l.next++
	l.promised()
	l.control.Close()
}

func newLives(t *testing.T, seed uint64, rounds int) *lives {
	dir := t.TempDir()
	l := &lives{
		failing: failing{t: t, seed: seed}, dir: dir, config: filepath.Join(dir, "config.toml"), keys: filepath.Join(dir, "secrets.age"),
		program: filepath.Join(dir, "waxseal"), rng: stream(seed, "lives"),
		site:  site{ledger: newLedger(seed, rounds*killMessages), tally: &tally{of: map[string]int{}}},
		there: map[string]bool{}, either: map[string]bool{}, half: map[string]bool{},
	}
	build := exec.Command("go", "build", "-tags", "nogui", "-buildvcs=false", "-o", l.program, "github.com/waxseal/waxseal/cmd/waxseal")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var err error
	// With such short lifetimes, tokens rotate at nearly every use. The provider accepts old refresh
	// tokens: one that revokes the grant would end an account whenever the program is killed before
	// it has stored the new token, and nobody can prevent that.
	l.provider, err = providertest.Start(providertest.Options{Rotate: true, OldTokens: true, TokenTTL: time.Second, DropBodies: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.provider.Close() })
	ca, err := l.provider.WriteCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("listen = [\"127.0.0.1:0\"]\nlisten_tls = [\"127.0.0.1:0\"]\nmetrics = \"\"\nkeystore = \"file\"\n\n"+
		"[[provider]]\nid = \"corp\"\nname = \"Corp\"\ndomains = [\"corp.test\"]\nauth_url = %q\ntoken_url = %q\nrevoke_url = %q\nconsent_days = 90\n"+
		"scopes = [\"mail.send\"]\nclient_id = \"waxseal-test\"\nsmtp = %q\nca_file = %q\nmax_connections = 4\n",
		l.provider.AuthURL(), l.provider.TokenURL(), l.provider.RevokeURL(), l.provider.SMTPAddr, ca)
	if err := os.WriteFile(l.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

// launch starts the program.
func (l *lives) launch() {
	l.cmd = exec.Command(l.program, "--config", l.config, "--log-file", filepath.Join(l.dir, "log"), "--log-level", "debug", "serve")
	l.cmd.Env = append(os.Environ(), "HOME="+l.dir, "WAXSEAL_KEYSTORE_FILE="+l.keys, "WAXSEAL_KEYSTORE_PASSPHRASE="+passphrase)
	if err := l.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.ended = make(chan struct{})
	go func() { l.cmd.Wait(); close(l.ended) }()
}

// start starts the program and waits until it accepts mail.
func (l *lives) start() {
	l.launch()
	ctx, cancel := context.WithTimeout(l.t.Context(), startWithin)
	defer cancel()
	for {
		select {
		case <-l.ended:
			l.t.Fatalf("seed %d: the program did not start: %v", l.seed, l.cmd.ProcessState)
		case <-ctx.Done():
			l.kill()
			l.t.Fatalf("seed %d: the program is not responding", l.seed)
		case <-time.After(10 * time.Millisecond):
		}
		c, err := control.Dial(ctx, l.config)
		if err != nil {
			continue
		}
		if s, err := c.Status(ctx); err == nil && s.State == "serving" {
			l.control = c
			if len(s.Listeners) != 2 {
				l.fail("it is serving, but on %v", s.Listeners)
			}
			for _, a := range s.Listeners {
				if a.TLS {
					l.tls = a.Address
				} else {
					l.plain = a.Address
				}
			}
			return
		}
		c.Close()
	}
}

func (l *lives) kill() {
	l.cmd.Process.Kill()
	<-l.ended
}

// live is one life: start, check what was promised, work, and be killed at some moment. Some lives
// end during the start.
func (l *lives) live(n int) {
	if n > 0 && l.rng.IntN(4) == 0 {
		l.launch()
		<-time.After(time.Duration(l.rng.IntN(200)) * time.Millisecond)
		l.kill()
		l.tally.add("killed while starting")
		l.whole()
		return
	}
	l.start()
	l.promised()
	ctx, cancel := context.WithCancel(l.t.Context())
	defer cancel()
	l.next = (n + 1) * killMessages
	var work sync.WaitGroup
	senders := l.present()
	for k := range 3 {
		if len(senders) > 0 {
			work.Go(func() {
				l.mail(ctx, n*killMessages+60+k*40, pick(stream(l.seed, "sender", uint64(n), uint64(k)), senders))
			})
		}
	}
	work.Go(func() { l.churn(ctx, stream(l.seed, "churn", uint64(n))) })
	moment := time.Duration(l.rng.IntN(600)) * time.Millisecond
	if n == 0 {
		moment = 2 * time.Second // so that there is something to check
	}
	<-time.After(moment)
	l.kill()
	cancel()
	work.Wait()
	l.control.Close()
	l.tally.add("killed at work")
	l.whole()
}

// mail sends messages until the program is gone.
func (l *lives) mail(ctx context.Context, from int, account string) {
	for n := from; n < from+40 && ctx.Err() == nil; n++ {
		j := job{number: n, first: n, last: n + 1, account: account, door: []string{"plain", "starttls", "tls"}[n%3], chunks: n % 2}
		l.record(j)
		if err := l.send(&j); err != nil {
			return
		}
	}
}

func (l *lives) record(j job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs = append(l.jobs, j)
}

// churn changes accounts and passwords until the program is gone.
func (l *lives) churn(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		address := fmt.Sprintf("user%d@corp.test", rng.IntN(6))
		var err error
		switch rng.IntN(6) {
		case 0, 1, 2:
			err = l.promise(address, true, func() error { return l.add(ctx, address) })
		case 3:
			err = l.promise(address, false, func() error {
				_, err := l.control.Remove(ctx, address)
				return err
			})
		case 4:
			if _, err = l.control.Reload(ctx); err == nil {
				l.tally.add("reloaded")
			}
		case 5:
			l.provider.ExpireAccess(address)
		}
		if said := (*control.Error)(nil); err != nil && !errors.As(err, &said) {
			return // it is gone
		}
	}
}

// add imports an account whose user has just consented.
func (l *lives) add(ctx context.Context, address string) error {
	data, err := json.Marshal([]map[string]string{{"email": address, "provider": "corp", "client_id": "waxseal-test",
		"refresh_token": l.provider.Grant(address), "smtp_password": password}})
	if err != nil {
		return err
	}
	r, err := l.control.Import(ctx, data)
	if err == nil && r.Failed > 0 {
		err = &r.Problems[0].Problem
	}
	return err
}

// promise records whether an account exists after do, or that either is right if the program was
// killed meanwhile.
func (l *lives) promise(address string, there bool, do func() error) error {
	l.either[address] = l.there[address] != there
	l.half[address] = l.half[address] || l.there[address] && !there
	err := do()
	if said := (*control.Error)(nil); err == nil || errors.As(err, &said) {
		l.either[address], l.half[address] = false, false
		l.there[address] = there
		l.tally.add(map[bool]string{true: "added", false: "removed"}[there])
		return err
	}
	l.tally.add("killed during a change")
	return err
}

func (l *lives) present() (all []string) {
	for a := range l.there {
		if l.there[a] && !l.either[a] && !l.half[a] {
			all = append(all, a)
		}
	}
	slices.Sort(all)
	return all
}

// promised checks a program that has just started: the accounts that it has promised exist and can
// send.
func (l *lives) promised() {
	l.leftovers()
	accounts, err := l.control.Accounts(l.t.Context())
	if err != nil {
		l.fail("%v", err)
		return
	}
	running := map[string]bool{}
	for _, a := range accounts {
		running[a.Address] = true
	}
	for a, there := range l.there {
		if !l.either[a] && running[a] != there {
			l.fail("account %s exists: %v, and the promise was: %v", a, running[a], there)
		}
	}
	for a, either := range l.either {
		if either { // the file decides
			l.there[a], l.either[a] = running[a], false
		}
	}
	for i, a := range l.present() {
		j := job{number: l.next + i, first: l.next + i, last: l.next + i + 1, account: a, door: "plain"}
		l.record(j)
		if err := l.send(&j); err != nil || l.ledger.outcome[j.first] != accepted {
			l.fail("%s cannot send after a kill: %s, %v", a, outcomeNames[l.ledger.outcome[j.first]], err)
			text, _ := os.ReadFile(filepath.Join(l.dir, "log"))
			l.t.Logf("the end of the log:\n%s", text[max(0, len(text)-5_000):])
		}
	}
}

// whole checks the files that a killed program left behind.
func (l *lives) whole() {
	l.unfinished = l.unfinishedFiles()
	cfg, err := config.Load(l.config)
	if err != nil {
		l.fail("configuration: %v", err)
	}
	secrets, err := keystore.File(l.keys, []byte(passphrase))
	if err != nil {
		l.fail("keystore: %v", err)
		return
	}
	defer secrets.Close()
	for _, a := range cfg.Accounts {
		for _, key := range []string{"refresh/" + a.Address, "password/" + a.Address} {
			_, err := secrets.Get(l.t.Context(), key)
			// Removing an account deletes its secrets first, so one that was being removed may have
			// none.
			if err != nil && !(errors.Is(err, keystore.ErrNotFound) && l.half[a.Address]) {
				l.fail("keystore: %s: %v", key, err)
			}
		}
	}
	if crt := filepath.Join(l.dir, "localhost.crt"); exists(crt) {
		if _, err := tls.LoadX509KeyPair(crt, filepath.Join(l.dir, "localhost.key")); err != nil {
			l.fail("certificate: %v", err)
		}
	}
	if data, err := os.ReadFile(filepath.Join(l.dir, "consents.json")); err == nil && !json.Valid(data) {
		l.fail("consents.json is not JSON: %q", data)
	}
}

// leftovers checks that files whose writing the last kill interrupted are gone once the program is
// serving again. There may be others, which it is writing now.
func (l *lives) leftovers() {
	now := l.unfinishedFiles()
	for _, name := range l.unfinished {
		l.tally.add("write interrupted")
		if slices.Contains(now, name) {
			l.fail("an unfinished file was not removed: %s", name)
		}
	}
}

// unfinishedFiles lists the files that would have been renamed once they were complete.
func (l *lives) unfinishedFiles() (names []string) {
	all, err := os.ReadDir(l.dir)
	if err != nil {
		l.fail("%v", err)
	}
	for _, f := range all {
		if strings.HasPrefix(f.Name(), ".") && !strings.HasPrefix(f.Name(), "."+filepath.Base(l.keys)+".") {
			names = append(names, f.Name())
		}
	}
	return names
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func (l *lives) judge(rounds int) {
	of := map[int]string{}
	for _, j := range l.jobs {
		of[j.first] = j.account
	}
	for _, wrong := range l.ledger.receive(l.provider.Drain(), func(n int) string { return of[n] }) {
		l.fail("%s", wrong)
	}
	v := l.ledger.judge(len(l.ledger.outcome))
	for what, numbers := range map[string][]int{"was lost": v.lost, "arrived twice": v.duplicated, "arrived although refused": v.forbidden} {
		for _, n := range numbers {
			l.fail("message %d from %s %s; its outcome was %q", n, of[n], what, outcomeNames[l.ledger.outcome[n]])
		}
	}
	l.t.Logf("%d kills: accepted %d, refused %d, cut off %d, lost %d, duplicated %d", rounds,
		v.counts[accepted], v.counts[refused], v.counts[cut], len(v.lost), len(v.duplicated))
	l.t.Logf("\n%s", l.tally)
	if rounds >= kills && (v.counts[accepted] < rounds || l.tally.of["killed at work"] < rounds/3) {
		l.fail("too little happened to prove anything")
	}
}

package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// stopSoon stops the server while programs do nothing, and gives how long it took.
func (r *rig) stopSoon(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	err := r.server.Shutdown(ctx)
	return time.Since(start), err
}

// hears expects lines and then the end of the connection, which the program then closes, in the background.
func (x *reader) hears(want ...string) (done func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		rest, err := io.ReadAll(x.r)
		x.conn.Close()
		if text := strings.Join(append(want, ""), "\r\n"); string(rest) != text || err != nil {
			x.t.Errorf("%s: heard %q, %v; want %q", x.protocol, rest, err, text)
		}
	}()
	return func() { x.t.Helper(); <-ended }
}

// TestProviderEndsASession: its last words go down as they are, the connection ends though Exchange leaves it open,
// Activity says who ended it, and the next login works at once.
func TestProviderEndsASession(t *testing.T) {
	for name, end := range map[string]providertest.Ending{"Exchange": providertest.ExchangeTokenEnd, "Gmail": providertest.GmailTokenEnd, "a word less": {}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{reads: both})
			x := r.reading(api.IMAP, me)
			x.idle()
			r.provider.End(providertest.IMAP, me, end)
			start, want := time.Now(), end.Line
			if want == "" {
				want = "* BYE The provider closed the connection; log in again"
			}
			x.hears(want)()
			if took := time.Since(start); took > 4*time.Second || end.Open && took < 1500*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			eventually(t, "it is listed", func() bool { return len(r.events(api.Reading)) == 1 })
			if a := r.events(api.Reading)[0]; a.Ended != api.ByProvider || "* BYE "+a.Reply != end.Line && end.Line != "" || a.Failed() || a.Own {
				t.Errorf("listed: %+v", a)
			}
			if g := r.gauges(api.IMAP); g.Sessions != 0 || g.Ended[api.ByProvider] != 1 {
				t.Errorf("%+v", g)
			}
			r.reading(api.IMAP, me)
			if st, account := r.readStatus(api.IMAP); st.State != api.Ready || account.State != api.Ready {
				t.Errorf("%+v, %s", st, account.State)
			}
		})
	}
	t.Run("POP", func(t *testing.T) {
		r := newRig(t, rigOptions{reads: both})
		x := r.reading(api.POP, me)
		r.provider.End(providertest.POP, me, providertest.Ending{})
		x.hears()()
		eventually(t, "it is listed", func() bool { return r.gauges(api.POP).Ended[api.ByProvider] == 1 })
		r.reading(api.POP, me)
	})
}

// TestRefusedTokenIsReplacedOnce on a new connection; a second refusal is the answer.
func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	bothWays(t, func(t *testing.T, p api.Protocol) {
		r := newRig(t, rigOptions{reads: both})
		counts := func() (connections, refreshes int64) {
			n := r.provider.Counts()
			return n.IMAP.Connections + n.POP.Connections, n.Refreshes
		}
		r.login(me) // has a token
		r.provider.ExpireAccess(me)
		r.reading(p, me).conn.Close()
		if c, n := counts(); c != 2 || n != 2 {
			t.Errorf("%d connections, %d refreshes; want 2 and 2", c, n)
		}
		r.provider.SetFaults(providertest.Faults{
			IMAP: at(providertest.StepAuth, providertest.Action{Text: "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"}),
			POP:  at(providertest.StepAuth, providertest.Action{Text: "-ERR [AUTH] Invalid credentials"}),
		})
		eventually(t, "the maildrop is free", func() bool { return r.gauges(p).Ended[api.ByProgram] == 1 })
		x := r.read(p)
		for range 2 { // the second mechanism of a mail program asks nobody
			if got := x.login(me, password); !strings.Contains(got, "refuses the access token") {
				t.Errorf("told %q", got)
			}
		}
		if c, n := counts(); c != 4 || n != 3 {
			t.Errorf("%d connections, %d refreshes; want 4 and 3", c, n)
		}
	})
}

// TestYoungTokens: a session of IMAP ends with its token, so it begins with a young one, if there is one.
func TestYoungTokens(t *testing.T) {
	var clock providertest.Clock
	r := newRig(t, rigOptions{reads: both, clock: &clock})
	refreshes := func() int64 { return r.provider.Counts().Refreshes }
	r.login(me)
	clock.Set(35 * time.Minute) // 25 are left
	r.login(me)
	r.reading(api.POP, me)
	if n := refreshes(); n != 1 {
		t.Errorf("%d refreshes for SMTP and POP", n)
	}
	r.provider.SetFaults(providertest.Faults{Token: func(*http.Request) providertest.TokenFault {
		return providertest.TokenFault{Status: 503, Header: http.Header{"Retry-After": {"0"}}}
	}})
	start := time.Now()
	r.reading(api.IMAP, me).conn.Close()
	if took := time.Since(start); took > 10*time.Second || refreshes() != 1 {
		t.Errorf("with the old token: %v, %d refreshes", took, refreshes())
	}
	if st, account := r.readStatus(api.IMAP); st.State != api.Ready || account.State != api.Ready {
		t.Errorf("while the old token is good: %s, %s (%v)", st.State, account.State, account.Problem)
	}
	r.provider.SetFaults(providertest.Faults{})
	r.server.tokenBreakers.ResetAll()
	r.reading(api.IMAP, me)
	if n := refreshes(); n != 2 {
		t.Errorf("%d refreshes after IMAP", n)
	}
}

// TestStopEndsReaders: all that do nothing end at once, whatever they speak, and hear why where the protocol has words.
func TestStopEndsReaders(t *testing.T) {
	const bye = "* BYE Waxseal is stopping; try again later"
	r := newRig(t, rigOptions{reads: both})
	var ends []func()
	for range 3 {
		x := r.reading(api.IMAP, me)
		x.idle()
		ends = append(ends, x.hears(bye))
	}
	x := r.reading(api.IMAP, me)
	if got := x.do("COMPRESS DEFLATE"); !x.ok(got) {
		t.Fatalf("COMPRESS: %q", got)
	}
	ends = append(ends, x.hears(), r.read(api.IMAP).hears(bye), r.reading(api.POP, me).hears(),
		r.read(api.POP).hears("-ERR [SYS/TEMP] Waxseal is shutting down; try again later"))
	eventually(t, "all are there", func() bool { return r.gauges(api.IMAP).Sessions == 4 && r.gauges(api.POP).Sessions == 1 })
	took, err := r.stopSoon(t.Context())
	if err != nil || took > 1500*time.Millisecond {
		t.Errorf("the stop took %v, %v", took, err)
	}
	for _, end := range ends {
		end()
	}
	if g, p := r.gauges(api.IMAP), r.gauges(api.POP); g.Ended[api.ByWaxseal] != 4 || p.Ended[api.ByWaxseal] != 1 {
		t.Errorf("%+v, %+v", g, p)
	}
}

// bigLetter is more than the buffers between a provider and a program that does not read hold.
var bigLetter = append([]byte("Subject: big\r\n\r\n"), bytes.Repeat([]byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n"), 32<<20/64)...)

// TestStopInALiteral: a stop waits for the end of a message as long as it may, then says BYE.
func TestStopInALiteral(t *testing.T) {
	fetching := func(t *testing.T) (*rig, *reader) {
		r := newRig(t, rigOptions{reads: both})
		r.provider.Deliver(me, bigLetter)
		x := r.reading(api.IMAP, me)
		x.do("SELECT INBOX")
		x.send("f FETCH 1 BODY.PEEK[]\r\n")
		if got := x.line(); !strings.HasPrefix(got, "* 1 FETCH (") {
			t.Fatalf("FETCH: %q", got)
		}
		return r, x
	}
	t.Run("it goes on", func(t *testing.T) {
		r, x := fetching(t)
		stopped := make(chan error, 1)
		go func() { stopped <- r.server.Shutdown(t.Context()) }()
		eventually(t, "the stop has begun", func() bool { return r.server.hall.Stopping() })
		body := make([]byte, len(bigLetter))
		if _, err := io.ReadFull(x.r, body); err != nil || !bytes.Equal(body, bigLetter) {
			t.Fatalf("the message is cut: %v", err)
		}
		rest, err := io.ReadAll(x.r)
		x.conn.Close()
		if text := string(rest); err != nil || !strings.HasPrefix(text, ")\r\n") || !strings.HasSuffix(text, "* BYE Waxseal is stopping; try again later\r\n") {
			t.Errorf("after it: %q, %v", text, err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	t.Run("it does not", func(t *testing.T) {
		r, _ := fetching(t)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		took, err := r.stopSoon(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || took < 300*time.Millisecond || took > 2*time.Second {
			t.Errorf("the stop took %v, %v", took, err)
		}
	})
}

// TestHardStopOfReaders: a stop that may not wait cuts off who does not listen.
func TestHardStopOfReaders(t *testing.T) {
	r := newRig(t, rigOptions{reads: both})
	for range 3 {
		r.reading(api.IMAP, me).idle() // and does not close
		r.read(api.POP)
	}
	r.reading(api.POP, me)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if took, _ := r.stopSoon(ctx); took > time.Second {
		t.Errorf("the stop took %v", took)
	}
}

// TestChangedAccountsEndTheirSessions at a boundary; those of others go on.
func TestChangedAccountsEndTheirSessions(t *testing.T) {
	const other = "other@corp.test"
	for name, change := range map[string]func(*rig) error{
		"removed": func(r *rig) error { _, err := r.server.Remove(r.t.Context(), me); return err },
		"changed": func(r *rig) error { return r.server.SetLogin(r.t.Context(), me, "boss@corp.test") },
		"no longer reads": func(r *rig) error {
			return r.server.SetProtocols(r.t.Context(), me, []api.Protocol{api.SMTP})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{reads: both, accounts: []string{other}})
			x, pop, compressed := r.reading(api.IMAP, me), r.reading(api.POP, me), r.reading(api.IMAP, me)
			stays, popStays := r.reading(api.IMAP, other), r.reading(api.POP, other)
			x.idle()
			stays.idle()
			compressed.do("COMPRESS DEFLATE")
			ends := []func(){x.hears("* BYE The account was changed in Waxseal; log in again"), pop.hears(), compressed.hears()}
			eventually(t, "all are there", func() bool { return r.gauges(api.IMAP).Sessions == 3 && r.gauges(api.POP).Sessions == 2 })
			if err := change(r); err != nil {
				t.Fatal(err)
			}
			for _, end := range ends {
				end()
			}
			eventually(t, "they are counted out", func() bool { return r.gauges(api.IMAP).Sessions == 1 && r.gauges(api.POP).Sessions == 1 })
			stays.send("DONE\r\n")
			if got := stays.line(); !strings.HasPrefix(got, "i OK") {
				t.Errorf("another account's session: %q", got)
			}
			if got := popStays.do("NOOP"); !popStays.ok(got) {
				t.Errorf("another account's session: %q", got)
			}
			for _, a := range r.events(api.Reading) {
				if a.Account != me || a.Ended != api.ByWaxseal {
					t.Errorf("listed: %+v", a)
				}
			}
		})
	}
}

// TestRemovedWhileStopping: an account whose programs idle is removed while the server stops.
func TestRemovedWhileStopping(t *testing.T) {
	r := newRig(t, rigOptions{reads: both})
	x := r.reading(api.IMAP, me)
	x.idle()
	heard := make(chan string, 1)
	go func() {
		rest, _ := io.ReadAll(x.r)
		x.conn.Close()
		heard <- string(rest)
	}()
	removed := make(chan error, 1)
	go func() { _, err := r.server.Remove(t.Context(), me); removed <- err }()
	if took, err := r.stopSoon(t.Context()); err != nil || took > 3*time.Second {
		t.Errorf("the stop took %v, %v", took, err)
	}
	<-removed // either way
	if got := <-heard; !strings.HasPrefix(got, "* BYE ") {
		t.Errorf("told %q", got)
	}
}

// TestSpareConnection: who logs in often need not wait for the provider.
func TestSpareConnection(t *testing.T) {
	const rtt = 60 * time.Millisecond
	r := newRig(t, rigOptions{reads: both, provider: providertest.Options{Latency: rtt}})
	there := func(n int64) func() bool { return func() bool { return r.gauges(api.IMAP).Spares == n } }
	connections := func() int64 { return r.provider.Counts().IMAP.Connections }
	r.reading(api.IMAP, me)
	if g := r.gauges(api.IMAP); g.Spares != 0 || connections() != 1 {
		t.Errorf("after one login: %+v", g)
	}
	r.reading(api.IMAP, me)
	eventually(t, "there is a spare", there(1))
	if st, _ := r.readStatus(api.IMAP); !st.Spare || st.Sessions != 2 || connections() != 3 {
		t.Errorf("%+v, %d connections", st, connections())
	}
	x := r.read(api.IMAP)
	start := time.Now()
	if got := x.login(me, password); !x.ok(got) {
		t.Fatal(got)
	}
	if took := time.Since(start); took > rtt/2 {
		t.Errorf("the login took %v with a spare, and a round trip %v", took, rtt)
	}
	if got := x.do("SELECT INBOX"); !x.ok(got) {
		t.Errorf("on the spare: %q", got)
	}
	eventually(t, "there is another", there(1))

	r.server.Wake("test")
	eventually(t, "it is dropped on wake", there(0))
	eventually(t, "the provider has only the sessions' connections", func() bool { return r.provider.Counts().IMAP.Active == 3 })
	if got := x.do("NOOP"); !x.ok(got) {
		t.Errorf("after the wake: %q", got)
	}
	for range 3 {
		pop := r.reading(api.POP, me)
		pop.do("QUIT")
		pop.ended()
		eventually(t, "it ended", func() bool { return r.gauges(api.POP).Ended[api.ByProgram] > 0 && r.gauges(api.POP).Sessions == 0 })
	}
	if g := r.gauges(api.POP); g.Spares != 0 || r.provider.Counts().POP.Connections != 3 {
		t.Errorf("POP: %+v", g)
	}
	r.reading(api.IMAP, me)
	eventually(t, "there is one again", there(1))
	if _, err := r.server.Remove(t.Context(), me); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a removed account has none", func() bool { return r.provider.Counts().IMAP.Active == 0 })
}

// TestSpareLeavesRoom: half of the connections that a provider allows are the mail programs' own.
func TestSpareLeavesRoom(t *testing.T) {
	r := newRig(t, rigOptions{reads: both, config: func(c *config.Config) { c.Providers[0].ReadConnections = 4 }})
	for range 3 {
		r.reading(api.IMAP, me)
	}
	if st, _ := r.readStatus(api.IMAP); st.Limit != 4 || st.Sessions != 3 || r.provider.Counts().IMAP.Connections != 3 {
		t.Errorf("%+v, %d connections", st, r.provider.Counts().IMAP.Connections)
	}
}

// TestLostConnectionToTheProvider: the mail program hears it, and does not wait for minutes.
func TestLostConnectionToTheProvider(t *testing.T) {
	r := newRig(t, rigOptions{reads: both})
	x := r.reading(api.IMAP, me)
	r.provider.SetFaults(providertest.Faults{IMAP: func(e providertest.Event) providertest.Action {
		return providertest.Action{Drop: strings.HasSuffix(e.Line, " NOOP")}
	}})
	r.server.Wake("test")
	if got := x.do("NOOP"); got != "* BYE The connection to the provider was lost; log in again" && got != "* BYE The provider closed the connection; log in again" {
		t.Errorf("told %q", got)
	}
	x.ended()
	eventually(t, "it is counted out", func() bool { return r.gauges(api.IMAP).Sessions == 0 })
	r.provider.SetFaults(providertest.Faults{})
	r.reading(api.IMAP, me)
}

// TestSharedMailbox: the name to read it with is found, and remembered over a restart.
func TestSharedMailbox(t *testing.T) {
	const shared, boss = "shared@corp.test", "boss@corp.test"
	bothWays(t, func(t *testing.T, p api.Protocol) {
		for name, takes := range map[string]string{"the mailbox's": shared, "the user's": boss} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, rigOptions{reads: both, noAccount: true, provider: providertest.Options{Shared: map[string][]string{shared: {boss}}}})
				r.add(shared)
				if err := r.server.SetLogin(t.Context(), shared, boss); err != nil {
					t.Fatal(err)
				}
				if _, err := r.server.hall.Mailbox(shared).Grant.Accept(t.Context(), r.provider.Grant(boss)); err != nil {
					t.Fatal(err)
				}
				var mu sync.Mutex
				var asked []string
				names := func() []string {
					mu.Lock()
					defer mu.Unlock()
					return slices.Compact(slices.Clone(asked))
				}
				refuse := func(text string) func(providertest.Event) providertest.Action {
					return func(e providertest.Event) providertest.Action {
						if e.Step != providertest.StepAuth {
							return providertest.Action{}
						}
						mu.Lock()
						defer mu.Unlock()
						asked = append(asked, e.Account)
						if e.Account != takes {
							return providertest.Action{Text: text}
						}
						return providertest.Action{}
					}
				}
				r.provider.SetFaults(providertest.Faults{IMAP: refuse("NO AUTHENTICATE failed."), POP: refuse("-ERR Authentication failure: unknown user name or bad password.")})
				r.reading(p, shared).conn.Close()
				want := slices.Compact([]string{shared, takes})
				eventually(t, "it ended", func() bool { return r.gauges(p).Ended[api.ByProgram] == 1 })
				if got := names(); !slices.Equal(got, want) {
					t.Errorf("asked for %q", got)
				}
				r.reading(p, shared).conn.Close()
				eventually(t, "it ended", func() bool { return r.gauges(p).Ended[api.ByProgram] == 2 })
				if got := names(); !slices.Equal(got, want) { // no other name was tried
					t.Errorf("later asked for %q", got)
				}
				r.stop()
				text, err := os.ReadFile(filepath.Join(filepath.Dir(r.config), "consents.json"))
				if err != nil || !strings.Contains(string(text), `_user": "`+takes+`"`) {
					t.Errorf("%v, %s", err, text)
				}
				ages, err := loadAges(agesPath(r.config))
				if err != nil || ages.Worked(shared, p) != takes {
					t.Errorf("after a restart: %v, %q", err, ages.Worked(shared, p))
				}
			})
		}
	})
}

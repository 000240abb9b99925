package proxy

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// readRefusal is why a program with the right password cannot read, and what it and its user are told.
type readRefusal struct {
	provider providertest.Options
	config   func(*config.Config)
	upset    func(*rig)
	heal     func(*rig) // nil: no login works afterwards
	before   int        // logins that fail before the one that is looked at
	sends    bool       // the account can send all the while
	whole    bool       // it is the whole account's trouble, not that of reading alone

	imap, pop string // how the answers begin
	words     string // what is in both
	result    api.Result
	state     api.State
	healed    api.State // of the account without another login; "" is not looked at
}

const passwordIsRight = "The password is correct. "

// TestReadingRefused has every reason, for both protocols: what the mail program is told, what Activity lists, what
// the account's state says, and that all is well once the reason is gone.
func TestReadingRefused(t *testing.T) {
	const no, sysPerm, sysTemp = "NO [UNAVAILABLE] ", "-ERR [SYS/PERM] ", "-ERR [SYS/TEMP] "
	said := func(imap, pop string) func(*rig) {
		return func(r *rig) {
			r.provider.SetFaults(providertest.Faults{
				IMAP: at(providertest.StepAuth, providertest.Action{Text: imap}), POP: at(providertest.StepAuth, providertest.Action{Text: pop}),
			})
		}
	}
	quiet := func(r *rig) { r.provider.SetFaults(providertest.Faults{}) }
	only := func(scope string) func(*rig) {
		return func(r *rig) {
			if _, err := r.server.hall.Mailbox(me).Grant.Accept(r.t.Context(), r.provider.GrantScope(me, scope)); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	reads := map[providertest.Protocol]string{providertest.IMAP: "mail.read", providertest.POP: "mail.read"}
	closed := func(c *config.Config) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		l.Close()
		c.Providers[0].IMAP, c.Providers[0].POP = l.Addr().String(), l.Addr().String()
	}
	for name, c := range map[string]readRefusal{
		"consent gone": {
			whole: true,
			upset: func(r *rig) { r.provider.Revoke(me) }, heal: func(r *rig) { r.add(me) },
			imap: no + passwordIsRight, pop: sysPerm + passwordIsRight, words: "ign in again", result: api.Refused, state: api.NeedsConsent, healed: api.Unused,
		},
		"no permission to read, says the provider": {
			provider: providertest.Options{Scopes: reads}, upset: only("mail.send"), heal: only("mail.send mail.read"), sends: true,
			imap: no + passwordIsRight, pop: sysPerm + passwordIsRight, words: "refuses the access token of me@corp.test for reading mail. Sign in again and allow reading", result: api.Refused, state: api.ReadingNotGranted,
		},
		"no permission to read, as is known": {
			provider: providertest.Options{Scopes: reads}, upset: only("mail.send"), heal: only("mail.send mail.read"), sends: true,
			config: func(c *config.Config) {
				c.Providers[0].IMAPScopes, c.Providers[0].POPScopes = []string{"mail.read"}, []string{"mail.read"}
			},
			imap: no + passwordIsRight, pop: sysPerm + passwordIsRight, words: "ermission to read mail with", result: api.Refused, state: api.ReadingNotGranted, healed: api.Unused,
		},
		"switched off": {
			upset: said(providertest.NotEnabled, "-ERR [SYS/PERM] Your account is not enabled for POP access. Please visit your Gmail settings page."), heal: quiet, sends: true,
			imap: no + passwordIsRight, pop: sysPerm + passwordIsRight, words: "is switched off for me@corp.test", result: api.Refused, state: api.ReadingDisabled,
		},
		"wrong mailbox": {
			upset: func(r *rig) {
				said("NO AUTHENTICATE failed.", "-ERR Authentication failure: unknown user name or bad password.")(r)
				if err := r.server.SetLogin(r.t.Context(), me, "boss@corp.test"); err != nil {
					r.t.Fatal(err)
				}
			},
			imap: no + passwordIsRight, pop: sysPerm + passwordIsRight, words: "does not let the user who signed in read the mailbox me@corp.test", result: api.Refused, state: api.WrongIdentity,
		},
		"unreachable": {
			config: closed, sends: true,
			imap: no, pop: sysTemp, words: "mail server 127.0.0.1 can't be reached", result: api.Deferred, state: api.MailServerDown,
		},
		"the breaker is open": {
			config: closed, before: 9, sends: true,
			imap: no, pop: sysTemp, words: " seconds", result: api.Deferred, state: api.MailServerDown,
		},
		"keystore locked": {
			whole: true,
			upset: func(r *rig) {
				if err := r.server.SetLogin(r.t.Context(), me, me); err != nil { // nothing is in memory then, as after a start
					r.t.Fatal(err)
				}
				r.secrets.Fail(keystore.ErrLocked)
			},
			heal: func(r *rig) {
				r.secrets.Fail(nil)
				r.server.hall.Preload(r.t.Context())
			},
			imap: no, pop: sysTemp, words: "The keychain is locked.", result: api.Deferred, state: api.KeystoreLocked, healed: api.Unused,
		},
		"token endpoint down": {
			whole: true,
			upset: func(r *rig) {
				r.provider.SetFaults(providertest.Faults{Token: func(*http.Request) providertest.TokenFault {
					return providertest.TokenFault{Status: 503, Header: http.Header{"Retry-After": {"0"}}}
				}})
			},
			heal: quiet, imap: no, pop: sysTemp, words: "sign-in server", result: api.Deferred, state: api.SignInDown,
		},
		"paused": {
			upset: func(r *rig) { r.server.SetPaused(true) }, heal: func(r *rig) { r.server.SetPaused(false) }, sends: true,
			imap: no, pop: sysTemp, words: "Waxseal is paused. Resume it from its icon or its window",
		},
		"too many simultaneous connections": {
			upset: said(providertest.TooManyConnections, "-ERR [IN-USE] Too many simultaneous connections."), heal: quiet, sends: true,
			imap: no, pop: "-ERR [IN-USE] ", words: "Too many simultaneous connections", result: api.Deferred, state: api.ProviderBusy,
		},
		"the server turns away": {
			upset: func(r *rig) {
				r.provider.SetFaults(providertest.Faults{
					IMAP: at(providertest.StepGreeting, providertest.Action{Text: "BYE Come back later"}), POP: at(providertest.StepGreeting, providertest.Action{Text: "-ERR Come back later"}),
				})
			},
			heal: quiet, sends: true,
			imap: no, pop: sysTemp, words: "refuses the connection for now", result: api.Deferred, state: api.TurnedAway,
		},
		"an untrusted certificate": {
			upset: func(r *rig) {
				expired := at(providertest.StepTLS, providertest.Action{Expired: true})
				r.provider.SetFaults(providertest.Faults{IMAP: expired, POP: expired})
			},
			heal: quiet, sends: true,
			imap: no, pop: sysTemp, words: "isn't trusted", result: api.Deferred, state: api.Untrusted,
		},
		"no OAuth": {
			provider: providertest.Options{Mechanisms: []string{"XOAUTH2"}, IMAP: providertest.Manners{Before: []string{"IMAP4rev1", "AUTH=PLAIN"}}},
			upset: func(r *rig) {
				r.provider.SetFaults(providertest.Faults{POP: func(e providertest.Event) providertest.Action {
					if e.Line == "CAPA" {
						return providertest.Action{Raw: "+OK\r\nSASL PLAIN\r\n.\r\n"}
					}
					return providertest.Action{}
				}})
			},
			sends: true, imap: no + passwordIsRight, pop: sysPerm + passwordIsRight, words: "offers no sign-in with OAuth", result: api.Refused, state: api.Unusable,
		},
		"authenticated but not connected": {
			provider: providertest.Options{IMAP: providertest.Exchange},
			upset: func(r *rig) {
				r.provider.SetFaults(providertest.Faults{IMAP: func(e providertest.Event) providertest.Action {
					if strings.HasSuffix(e.Line, " NAMESPACE") {
						return providertest.Action{Text: providertest.NotConnected}
					}
					return providertest.Action{}
				}, POP: at(providertest.StepAuth, providertest.Action{Text: "-ERR User is authenticated but not connected."})})
			},
			heal: quiet, sends: true,
			imap: no + passwordIsRight, pop: sysPerm + passwordIsRight, words: "did not open the mailbox of me@corp.test", result: api.Refused, state: api.ReadingDisabled,
		},
		"throttled": {
			upset: said("NO [UNAVAILABLE] Request is throttled. Suggested Backoff Time: 279310 milliseconds", "-ERR [SYS/TEMP] Request is throttled."), heal: quiet, sends: true,
			imap: no, pop: sysTemp, words: "asks me@corp.test to slow down", result: api.Deferred, state: api.ProviderBusy,
		},
		"the account's limit": {
			config: func(c *config.Config) { c.MaxConnectionsPerAccount = 1 },
			upset:  func(r *rig) { r.login(me) },
			imap:   no, pop: "-ERR [IN-USE] ", words: me + " already has a connection, which is its limit; close it", sends: true,
		},
		"another protocol": {
			upset: func(r *rig) {
				r.add("other@corp.test") // keeps the ports open
				if err := r.server.SetProtocols(r.t.Context(), me, []api.Protocol{api.SMTP}); err != nil {
					r.t.Fatal(err)
				}
			},
			heal: func(r *rig) {
				if err := r.server.SetProtocols(r.t.Context(), me, append([]api.Protocol{api.SMTP}, both...)); err != nil {
					r.t.Fatal(err)
				}
			},
			sends: true, imap: no + passwordIsRight, pop: sysPerm + passwordIsRight, words: "isn't set up for", result: api.Refused,
		},
	} {
		t.Run(name, func(t *testing.T) { bothWays(t, func(t *testing.T, p api.Protocol) { c.test(t, p) }) })
	}
}

func (c readRefusal) test(t *testing.T, p api.Protocol) {
	r := newRig(t, rigOptions{provider: c.provider, config: c.config, reads: both})
	if c.upset != nil {
		c.upset(r)
	}
	for range c.before {
		r.read(p).login(me, password)
	}
	got := c.login(r, p)
	want := map[api.Protocol]string{api.IMAP: c.imap, api.POP: c.pop}[p]
	if !strings.HasPrefix(got, want) || !strings.Contains(got, c.words) || strings.HasPrefix(got[len(want):], passwordIsRight) {
		t.Errorf("told %q; want %q… with %q", got, want, c.words)
	}
	logins := r.events(api.Login)
	switch {
	case c.result == "" && len(logins) > 0, c.result != "" && len(logins) == 0:
		t.Fatalf("listed: %+v", logins)
	case c.result != "":
		a := logins[len(logins)-1]
		if a.Account != me || a.Protocol != p || a.Result != c.result || !a.Own || a.Problem == nil || !strings.HasSuffix(a.Reply, got) || a.Client != "127.0.0.1" {
			t.Errorf("listed: %+v, want the reply %q", a, got)
		}
	}
	st, account := r.readStatus(p)
	whole, problem, _ := account.Overall()
	if c.state != "" && (st.State != c.state || whole != c.state || st.Problem == nil || problem == nil) {
		t.Errorf("reading is %s (%v), the account %s (%v); want %s", st.State, st.Problem, whole, problem, c.state)
	}
	if g := r.gauges(p); g.Sessions+g.Logins != 0 {
		t.Errorf("%+v", g)
	}
	if c.sends && c.words != "" && !strings.Contains(got, "paused") && !strings.Contains(got, "its limit") {
		if got := r.login(me).message(me, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
			t.Errorf("sending: %q", got)
		}
	}
	if c.heal == nil {
		return
	}
	c.heal(r)
	if c.healed != "" {
		if st, account := r.readStatus(p); account.Severity() != api.Fine || st.Problem != nil {
			t.Errorf("afterwards reading is %s, the account %s (%v)", st.State, account.State, account.Problem)
		}
	}
	r.reading(p, me)
	eventually(t, "a session", func() bool { return r.gauges(p).Sessions == 1 })
	if st, account := r.readStatus(p); st.State != api.Ready || account.State != api.Ready || st.Sessions != 1 {
		t.Errorf("afterwards: %+v, account %s (%v)", st, account.State, account.Problem)
	}
}

// login gives the answer to the login, or the greeting that is one.
func (c readRefusal) login(r *rig, p api.Protocol) string {
	x := r.readRaw(p, false)
	if greeting := x.line(); strings.HasPrefix(greeting, "-ERR") {
		x.ended()
		return greeting
	}
	return x.login(me, password)
}

// TestWrongPasswordToRead: one click in Thunderbird is up to four tries, which count once.
func TestWrongPasswordToRead(t *testing.T) {
	bothWays(t, func(t *testing.T, p api.Protocol) {
		r := newRig(t, rigOptions{reads: both})
		want := map[api.Protocol]string{api.IMAP: "NO [AUTHENTICATIONFAILED] Wrong user name or local password", api.POP: "-ERR [AUTH] Wrong user name or local password"}[p]
		start := time.Now()
		for range 12 { // more than are free
			if got := r.read(p).login(me, "the same"); !strings.HasPrefix(got, want) {
				t.Fatalf("told %q", got)
			}
		}
		if took := time.Since(start); took > 900*time.Millisecond {
			t.Errorf("the same password, 12 times: %v", took)
		}
		if s := r.server.hall.Suspects(); len(s) != 1 || s[0].Failures != 1 {
			t.Errorf("%+v", s)
		}
		x := r.read(p)
		if got := x.login(me, "another"); !strings.HasPrefix(got, want) {
			t.Errorf("told %q", got)
		}
		if s := r.server.hall.Suspects(); len(s) != 1 || s[0].Failures != 2 {
			t.Errorf("%+v", s)
		}
		if got := r.read(p).login("nobody@corp.test", password); !strings.HasPrefix(got, want) {
			t.Errorf("told %q", got)
		}
		logins := r.events(api.Login)
		if len(logins) != 2 || logins[0].Times != 13 || logins[0].Protocol != p || logins[0].Result != api.Refused || logins[1].Account != "nobody@corp.test" {
			t.Errorf("listed: %+v", logins)
		}
		if n := r.provider.Counts(); n.TokenRequests+n.IMAP.Connections+n.POP.Connections != 0 {
			t.Errorf("the provider was asked: %+v", n)
		}
		if got := x.login(me, password); !x.ok(got) {
			t.Errorf("the right one: %q", got)
		}
		eventually(t, "a session", func() bool { return r.gauges(p).Sessions == 1 })
		if st, account := r.readStatus(p); st.State != api.Ready || account.State != api.Ready {
			t.Errorf("%+v, %s", st, account.State)
		}
	})
}

// TestTooManyConnectionsToRead: over max_connections the greeting says so.
func TestTooManyConnectionsToRead(t *testing.T) {
	bothWays(t, func(t *testing.T, p api.Protocol) {
		r := newRig(t, rigOptions{reads: both, config: func(c *config.Config) { c.MaxConnections = 2 }})
		r.login(me)
		first := r.reading(p, me)
		x := r.readRaw(p, false)
		want := map[api.Protocol]string{api.IMAP: "* BYE [UNAVAILABLE] ", api.POP: "-ERR [SYS/TEMP] "}[p] + "Waxseal has reached its limit of 2 connections; try again later"
		if got := x.line(); got != want {
			t.Errorf("greeting %q", got)
		}
		x.ended()
		s := r.server.Snapshot()
		if s.Refused != 1 || s.Connections != 1 || s.Clients != 2 || r.gauges(p).Connections != 1 {
			t.Errorf("refused %d, SMTP %d, all %d, %+v", s.Refused, s.Connections, s.Clients, r.gauges(p))
		}
		first.conn.Close()
		eventually(t, "it is counted out", func() bool { return r.gauges(p).Sessions == 0 && r.server.Snapshot().Clients == 1 })
		r.reading(p, me)
	})
}

// TestReadingFromElsewhere: on a network, a password is taken over TLS only.
func TestReadingFromElsewhere(t *testing.T) {
	bothWays(t, func(t *testing.T, p api.Protocol) {
		r := newRig(t, rigOptions{reads: both})
		ours, theirs := tcpPair(t)
		client := r.server.hall.Admit(elsewhere{ours}, p, false)
		serve := map[api.Protocol]func(*mailbox.Client){api.IMAP: r.server.imap.Serve, api.POP: r.server.pop.Serve}[p]
		var served sync.WaitGroup
		served.Go(func() { serve(client) })
		t.Cleanup(func() { theirs.Close(); served.Wait() })
		x := &reader{t: t, protocol: p, conn: theirs, r: bufio.NewReader(theirs)}
		theirs.SetDeadline(time.Now().Add(patience))
		greeting := x.line()
		if p == api.IMAP && (!strings.Contains(greeting, "STARTTLS LOGINDISABLED") || strings.Contains(greeting, "AUTH=")) {
			t.Errorf("greeting %q", greeting)
		}
		if got := x.login(me, password); x.ok(got) || !strings.Contains(got, map[api.Protocol]string{api.IMAP: "[PRIVACYREQUIRED]", api.POP: "STLS"}[p]) {
			t.Errorf("in clear text: %q", got)
		}
		if got := x.do(map[api.Protocol]string{api.IMAP: "STARTTLS", api.POP: "STLS"}[p]); !x.ok(got) {
			t.Fatalf("told %q", got)
		}
		over := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true})
		x.conn, x.r = over, bufio.NewReader(over)
		if got := x.login(me, password); !x.ok(got) {
			t.Errorf("over TLS: %q", got)
		}
	})
}

// TestNotAMailProgramThatReads: three wrong commands, or no login in time, end the connection.
func TestNotAMailProgramThatReads(t *testing.T) {
	bothWays(t, func(t *testing.T, p api.Protocol) {
		r := newRig(t, rigOptions{reads: both})
		x := r.read(p)
		x.send("x FROBNICATE\r\nx FROBNICATE\r\nx FROBNICATE\r\n")
		last := ""
		for line := x.line(); line != gone; line = x.line() {
			last = line
		}
		if want := map[api.Protocol]string{api.IMAP: "* BYE Too many", api.POP: "-ERR Too many"}[p]; !strings.HasPrefix(last, want) {
			t.Errorf("told %q", last)
		}
		r = newRig(t, rigOptions{reads: both, config: func(c *config.Config) { c.IdleTimeout = config.Duration(100 * time.Millisecond) }})
		x = r.read(p)
		if got, want := x.line(), map[api.Protocol]string{api.IMAP: "* BYE No login within 100ms", api.POP: "-ERR No login within 100ms"}[p]; !strings.HasPrefix(got, want) {
			t.Errorf("told %q", got)
		}
		x.ended()
		if logins := r.events(api.Login); len(logins) != 0 {
			t.Errorf("listed: %+v", logins)
		}
		eventually(t, "it is counted out", func() bool { return r.server.Snapshot().Clients == 0 })
	})
}

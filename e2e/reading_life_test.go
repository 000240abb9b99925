//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What happens to a reader's consent, tokens and connections.
func TestReadingLife(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]func(*testing.T){
		"revoked at the provider, then given again": readingTakenBack,
		"an access token that expires early":        readingRefusedToken,
		"a token ends during a session":             readingOverTokens,
		"reading is added later":                    readingAdded,
		"a token that is not for reading":           readingNotGranted,
		"a stop during IDLE":                        readingStopped,
		"a stop during IDLE behind COMPRESS":        readingStoppedCompressed,
		"no server":                                 readingUnreachable,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part(t)
		})
	}
}

func readingTakenBack(t *testing.T) {
	r := newReader(t, "kit@mail.test")
	c := r.imap()
	grant := peers.provider.last(t, r.address)
	peers.provider.revoke(t, grant, grant.Refresh)
	c.do("NOOP") // goes on, because the server lets it
	for range 2 {
		imap, pop := r.refused()
		if !strings.HasPrefix(imap, "NO [UNAVAILABLE] The password is correct") || !strings.HasPrefix(pop, "-ERR [SYS/PERM] The password is correct") ||
			!strings.Contains(imap+pop, "account reauthorize "+r.address) {
			t.Errorf("the mail program gets\n%s\n%s", imap, pop)
		}
	}
	if list := r.waxseal(0, "account", "list"); !strings.Contains(list, "needs_consent") {
		t.Errorf("account list:\n%s", list)
	}
	r.reauthorize(r.address, 0)
	r.imap().do("SELECT INBOX")
	c.do("NOOP")
	r.stop()
}

// The mail server refuses the token that Waxseal has. The account gets a new one, and its user does
// not notice.
func readingRefusedToken(t *testing.T) {
	r := newReader(t, "pit@mail.test")
	r.imap().logout()
	for _, protocol := range []string{"imap", "pop"} {
		grant := peers.provider.last(t, r.address)
		peers.provider.end(t, grant.Access)
		if protocol == "imap" {
			r.imap().logout()
		} else if answer := dialPOP(t, r.at["pop"], "").login(r.address, r.password); !strings.HasPrefix(answer, "+OK") {
			t.Error(answer)
		}
		if now := peers.provider.last(t, r.address); now.Access == grant.Access || now.Spent != grant.Refresh {
			t.Errorf("%s: Waxseal did not get a new access token", protocol)
		}
	}
	unbroken(t, peers.provider.grants(r.address))
	r.stop()
}

// Access tokens live for two seconds here.
func readingOverTokens(t *testing.T) {
	r := newReader(t, "ron@short.test")
	held := r.imap()
	held.do("SELECT INBOX")
	logins := 0
	for start := len(peers.provider.grants(r.address)); len(peers.provider.grants(r.address)) < start+5; logins++ {
		c := r.imap()
		c.append("INBOX", "", generated(1)[0])
		c.logout()
	}
	if got := strings.Join(held.do("NOOP"), "\n"); !strings.Contains(got, fmt.Sprintf("* %d EXISTS", logins)) {
		t.Errorf("the session of the first token gets %q", got)
	}
	unbroken(t, peers.provider.grants(r.address))
	t.Logf("%d logins over %d tokens", logins, len(peers.provider.grants(r.address)))
	r.stop()
}

// An account that sends begins to read: its consent is not wide enough, and the mail program is told
// what to do.
func readingAdded(t *testing.T) {
	const add = "add@mail.test"
	r := &reader{desk: newDesk(t), address: add}
	r.signUp("", 0)
	if scope := peers.provider.last(t, add).Scope; strings.Contains(scope, "mail.") {
		t.Errorf("an account that only sends asks for %q", scope)
	}
	r.configure(allProtocols + "\n")
	r.serve()
	imap, pop := r.refused()
	if !strings.HasPrefix(imap, "NO [UNAVAILABLE] ") || !strings.HasPrefix(pop, "-ERR [SYS/PERM] ") || !strings.Contains(imap, "account reauthorize "+add) {
		t.Errorf("the mail program gets\n%s\n%s", imap, pop)
	}
	r.send(add, starttls, "add-meanwhile") // goes on
	r.reauthorize(add, 0)
	r.imap().do("SELECT INBOX")
	r.stop()
}

// The provider is configured without scopes for reading, and the mail server does not take its tokens.
func readingNotGranted(t *testing.T) {
	r := &reader{desk: newDesk(t), address: "nil@narrow.test"}
	narrow := entry("narrow", "desktop", "issuer", "starttls", peers.both)
	r.configure(strings.NewReplacer("imap_scopes = [\"mail.imap\"]\n", "", "pop_scopes = [\"mail.pop\"]\n", "").Replace(narrow))
	r.signUp(allProtocols, 1)
	r.serve()
	imap, pop := r.refused()
	if !strings.HasPrefix(imap, "NO [UNAVAILABLE] ") || !strings.HasPrefix(pop, "-ERR [SYS/") {
		t.Errorf("the mail program gets\n%s\n%s", imap, pop)
	}
	r.send(r.address, starttls, "narrow")
	r.stop()
}

// A stop does not wait for sessions that wait: it would take an hour.
func readingStopped(t *testing.T) {
	r := stoppable(t, "sid@mail.test")
	idle, selected := r.imap(), r.imap()
	idle.do("SELECT INBOX")
	idle.send("IDLE")
	idle.sees(`^\+`)
	selected.do("SELECT INBOX")
	pop := dialPOP(t, r.at["pop"], "")
	pop.login(r.address, r.password)
	r.stops(func() {
		for _, c := range []*imapClient{idle, selected} {
			c.sees(`^\* BYE `)
			c.ended()
			c.conn.Close()
		}
		pop.ended()
	})
}

// Behind COMPRESS, nothing can be said in between: the connection is closed.
func readingStoppedCompressed(t *testing.T) {
	r := stoppable(t, "sue@mail.test")
	c := r.imap()
	c.compress()
	c.do("SELECT INBOX")
	c.send("IDLE")
	c.sees(`^\+`)
	r.stops(func() {
		c.ended()
		c.conn.Close()
	})
}

// stoppable is a reader whose Waxseal would wait long for what is in progress.
func stoppable(t *testing.T, address string) *reader {
	r := &reader{desk: newDesk(t), address: address}
	r.write("config.toml", "shutdown_timeout = \"1h\"\n"+r.text("config.toml"))
	r.signUp(allProtocols, 0)
	r.serve()
	return r
}

// stops ends Waxseal while mail programs do what they do at the end.
func (r *reader) stops(meanwhile func()) {
	r.t.Helper()
	began := time.Now()
	r.serving.cmd.Process.Signal(syscall.SIGTERM)
	meanwhile()
	r.serving.ends(r.t, nil, 0)
	r.t.Logf("the stop took %v", time.Since(began))
}

func readingUnreachable(t *testing.T) {
	ports, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{desk: newDesk(t), address: "uwe@gone.test"}
	gone := entry("gone", "desktop", "issuer", "starttls", peers.both)
	r.configure(strings.NewReplacer(peers.both.imap, fmt.Sprint("localhost:", ports[0]), peers.both.pop, fmt.Sprint("localhost:", ports[1])).Replace(gone))
	r.signUp(allProtocols, 1)
	r.serve()
	imap, pop := r.refused()
	if !strings.HasPrefix(imap, "NO [UNAVAILABLE] ") || !strings.HasPrefix(pop, "-ERR [SYS/TEMP] ") {
		t.Errorf("the mail program gets\n%s\n%s", imap, pop)
	}
	r.send(r.address, starttls, "gone")
	r.stop()
}

package imapd

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/breaker"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/history"
	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/providertest"
)

const me, password = "me@corp.test", "local-password-1"

// rig is a server with one account at a provider.
type rig struct {
	*Server
	provider *providertest.Provider
	box      *mailbox.Mailbox
	serving  sync.WaitGroup
}

func newRig(t *testing.T) *rig {
	t.Helper()
	p, err := providertest.Start(providertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := mailbox.NewHall()
	h.Log, h.Secrets, h.IdleTimeout = slog.New(slog.DiscardHandler), keystore.Memory(), time.Minute
	h.Config = func() *config.Config { return new(config.Default()) }
	if h.History, err = history.Open(""); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	box := h.New(api.Account{Address: me, Protocols: []api.Protocol{api.IMAP}}, config.Provider{
		ID: "corp", ClientID: "waxseal-test", TokenURL: p.TokenURL(), SMTP: p.SMTPAddr, IMAP: p.IMAPAddr, IMAPTLS: "implicit",
	}, mailbox.Parts{HTTP: &http.Client{Transport: transport}, Roots: p.Pool(), Now: time.Now, Timeouts: mailbox.Timeouts{Token: 10 * time.Second},
		Tokens: breaker.NewSet(breaker.Settings{}), Servers: breaker.NewSet(breaker.Settings{})})
	box.Password.Set(password)
	if _, err := box.Grant.Accept(t.Context(), p.Grant(me)); err != nil {
		t.Fatal(err)
	}
	h.Use(map[string]*mailbox.Mailbox{me: box})
	r := &rig{Server: New(h), provider: p, box: box}
	r.Accounts([]string{me})
	t.Cleanup(func() {
		h.Kill()
		r.serving.Wait()
		h.Wait()
		r.Close(context.Background())
		box.Close(context.Background())
		transport.CloseIdleConnections()
		p.Close()
	})
	return r
}

// program is a mail program that speaks to the server.
type program struct {
	net.Conn
	in *bufio.Reader
	t  testing.TB
}

func (r *rig) connect(t testing.TB) *program {
	t.Helper()
	dialled, accepted := tcpPair(t)
	c := r.hall.Admit(accepted, api.IMAP, false)
	r.serving.Go(func() { r.Serve(c) })
	p := &program{dialled, bufio.NewReader(dialled), t}
	p.hears("* OK [CAPABILITY IMAP4rev1 SASL-IR ID ")
	return p
}

// says sends a line, and hears gives the next line, which begins so.
func (p *program) says(line string) { io.WriteString(p, line+"\r\n") }

func (p *program) hears(beginning string) string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	if !strings.HasPrefix(line, beginning) {
		p.t.Fatalf("heard %q (%v), want %q", line, err, beginning)
	}
	return line
}

// until reads up to the line that begins so.
func (p *program) until(beginning string) {
	p.t.Helper()
	for {
		line, err := p.in.ReadString('\n')
		if strings.HasPrefix(line, beginning) {
			return
		}
		if err != nil {
			p.t.Fatalf("waiting for %q: %v", beginning, err)
		}
	}
}

func (p *program) logIn() {
	p.t.Helper()
	p.says("a LOGIN " + me + " " + password)
	p.until("a OK")
}

// ended waits for the end of the sessions and gives the last one in the history.
func (r *rig) ended(t testing.TB) api.Activity {
	t.Helper()
	r.serving.Wait()
	if n := r.box.Reader(api.IMAP).Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	all := r.hall.History.After(0)
	if len(all) == 0 || all[len(all)-1].Kind != api.Reading {
		t.Fatalf("the history has %+v", all)
	}
	return all[len(all)-1]
}

// A login, commands, a message, and LOGOUT.
func TestSession(t *testing.T) {
	r := newRig(t)
	r.provider.Deliver(me, []byte("Subject: hello\r\n\r\ntext\r\n"))
	p := r.connect(t)
	p.says("a LOGIN " + me + " wrong")
	p.hears("a NO [AUTHENTICATIONFAILED] ")
	p.logIn()
	p.says("b SELECT INBOX\r\nc FETCH 1 BODY[]")
	p.until("b OK")
	p.until("Subject: hello")
	p.until("c OK")
	p.says("d LOGOUT")
	p.until("d OK")
	if rest, err := io.ReadAll(p.in); len(rest) > 0 || err != nil {
		t.Errorf("heard %q, %v at the end", rest, err)
	}
	p.Close()
	if e := r.ended(t); e.Ended != api.ByProgram || e.Kind != api.Reading || e.Up == 0 || e.Down == 0 {
		t.Errorf("the history has %+v", e)
	}
}

// How sessions end, what the mail program hears, and what the history says.
func TestSessionEnds(t *testing.T) {
	tests := map[string]struct {
		end   func(r *rig, p *program)
		want  api.EndedBy
		heard string
	}{
		"the provider says BYE":    {func(r *rig, p *program) { r.provider.End(providertest.IMAP, me, providertest.GmailTokenEnd) }, api.ByProvider, "* BYE Session expired, please login again.\r\n"},
		"and leaves it open":       {func(r *rig, p *program) { r.provider.End(providertest.IMAP, me, providertest.ExchangeTokenEnd) }, api.ByProvider, "* BYE Session invalidated - AccessTokenExpired\r\n"},
		"the provider just leaves": {func(r *rig, p *program) { r.provider.End(providertest.IMAP, me, providertest.Ending{}) }, api.ByProvider, "* BYE The provider closed the connection; log in again\r\n"},
		"a stop":                   {func(r *rig, p *program) { r.hall.StopServing() }, api.ByWaxseal, "* BYE Waxseal is stopping; try again later\r\n"},
		"a stop in IDLE":           {func(r *rig, p *program) { p.says("b IDLE"); p.until("+"); r.hall.StopServing() }, api.ByWaxseal, "* BYE Waxseal is stopping; try again later\r\n"},
		"a hard stop":              {func(r *rig, p *program) { r.hall.Kill() }, api.ByWaxseal, ""},
		"the program leaves":       {func(r *rig, p *program) { p.Conn.(*net.TCPConn).CloseWrite() }, api.ByProgram, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			p := r.connect(t)
			p.logIn()
			test.end(r, p)
			heard, _ := io.ReadAll(p.in)
			p.Close()
			if test.want != api.ByProgram && string(heard) != test.heard {
				t.Errorf("heard %q, want %q", heard, test.heard)
			}
			if e := r.ended(t); e.Ended != test.want {
				t.Errorf("ended by %q, want %q", e.Ended, test.want)
			}
		})
	}
}

// A refused token is renewed; one that cannot be is no question for a password.
func TestRefusedLogins(t *testing.T) {
	r := newRig(t)
	p := r.connect(t)
	p.logIn()
	p.Close()
	r.serving.Wait()
	r.Drop()
	r.provider.ExpireAccess(me)
	p = r.connect(t)
	p.logIn()
	p.Close()
	r.serving.Wait()
	r.Drop()
	r.provider.Revoke(me)
	p = r.connect(t)
	p.says("a LOGIN " + me + " " + password)
	p.hears("a NO [UNAVAILABLE] The password is correct. ")
	asked := r.provider.Counts().TokenRequests
	p.says("b LOGIN " + me + " " + password)
	p.hears("b NO [UNAVAILABLE] The password is correct. ")
	if again := r.provider.Counts().TokenRequests; again != asked {
		t.Error("the same login asked the provider again")
	}
	p.Close()
	r.serving.Wait()
	r.hall.Pause(true)
	p = r.connect(t)
	p.says("a LOGIN " + me + " " + password)
	p.hears("a NO [UNAVAILABLE] Waxseal is paused.")
}

// The third login within a while finds a spare.
func TestSpareIsUsed(t *testing.T) {
	r := newRig(t)
	for range 2 {
		p := r.connect(t)
		p.logIn()
		p.Close()
	}
	r.serving.Wait()
	r.spares.mu.Lock()
	sp := r.spares.kept[me]
	r.spares.mu.Unlock()
	if sp == nil {
		t.Fatal("there is no spare")
	}
	for { // until it has logged in
		r.spares.mu.Lock()
		ready := sp.link != nil
		r.spares.mu.Unlock()
		if ready {
			break
		}
		runtime.Gosched()
	}
	p := r.connect(t)
	p.logIn()
	p.says("b SELECT INBOX")
	p.until("b OK")
	r.spares.mu.Lock()
	if r.spares.kept[me] == sp {
		t.Error("the spare was not used")
	}
	r.spares.mu.Unlock()
	r.Probe()
	p.says("c NOOP")
	p.until("c OK")
}

// Test counts the folders at a real provider's.
func TestFolders(t *testing.T) {
	r := newRig(t)
	if n, err := Test(t.Context(), r.box, nil); n == 0 || err != nil {
		t.Errorf("%d folders, %v", n, err)
	}
}

// A stop says goodbye to programs that have not logged in.
func TestStopBeforeLogin(t *testing.T) {
	r := newRig(t)
	p := r.connect(t)
	r.hall.StopServing()
	p.hears("* BYE Waxseal is stopping; try again later\r\n")
}

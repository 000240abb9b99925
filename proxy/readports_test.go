package proxy

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// TestPortsForReading are open while an account reads, and no longer. Nobody else notices.
func TestPortsForReading(t *testing.T) {
	const other = "other@corp.test"
	r := newRig(t, rigOptions{accounts: []string{other}})
	sends := r.login(other)
	set := func(address string, protocols ...api.Protocol) {
		t.Helper()
		if err := r.server.SetProtocols(t.Context(), address, protocols); err != nil {
			t.Fatal(err)
		}
	}
	open := func() (list []string) {
		for _, l := range r.server.Snapshot().Listeners {
			if l.Protocol.Reads() {
				list = append(list, string(l.Protocol))
			}
		}
		return list
	}
	for _, step := range []struct {
		does []api.Protocol
		want []string
	}{
		{nil, nil}, {[]api.Protocol{api.SMTP, api.IMAP}, []string{"imap", "imap"}}, {[]api.Protocol{api.POP}, []string{"pop", "pop"}},
		{sendAndRead, []string{"imap", "imap", "pop", "pop"}}, {[]api.Protocol{api.SMTP}, nil},
	} {
		if step.does != nil {
			set(me, step.does...)
		}
		if got := open(); !slices.Equal(got, step.want) {
			t.Errorf("for %v open are %v", step.does, got)
		}
	}
	set(me, sendAndRead...)
	set(other, api.SMTP, api.IMAP)
	x := r.reading(api.IMAP, other)
	imap, pop := r.at(api.IMAP, false), r.at(api.POP, false)
	if _, err := r.server.Remove(t.Context(), me); err != nil { // the last that uses POP
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", pop); err == nil {
		c.Close()
		t.Error("the port for POP is still open")
	}
	if r.at(api.IMAP, false) != imap {
		t.Error("the port for IMAP is another one")
	}
	if got := x.do("NOOP"); !x.ok(got) {
		t.Errorf("a session of another account: %q", got)
	}
	if got := sends.message(other, "you@there.test", "hello\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("a connection that sends: %q", got)
	}
}

// freeAddress is an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestPortsForReadingChange without an end of the sessions.
func TestPortsForReadingChange(t *testing.T) {
	r := newRig(t, rigOptions{reads: both})
	x, y := r.reading(api.IMAP, me), r.reading(api.POP, me)
	was := r.at(api.IMAP, false)
	imap, pop := freeAddress(t), freeAddress(t)
	if notes, err := r.configure(func(s *api.Settings) { s.ListenIMAP, s.ListenPOPTLS = []string{imap}, []string{pop} }); err != nil || len(notes) != 0 {
		t.Fatalf("%q, %v", notes, err)
	}
	if r.at(api.IMAP, false) != imap || r.at(api.POP, true) != pop {
		t.Errorf("listens on %+v", r.server.Snapshot().Listeners)
	}
	if c, err := net.Dial("tcp", was); err == nil {
		c.Close()
		t.Error("the old port is still open")
	}
	text := strings.Replace(readText(t, r.config), imap, was, 1)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.server.Reload(t.Context()); err != nil || r.at(api.IMAP, false) != was {
		t.Errorf("after a reload: %v, %s", err, r.at(api.IMAP, false))
	}
	for _, session := range []*reader{x, y} {
		if got := session.do("NOOP"); !session.ok(got) {
			t.Errorf("%s: %q", session.protocol, got)
		}
	}
	r.reading(api.IMAP, me)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := r.configure(func(s *api.Settings) { s.ListenPOP = []string{l.Addr().String()} }); err == nil {
		t.Error("a port of another program was taken")
	}
	r.sends()
}

// TestLimitsOfAllProtocols count together, and gauges apart.
func TestLimitsOfAllProtocols(t *testing.T) {
	r := newRig(t, rigOptions{reads: both, config: func(c *config.Config) { c.MaxConnectionsPerAccount = 3 }})
	smtp := r.login(me)
	x := r.reading(api.IMAP, me)
	r.reading(api.POP, me)
	eventually(t, "all are counted", func() bool { return r.gauges(api.POP).Sessions == 1 && r.gauges(api.IMAP).Sessions == 1 })
	s := r.server.Snapshot()
	if s.Connections != 1 || s.Clients != 3 || r.gauges(api.IMAP).Connections != 1 || r.gauges(api.POP).Connections != 1 || s.Accounts[0].Connections != 1 {
		t.Errorf("SMTP %d, all %d, %+v, the account %d", s.Connections, s.Clients, s.Reading, s.Accounts[0].Connections)
	}
	late := r.dial()
	late.do("EHLO x", "250")
	late.do("AUTH PLAIN "+plainResponse(me, password), "4")
	if got := r.read(api.IMAP).login(me, password); !strings.Contains(got, "3 connections") {
		t.Errorf("told %q", got)
	}
	smtp.do("QUIT", "221")
	smtp.conn.Close()
	eventually(t, "one has left", func() bool { return r.server.Snapshot().Accounts[0].Connections == 0 })
	r.reading(api.IMAP, me)
	x.conn.Close()
	eventually(t, "one has left", func() bool { return r.gauges(api.IMAP).Sessions == 1 })
}

// emailProxyFile is a configuration file of email-oauth2-proxy with servers for reading.
func emailProxyFile(r *rig, address, smtp, imap, pop string) []byte {
	port := func(address string) string { _, p, _ := net.SplitHostPort(address); return p }
	server := func(kind, local, at string) string {
		host, remote, _ := net.SplitHostPort(at)
		return fmt.Sprintf("[%s-%s]\nserver_address = %s\nserver_port = %s\nlocal_address = 127.0.0.1\n", kind, port(local), host, remote)
	}
	return []byte(server("SMTP", smtp, r.provider.SMTPSAddr) + server("IMAP", imap, r.provider.IMAPAddr) + server("POP", pop, r.provider.POPAddr) +
		fmt.Sprintf("[%s]\npermission_url = %s\ntoken_url = %s\noauth2_scope = mail.send\nredirect_uri = http://localhost\nclient_id = waxseal-test\n"+
			"token_salt = %s\ntoken_iterations = 10\nrefresh_token = %s\n", address, r.provider.AuthURL(), r.provider.TokenURL(),
			base64.StdEncoding.EncodeToString([]byte("salt")), fernet("a mail program's password", "salt", 10, r.provider.Grant(address))))
}

// TestImportTakesOverPortsForReading: the mail programs go on unchanged, also where the other program still runs at
// the first import.
func TestImportTakesOverPortsForReading(t *testing.T) {
	r := newRig(t, rigOptions{noAccount: true})
	smtp, pop := freeAddress(t), freeAddress(t)
	running, err := net.Listen("tcp", "127.0.0.1:0") // the other program's IMAP port
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	imap := running.Addr().String()
	file := emailProxyFile(r, me, smtp, imap, pop)
	passwords := map[string]string{me: "a mail program's password"}
	report, err := r.server.ImportEmailProxy(t.Context(), file, passwords)
	if err != nil || report.Imported != 1 || len(report.Left) != 1 || !strings.Contains(report.Left[0].Error(), "uit email-oauth2-proxy") {
		t.Fatalf("%+v, %v", report, err)
	}
	if got := r.server.hall.Mailbox(me).Account.Does(); !slices.Equal(got, sendAndRead) {
		t.Errorf("it does %v", got)
	}
	x := r.read(api.IMAP)
	if got := x.login(me, passwords[me]); !x.ok(got) {
		t.Errorf("on Waxseal's port: %q", got)
	}
	running.Close()
	report, err = r.server.ImportEmailProxy(t.Context(), file, passwords)
	if err != nil || len(report.Left) != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	for p, at := range map[api.Protocol]string{api.IMAP: imap, api.POP: pop} {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		c.Close()
	}
	if got := x.do("NOOP"); !x.ok(got) {
		t.Errorf("the session from before: %q", got)
	}
}

// TestReadTest says what it finds for each protocol, and notes it.
func TestReadTest(t *testing.T) {
	r := newRig(t, rigOptions{reads: both})
	r.provider.Deliver(me, []byte("Subject: x\r\n\r\ny\r\n"))
	bothWays(t, func(t *testing.T, p api.Protocol) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var last api.Check
		if err := r.server.ReadTest(ctx, me, p, func(c api.Check) { last = c }); err != nil {
			t.Error(err)
		}
		if want := map[api.Protocol]string{api.IMAP: "Folders: 2", api.POP: "Messages: 1"}[p]; !last.OK || last.Protocol != p || !strings.Contains(last.Result.String(), want) {
			t.Errorf("%+v", last)
		}
		if n := r.gauges(p); n.Logins+n.Sessions != 0 || len(r.events(api.Reading)) != 0 {
			t.Errorf("a test is counted: %+v", n)
		}
	})
	r.provider.Revoke(me)
	r.provider.ExpireAccess(me)
	r.server.hall.Mailbox(me).Grant.Retry()
	if err := r.server.ReadTest(t.Context(), "nobody@corp.test", "", nil); err == nil {
		t.Error("an account that does not exist was read")
	}
	var p *api.Problem
	if err := r.server.SetProtocols(t.Context(), me, []api.Protocol{api.SMTP}); err != nil {
		t.Fatal(err)
	}
	if err := r.server.ReadTest(t.Context(), me, "", nil); !errors.As(err, &p) || !strings.Contains(err.Error(), "only sends mail") {
		t.Errorf("an account that only sends: %v", err)
	}
}

// TestRetryNowReads: reading is tried again as sending is.
func TestRetryNowReads(t *testing.T) {
	bothWays(t, func(t *testing.T, p api.Protocol) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		r := newRig(t, rigOptions{reads: both})
		if err := r.server.SetProtocols(t.Context(), me, []api.Protocol{p}); err != nil {
			t.Fatal(err)
		}
		box := r.server.hall.Mailbox(me)
		for box.Breaker(p).Check() == nil {
			box.Breaker(p).Do(func() error { return errors.New("down") })
		}
		r.read(p).login(me, password)
		if st, _ := r.readStatus(p); st.State != api.MailServerDown {
			t.Fatalf("reading is %q", st.State)
		}
		for _, b := range r.server.Snapshot().Breakers {
			if b.State == api.Open && b.Provider != "Corp Mail" {
				t.Errorf("nobody's breaker: %+v", b)
			}
		}
		r.server.RetryNow(t.Context())
		if st, account := r.readStatus(p); st.Problem != nil || account.State != api.Ready || r.provider.Counts().Connections != 0 {
			t.Errorf("afterwards %+v, the account %s (%v)", st, account.State, account.Problem)
		}
	})
}

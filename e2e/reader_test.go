//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reader is a user who sends and reads through a running Waxseal.
type reader struct {
	*desk
	address  string
	password string
	at       map[string]string // where Waxseal listens: "imap", "imap/TLS", "pop", "pop/TLS" to host:port
}

// allProtocols is the account's setting for all of them.
const allProtocols = `protocols = ["smtp", "imap", "pop"]`

// newReader signs a user in for sending and reading, and starts Waxseal.
func newReader(t *testing.T, address string) *reader {
	t.Helper()
	r := &reader{desk: newDesk(t), address: address}
	r.signUp(allProtocols, 0)
	r.serve()
	return r
}

// signUp adds an account with settings to the configuration, signs its user in, and makes a local
// password. The sign-in checks the account's servers and ends with a code.
func (r *reader) signUp(settings string, code int) {
	r.t.Helper()
	r.configure(fmt.Sprintf("\n[[account]]\naddress = %q\n%s\n", r.address, settings))
	r.reauthorize(r.address, code)
	r.waxseal(0, "account", "password", r.address, "--new")
	r.password = r.desk.password(r.address)
}

// serve starts Waxseal and learns where it listens.
func (r *reader) serve() {
	r.t.Helper()
	r.desk.serve()
	var status struct {
		Listeners []struct {
			Protocol, Address string
			TLS               bool
		}
	}
	if err := json.Unmarshal([]byte(r.waxseal(0, "status", "--json")), &status); err != nil {
		r.t.Fatal(err)
	}
	r.at = make(map[string]string)
	for _, l := range status.Listeners {
		name := l.Protocol
		if l.TLS {
			name += "/TLS"
		}
		r.at[name] = strings.Replace(l.Address, "127.0.0.1", "localhost", 1)
	}
	if len(r.at) < 6 {
		r.t.Fatalf("Waxseal listens on %v", r.at)
	}
}

// configure appends to the configuration.
func (d *desk) configure(text string) {
	d.t.Helper()
	file, err := os.OpenFile(filepath.Join(d.dir, "config.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		d.t.Fatal(err)
	}
}

// reauthorize signs a user in who approves.
func (d *desk) reauthorize(address string, code int) {
	d.t.Helper()
	s := d.signIn("account", "reauthorize", address)
	p := newPerson(d.t)
	p.open(s.page)
	p.approve(address)
	p.reads("Signed in")
	s.ends(d.t, nil, code)
}

// certificate is the path of Waxseal's own certificate.
func (d *desk) certificate() string { return filepath.Join(d.dir, "localhost.crt") }

// through is Waxseal as a mail program reaches it.
func (r *reader) through(t *testing.T, protocol, security string) access {
	a := access{protocol: protocol, security: security, user: r.address, password: r.password, ca: r.certificate(), dir: t.TempDir()}
	a.address = r.at[protocol+a.pick("", "", "/TLS")]
	return a
}

// imap logs in through Waxseal without TLS.
func (r *reader) imap() *imapClient {
	r.t.Helper()
	c := dialIMAP(r.t, r.at["imap"], "")
	c.do("LOGIN " + quoted(r.address) + " " + quoted(r.password))
	return c
}

// refused logs in through Waxseal by both protocols, and returns the answers, which are no.
func (r *reader) refused() (imap, pop string) {
	r.t.Helper()
	c := dialIMAP(r.t, r.at["imap"], "")
	all := c.try("LOGIN " + quoted(r.address) + " " + quoted(r.password))
	p := dialPOP(r.t, r.at["pop"], "")
	imap, pop = all[len(all)-1], p.login(r.address, r.password)
	if !strings.HasPrefix(imap, "NO ") || !strings.HasPrefix(pop, "-ERR ") {
		r.t.Fatalf("the logins are answered with\n%s\n%s", imap, pop)
	}
	return imap, pop
}

// everything fetches all messages of all mailboxes, with flags, and says what it got.
func (c *imapClient) everything() string {
	c.t.Helper()
	var all strings.Builder
	for _, mailbox := range []string{"INBOX", "Archive", "Sent"} {
		for _, r := range c.do("EXAMINE " + mailbox) {
			if strings.Contains(r, "EXISTS") || strings.Contains(r, "UIDVALIDITY") {
				all.WriteString(r + "\n")
			}
		}
		responses := c.do("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
		for _, r := range responses[:len(responses)-1] {
			all.WriteString(r + "\n")
		}
	}
	return all.String()
}

// text is what is in a file in the desk's folder.
func (d *desk) text(name string) string {
	d.t.Helper()
	data, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(data)
}

//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// desk is a user's computer: Waxseal with its own configuration, and a folder for the user's files.
type desk struct {
	t     *testing.T
	dir   string
	env   []string
	opens string // the pipe through which the program opens web pages

	serving  *process
	starttls string // host:port
	implicit string // host:port
}

// listeners begin each configuration.
const listeners = `listen = ["127.0.0.1:0"]
listen_tls = ["127.0.0.1:0"]
listen_imap = ["127.0.0.1:0"]
listen_imap_tls = ["127.0.0.1:0"]
listen_pop = ["127.0.0.1:0"]
listen_pop_tls = ["127.0.0.1:0"]
offer_starttls = true
metrics = ""
`

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir()}
	config := filepath.Join(d.dir, "config.toml")
	text := listeners
	// The provider and the mail servers, used in different ways. Accounts find theirs by domain.
	for _, p := range []struct {
		id, client, identity, tls string
		server                    *dovecot
	}{
		{"mail", "desktop", "issuer", "starttls", peers.both},
		{"tls", "desktop", "issuer", "implicit", peers.both},
		{"bearer", "desktop", "issuer", "starttls", peers.bearer},
		{"bearertls", "desktop", "issuer", "implicit", peers.bearer},
		{"userinfo", "desktop", "userinfo", "starttls", peers.both},
		{"short", "short", "issuer", "starttls", peers.both},
		{"hasty", "hasty", "issuer", "starttls", peers.both},
	} {
		text += entry(p.id, p.client, p.identity, p.tls, p.server)
	}
	d.write("config.toml", text)
	d.opens = filepath.Join(d.dir, "opens")
	if err := syscall.Mkfifo(d.opens, 0o600); err != nil {
		t.Fatal(err)
	}
	d.write("bin/xdg-open", "#!/bin/sh\nprintf '%s\\n' \"$1\" >"+d.opens+"\n")
	d.env = append([]string{}, peers.keychain.env...)
	d.env = append(d.env, "WAXSEAL_CONFIG="+config, "DISPLAY=:none", "PATH="+filepath.Join(d.dir, "bin")+":"+os.Getenv("PATH"))
	return d
}

// entry returns a provider's entry in the configuration. Its domain is its id and ".test".
func entry(id, client, identity, tls string, server *dovecot) string {
	at := peers.provider.issuer
	scopes := `["offline_access", "smtp.send"]`
	who := fmt.Sprintf("issuer = %q", at)
	if identity == "userinfo" {
		scopes = `["openid", "email", "offline_access", "smtp.send"]`
		who = fmt.Sprintf("userinfo_url = %q", at+"/me")
	}
	smtp, imap, pop := server.starttls, server.imap, server.pop
	if tls == "implicit" {
		smtp, imap, pop = server.implicit, server.imaps, server.pops
	}
	return fmt.Sprintf(`
[[provider]]
id = %q
name = "Example Mail"
domains = [%q]
auth_url = %q
token_url = %q
device_url = %q
revoke_url = %q
%s
scopes = %s
imap_scopes = ["mail.imap"]
pop_scopes = ["mail.pop"]
auth_params = { prompt = "consent" }
client_id = %q
redirect_host = "127.0.0.1"
redirect_path = "/callback"
smtp = %q
smtp_tls = %q
imap = %q
imap_tls = %q
pop = %q
pop_tls = %q
ca_file = %q
`, id, id+".test", at+"/auth", at+"/token", at+"/device/auth", at+"/token/revocation", who, scopes, client,
		smtp, tls, imap, tls, pop, tls, server.ca)
}

// write writes a file in the desk's folder. Files in bin are executable.
func (d *desk) write(name, text string) (path string) {
	d.t.Helper()
	path = filepath.Join(d.dir, name)
	mode := os.FileMode(0o600)
	if strings.HasPrefix(name, "bin/") {
		mode = 0o700
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// start runs Waxseal with arguments. It ends with the test.
func (d *desk) start(args ...string) *process {
	d.t.Helper()
	return d.startProgram(binary, args...)
}

func (d *desk) startProgram(name string, args ...string) *process {
	d.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = d.dir, d.env
	p, err := start(cmd)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
	})
	return p
}

// waxseal runs a command until it ends, with an exit code.
func (d *desk) waxseal(code int, args ...string) (said string) {
	d.t.Helper()
	p := d.start(args...)
	p.ends(d.t, nil, code)
	return p.said()
}

// serve starts `waxseal serve` and waits until it accepts mail.
func (d *desk) serve() {
	d.t.Helper()
	d.serving = d.start("serve", "--log-level", "debug")
	at, err := d.serving.says(`accepting mail on (?:SMTP )?(\S+) \(STARTTLS\), (?:SMTP )?(\S+) \(TLS\)`)
	if err != nil {
		d.t.Fatal(err)
	}
	d.starttls, d.implicit = at[1], at[2]
}

// stop ends `waxseal serve` as the operating system does.
func (d *desk) stop() {
	d.t.Helper()
	d.serving.ends(d.t, syscall.SIGTERM, 0)
}

// signIn is a command that waits for the user in the browser.
type signIn struct {
	*process
	page     string     // the provider's page, as it was opened
	callback *url.URL   // where the provider will send the browser back to
	query    url.Values // of page
}

// signIn starts a command that opens the browser.
func (d *desk) signIn(args ...string) *signIn {
	d.t.Helper()
	pipe, err := os.OpenFile(d.opens, os.O_RDWR, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	defer pipe.Close()
	s := &signIn{process: d.start(args...)}
	d.t.Cleanup(func() {
		if d.t.Failed() {
			d.t.Logf("the output of %v:\n%s", args, s.said())
		}
	})
	pipe.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		d.t.Fatalf("no page was opened: %v\n%s", err, s.said())
	}
	s.page = strings.TrimSpace(line)
	page, err := url.Parse(s.page)
	if err != nil {
		d.t.Fatal(err)
	}
	s.query = page.Query()
	if s.callback, err = url.Parse(s.query.Get("redirect_uri")); err != nil {
		d.t.Fatal(err)
	}
	return s
}

// mustSay waits until the program has written something that matches.
func (p *process) mustSay(t *testing.T, pattern string) (groups []string) {
	t.Helper()
	groups, err := p.says(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

// hasNoAccount checks that there are no accounts.
func (d *desk) hasNoAccount() {
	d.t.Helper()
	if said := d.waxseal(0, "account", "list"); !strings.Contains(said, "there are no accounts yet") {
		d.t.Errorf("account list:\n%s", said)
	}
}

// add adds an account whose user approves.
func (d *desk) add(address string) {
	d.t.Helper()
	s := d.signIn("account", "add", address)
	p := newPerson(d.t)
	p.open(s.page)
	p.approve(address)
	p.reads("Signed in")
	s.ends(d.t, nil, 0)
}

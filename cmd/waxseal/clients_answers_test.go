//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// readingRun is a running program whose account sends and reads.
type readingRun struct {
	*running
	imap, pop string // host:port without TLS
	password  string // what mail programs have stored
}

// startReading starts the program with settings in addition, and one account that reads.
func startReading(t *testing.T, o providertest.Options, settings string) *readingRun {
	t.Helper()
	if o.Scopes == nil {
		o.Scopes = map[providertest.Protocol]string{providertest.SMTP: "mail", providertest.IMAP: "mail.imap", providertest.POP: "mail.pop"}
	}
	r := &readingRun{running: startAt(t, o, "listen_imap = [\"127.0.0.1:0\"]\nlisten_imap_tls = [\"127.0.0.1:0\"]\n"+
		"listen_pop = [\"127.0.0.1:0\"]\nlisten_pop_tls = [\"127.0.0.1:0\"]\n"+settings), password: localPassword}
	config := filepath.Join(r.dir, "config.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	account := `address = "` + sender + `"`
	writeFile(t, config, strings.NewReplacer(account, account+"\nprotocols = [\"smtp\", \"imap\", \"pop\"]",
		"smtp_tls = ", "imap_scopes = [\"mail.imap\"]\npop_scopes = [\"mail.pop\"]\nimap = \""+r.provider.IMAPAddr+"\"\npop = \""+r.provider.POPAddr+"\"\nsmtp_tls = ").Replace(string(text)))
	r.waxseal(t, "reload")
	var status struct {
		Listeners []struct {
			Protocol, Address string
			TLS               bool
		}
	}
	if err := json.Unmarshal([]byte(r.waxseal(t, "status", "--json")), &status); err != nil {
		t.Fatal(err)
	}
	for _, l := range status.Listeners {
		switch {
		case l.Protocol == "imap" && !l.TLS:
			r.imap = l.Address
		case l.Protocol == "pop" && !l.TLS:
			r.pop = l.Address
		}
	}
	if r.imap == "" || r.pop == "" {
		t.Fatalf("it listens on %+v", status.Listeners)
	}
	return r
}

// waxseal runs a command and returns what it prints.
func (r *running) waxseal(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("waxseal", append(args, "--config", filepath.Join(r.dir, "config.toml"))...).Output()
	if err != nil {
		t.Fatalf("waxseal %s: %v", args, err)
	}
	return string(out)
}

// readers are programs that log in by IMAP or POP, as shell commands.
var readers = []struct {
	name, program, packages, protocol string
	command                           string
}{
	{"curl", "curl", "curl", "imap", "curl -sS --user $USER:$PASSWORD imap://$HOST:$PORT/INBOX --request 'STATUS INBOX (MESSAGES)'"},
	{"imaplib", "python3", "python3", "imap", "python3 $SCRIPTS/read.py imap $HOST $PORT $USER $PASSWORD"},
	{"mbsync", "mbsync", "isync", "imap", `printf '%s\n' 'IMAPStore far' "Host $HOST" "Port $PORT" "User $USER" "Pass $PASSWORD" 'SSLType None' '' ` +
		`'MaildirStore near' "Path $HOME/mail/" "Inbox $HOME/mail/INBOX" '' 'Channel all' 'Far :far:' 'Near :near:' 'Create Near' 'Sync Pull' >mbsyncrc; ` +
		`mkdir -p mail; mbsync -c mbsyncrc all`},
	{"curl", "curl", "curl", "pop", "curl -sS --user $USER:$PASSWORD pop3://$HOST:$PORT/"},
	{"poplib", "python3", "python3", "pop", "python3 $SCRIPTS/read.py pop $HOST $PORT $USER $PASSWORD"},
	{"getmail", "getmail", "getmail6", "pop", `printf '%s\n' '[retriever]' 'type = SimplePOP3Retriever' "server = $HOST" "port = $PORT" "username = $USER" ` +
		`"password = $PASSWORD" '[destination]' 'type = MDA_external' 'path = /bin/cat' 'allow_root_commands = true' >getmailrc; ` +
		`getmail --getmaildir . --rcfile getmailrc`},
}

// TestClientsSeeAnswersToLogins shows what a person reads when a login by IMAP or POP does not work:
// for each situation, with three programs each. docs/clients.md has it as a table.
func TestClientsSeeAnswersToLogins(t *testing.T) {
	t.Parallel()
	const right = "The password is correct."
	for _, tc := range []struct {
		name      string
		settings  string
		provider  providertest.Options
		change    func(*testing.T, *readingRun)
		imap, pop string // how the answer begins
		says      string
		greeting  string // the protocols whose answer is the greeting
	}{
		{name: "wrong password", imap: "[AUTHENTICATIONFAILED]", pop: "[AUTH]", says: "password",
			change: func(t *testing.T, r *readingRun) { r.password = "wrong" }},
		{name: "consent revoked", imap: "[UNAVAILABLE] " + right, pop: "[SYS/PERM] " + right, says: consentGone,
			change: func(t *testing.T, r *readingRun) { r.provider.Revoke(sender) }},
		{name: "no permission to read", imap: "[UNAVAILABLE] " + right, pop: "[SYS/PERM] " + right, says: consentGone,
			provider: providertest.Options{Scopes: map[providertest.Protocol]string{providertest.SMTP: "mail"}}},
		{name: "IMAP switched off", imap: "[UNAVAILABLE] " + right, pop: "[SYS/PERM] " + right, says: "enable",
			change: atLogin(providertest.NotEnabled, "-ERR [SYS/PERM] Your account is not enabled for POP access.")},
		{name: "provider unreachable", imap: "[UNAVAILABLE]", pop: "[SYS/TEMP]", says: "",
			change: func(t *testing.T, r *readingRun) { r.provider.SetFaults(everywhere(providertest.Action{Drop: true})) }},
		{name: "provider busy", imap: "[UNAVAILABLE]", pop: "[SYS/TEMP]", says: "",
			change: atLogin(providertest.Unavailable, "-ERR [SYS/TEMP] Service is temporarily unavailable")},
		{name: "token endpoint down", imap: "[UNAVAILABLE]", pop: "[SYS/TEMP]", says: "",
			change: func(t *testing.T, r *readingRun) {
				r.provider.SetFaults(providertest.Faults{Token: func(*http.Request) providertest.TokenFault {
					return providertest.TokenFault{Status: http.StatusServiceUnavailable}
				}})
			}},
		{name: "paused", imap: "[UNAVAILABLE]", pop: "[SYS/TEMP]", says: "paused", greeting: "pop",
			change: pause},
		{name: "the provider's limit", imap: "[UNAVAILABLE]", pop: "[IN-USE]", says: "connections",
			change: atLogin(providertest.TooManyConnections, "-ERR [IN-USE] Too many simultaneous connections")},
		{name: "the account's limit", imap: "[UNAVAILABLE]", pop: "[IN-USE]", says: "limit",
			settings: "max_connections_per_account = 1\n", change: held},
		{name: "Waxseal's limit", imap: "[UNAVAILABLE]", pop: "[SYS/TEMP]", says: "connections", greeting: "imap pop",
			settings: "max_connections = 1\n", change: held},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := startReading(t, tc.provider, tc.settings)
			if tc.change != nil {
				tc.change(t, r)
			}
			for _, c := range readers {
				t.Run(c.protocol+"/"+c.name, func(t *testing.T) {
					findTool(t, c.packages, c.program)
					begins := map[string]string{"imap": tc.imap, "pop": tc.pop}[c.protocol]
					says := tc.says
					if c.name == "imaplib" || c.name == "poplib" {
						says = begins
					}
					if c.name == "curl" { // which never shows what a server says
						says = "curl: (67) Login denied"
						if strings.Contains(tc.greeting, c.protocol) {
							says = "curl: (8)"
						}
					}
					out, err := r.read(t, c.protocol, c.command)
					if err == nil || !strings.Contains(out, says) {
						t.Errorf("exit: %v, want a failure that says %q; output:\n%s", err, says, out)
					}
					t.Logf("%s", out)
				})
			}
		})
	}
}

// read runs a command for one of Waxseal's addresses.
func (r *readingRun) read(t *testing.T, protocol, command string) (output string, err error) {
	t.Helper()
	host, port, err := net.SplitHostPort(map[string]string{"imap": r.imap, "pop": r.pop}[protocol])
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Abs(filepath.Join("testdata", "clients"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir, "LC_ALL=C.UTF-8", "HOST="+host, "PORT="+port, "USER="+sender, "PASSWORD="+r.password, "SCRIPTS="+scripts)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// atLogin has the provider answer logins with these.
func atLogin(imap, pop string) func(*testing.T, *readingRun) {
	answer := func(text string) func(providertest.Event) providertest.Action {
		return func(e providertest.Event) (act providertest.Action) {
			if e.Step == providertest.StepAuth {
				act.Text = text
			}
			return act
		}
	}
	return func(t *testing.T, r *readingRun) {
		r.provider.SetFaults(providertest.Faults{IMAP: answer(imap), POP: answer(pop)})
	}
}

// pause does what the icon's menu does.
func pause(t *testing.T, r *readingRun) {
	t.Helper()
	client, err := control.Dial(t.Context(), filepath.Join(r.dir, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.SetPaused(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}

// everywhere is what happens at the greeting of both protocols.
func everywhere(act providertest.Action) providertest.Faults {
	hook := func(e providertest.Event) (none providertest.Action) {
		if e.Step == providertest.StepGreeting {
			return act
		}
		return none
	}
	return providertest.Faults{IMAP: hook, POP: hook}
}

// held has a mail program stay logged in.
func held(t *testing.T, r *readingRun) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", r.imap, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write([]byte("a LOGIN " + sender + " " + r.password + "\r\n")); err != nil {
		t.Fatal(err)
	}
	var said []byte
	for !strings.Contains(string(said), "\r\na ") {
		piece := make([]byte, 4096)
		n, err := conn.Read(piece)
		if err != nil {
			t.Fatalf("after %q: %v", said, err)
		}
		said = append(said, piece[:n]...)
	}
	if !strings.Contains(string(said), "\r\na OK") {
		t.Fatalf("the login is answered with %q", said)
	}
}

//go:build linux

package main_test

import (
	"cmp"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// endpoint is where a client connects, and how.
type endpoint struct {
	address        string
	security, auth string
	to, password   string
	dir            string // holds the files, and is the client's home
	certificate    string // Waxseal's own, which the client is told to trust
	attachment     string // a file for clients that attach one themselves; "" is none
}

func (e endpoint) host() string { host, _, _ := net.SplitHostPort(e.address); return host }
func (e endpoint) port() string { _, port, _ := net.SplitHostPort(e.address); return port }
func (e endpoint) file() string { return filepath.Join(e.dir, "message") }

// pick returns the arguments for the endpoint's security.
func (e endpoint) pick(forClear, forStartTLS, forTLS string) []string {
	return strings.Fields(map[string]string{clear: forClear, starttls: forStartTLS, implicit: forTLS}[e.security])
}

// attach is the option for the attachment, if there is one.
func (e endpoint) attach(option string) []string {
	if e.attachment == "" {
		return nil
	}
	return []string{option, e.attachment}
}

func swaks(e endpoint) []string {
	return append([]string{"--server", e.host(), "--port", e.port(), "--from", sender, "--to", e.to, "--ehlo", "client.test",
		"--auth", e.auth, "--auth-user", sender, "--auth-password", e.password, "--data", "@" + e.file()},
		e.pick("", "--tls --tls-verify --tls-ca-path "+e.certificate, "--tls-on-connect --tls-verify --tls-ca-path "+e.certificate)...)
}

func msmtp(e endpoint) []string {
	args := []string{"--file=/dev/null", "--host=" + e.host(), "--port=" + e.port(), "--user=" + sender, "--from=" + sender,
		"--auth=" + strings.ToLower(e.auth), "--passwordeval=echo " + e.password}
	args = append(args, e.pick("--tls=off", "--tls=on --tls-starttls=on --tls-trust-file="+e.certificate,
		"--tls=on --tls-starttls=off --tls-trust-file="+e.certificate)...)
	return append(args, e.to)
}

func curl(e endpoint) []string {
	return append([]string{"--silent", "--show-error", "--user", sender + ":" + e.password, "--login-options", "AUTH=" + e.auth,
		"--mail-from", sender, "--mail-rcpt", e.to, "--crlf", "--upload-file", e.file()},
		e.pick("smtp://"+e.address, "--ssl-reqd --cacert "+e.certificate+" smtp://"+e.address, "--cacert "+e.certificate+" smtps://"+e.address)...)
}

// library returns the arguments for a library's script in testdata/clients.
func library(script string) func(endpoint) []string {
	script, err := filepath.Abs(filepath.Join("testdata", "clients", script))
	return func(e endpoint) []string {
		if err != nil {
			panic(err)
		}
		return []string{script, e.host(), e.port(), e.security, e.auth, sender, e.password, e.to, e.file(), e.certificate, e.attachment}
	}
}

// snail looks for names in certificates, not for addresses.
func snail(e endpoint) []string {
	host := e.address
	if e.security != clear {
		host = "localhost:" + e.port()
	}
	login := strings.ReplaceAll(sender, "@", "%40") + ":" + e.password + "@" + host
	args := append([]string{"-:/", "-Sv15-compat", "-Ssmtp-auth=" + strings.ToLower(e.auth), "-Sttycharset=utf-8", "-Smime-encoding=8b",
		"-Sfrom=" + sender, "-s", "From s-nail"},
		e.pick("-Smta=smtp://"+login, "-Ssmtp-use-starttls -Stls-verify=strict -Stls-ca-file="+e.certificate+" -Smta=smtp://"+login,
			"-Stls-verify=strict -Stls-ca-file="+e.certificate+" -Smta=smtps://"+login)...)
	return append(append(args, e.attach("-a")...), e.to)
}

func gitSendEmail(e endpoint) []string {
	args := append([]string{"-c", "user.name=Me", "-c", "user.email=" + sender, "-c", "sendemail.smtpSSLCertPath=" + e.certificate,
		"send-email", "--quiet", "--confirm=never", "--suppress-cc=all", "--no-validate", "--transfer-encoding=8bit",
		"--from=Me <" + sender + ">", "--to=" + e.to, "--smtp-server=" + e.host(), "--smtp-server-port=" + e.port(),
		"--smtp-user=" + sender, "--smtp-pass=" + e.password, "--smtp-auth=" + e.auth},
		e.pick("", "--smtp-encryption=tls", "--smtp-encryption=ssl")...)
	return append(args, e.file())
}

// neomutt looks for names in certificates too.
func neomutt(e endpoint) []string {
	host := e.host()
	if e.security != clear {
		host = "localhost"
	}
	settings := []string{"from=" + sender, "realname=Me", "smtp_pass=" + e.password, "smtp_authenticators=" + strings.ToLower(e.auth),
		"record=", "use_envelope_from=yes", "allow_8bit=yes", "send_charset=utf-8", "certificate_file=" + e.certificate,
		"ssl_ca_certificates_file=/etc/ssl/certs/ca-certificates.crt", // as in Debian's neomuttrc
		"ssl_starttls=" + e.pick("no", "yes", "no")[0], "ssl_force_tls=" + e.pick("no", "yes", "yes")[0],
		"smtp_url=" + e.pick("smtp", "smtp", "smtps")[0] + "://" + strings.ReplaceAll(sender, "@", "%40") + "@" + host + ":" + e.port()}
	args := []string{"-n", "-F", "/dev/null"}
	for _, set := range settings {
		name, value, _ := strings.Cut(set, "=")
		args = append(args, "-e", "set "+name+`="`+value+`"`)
	}
	args = append(args, "-s", "From neomutt")
	if e.attachment != "" {
		args = append(args, "-a", e.attachment, "--")
	}
	return append(args, e.to)
}

// mailutils chooses LOGIN if it is not told, and uses STARTTLS if it is offered.
func mailutils(e endpoint) []string {
	login := strings.ReplaceAll(sender, "@", "%40") + ":" + e.password + ";auth=" + e.auth + "@"
	url := e.pick("smtp://"+login+e.address+";notls", "smtp://"+login+e.address, "smtps://"+login+e.address)[0]
	return append(append([]string{"--no-config", "--set=tls.ssl-ca-file=" + e.certificate, "-n", "-r", sender, "-s", "From mailutils",
		"-E", `set sendmail="` + url + `"`}, e.attach("-A")...), e.to)
}

// mustBeThere skips the test if the client, or a part of it, is not installed.
func (c mailClient) mustBeThere(t *testing.T) {
	t.Helper()
	findTool(t, cmp.Or(c.packages, c.program), c.program)
	if c.parts == "" {
		return
	}
	check := exec.Command("sh", "-c", c.parts)
	check.Env = append(os.Environ(), nodePath)
	if out, err := check.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: install %s (make packages): %v\n%s", c.packages, err, out)
	}
}

// nodePath is where Debian keeps the libraries of Node.js, for a Node.js from somewhere else.
const nodePath = "NODE_PATH=/usr/share/nodejs"

// run sends the client's message. The client only finds the test's configuration.
func (c mailClient) run(t *testing.T, e endpoint) (output string, err error) {
	t.Helper()
	given := c.file
	if c.program == "git" { // which makes every To: one more recipient
		given = strings.Replace(given, "To: <you@else.example>\n", "", 1)
	}
	writeFile(t, e.file(), given)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, c.args(e)...)
	cmd.Dir = e.dir
	cmd.Env = append(os.Environ(), "HOME="+e.dir, "LC_ALL=C.UTF-8", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", nodePath,
		"DEAD="+filepath.Join(e.dir, "dead.letter")) // root's s-nail does not look at HOME for where to leave what it could not send
	cmd.Stdin = strings.NewReader(given) // which clients that take a file do not read
	out, err := cmd.CombinedOutput()
	return string(out), err
}

//go:build linux

package main_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// endpoint is where a client is sent, and how.
type endpoint struct {
	address        string
	security, auth string
	to, password   string
	dir            string // holds the files, and is the client's home
	certificate    string // Waxseal's own, which the client is told to trust
}

func (e endpoint) host() string { host, _, _ := net.SplitHostPort(e.address); return host }
func (e endpoint) port() string { _, port, _ := net.SplitHostPort(e.address); return port }
func (e endpoint) file() string { return filepath.Join(e.dir, "message") }

// pick is the arguments for the endpoint's security.
func (e endpoint) pick(forClear, forStartTLS, forTLS string) []string {
	return strings.Fields(map[string]string{clear: forClear, starttls: forStartTLS, implicit: forTLS}[e.security])
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

// pythonSend is a script as people write them. login() tries PLAIN before LOGIN,
// so the mechanism is chosen by hiding the other.
const pythonSend = `
import smtplib, ssl, sys
host, port, security, auth, user, password, to, file, certificate = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate)
if security == "TLS":
    s = smtplib.SMTP_SSL(host, int(port), context=context)
else:
    s = smtplib.SMTP(host, int(port))
if security == "STARTTLS":
    s.starttls(context=context)
s.ehlo()
s.esmtp_features["auth"] = auth
s.login(user, password)
s.sendmail(user, [to], open(file, "rb").read().replace(b"\n", b"\r\n"), mail_options=["BODY=8BITMIME"])
s.quit()
`

func python(e endpoint) []string {
	return []string{"-c", pythonSend, e.host(), e.port(), e.security, e.auth, sender, e.password, e.to, e.file(), e.certificate}
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
	return append(args, e.to)
}

func gitSendEmail(e endpoint) []string {
	args := append([]string{"-c", "user.name=Me", "-c", "user.email=" + sender, "-c", "sendemail.smtpSSLCertPath=" + e.certificate,
		"send-email", "--quiet", "--confirm=never", "--suppress-cc=all", "--no-validate", "--transfer-encoding=8bit",
		"--from=Me <" + sender + ">", "--to=" + e.to, "--smtp-server=" + e.host(), "--smtp-server-port=" + e.port(),
		"--smtp-user=" + sender, "--smtp-pass=" + e.password, "--smtp-auth=" + e.auth},
		e.pick("", "--smtp-encryption=tls", "--smtp-encryption=ssl")...)
	return append(args, e.file())
}

// mustBeThere skips the test where the client is not installed.
func (c mailClient) mustBeThere(t *testing.T) {
	t.Helper()
	findTool(t, c.program, c.program)
	if c.program != "git" {
		return
	}
	// send-email is a package of its own, and its Perl modules are others.
	where, err := exec.Command("git", "--exec-path").Output()
	if err == nil {
		_, err = os.Stat(filepath.Join(strings.TrimSpace(string(where)), "git-send-email"))
	}
	if err == nil {
		err = exec.Command("perl", "-MAuthen::SASL", "-MIO::Socket::SSL", "-MMail::Address", "-e", "1").Run()
	}
	if err != nil {
		t.Skipf("NOT TESTED: install git-email libauthen-sasl-perl libio-socket-ssl-perl libmailtools-perl (make packages): %v", err)
	}
}

// run sends the client's message. The client finds no configuration but the test's.
func (c mailClient) run(t *testing.T, e endpoint) (output string, err error) {
	t.Helper()
	given := c.file
	if c.program == "git" { // which takes every To: for one more recipient
		given = strings.Replace(given, "To: <you@else.example>\n", "", 1)
	}
	writeFile(t, e.file(), given)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, c.args(e)...)
	cmd.Dir = e.dir
	cmd.Env = append(os.Environ(), "HOME="+e.dir, "LC_ALL=C.UTF-8", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"DEAD="+filepath.Join(e.dir, "dead.letter")) // root's s-nail does not ask HOME where to leave what it could not send
	if c.program == "msmtp" || c.program == "s-nail" {
		cmd.Stdin = strings.NewReader(given)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

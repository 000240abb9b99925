//go:build linux

package main_test

import (
	"bytes"
	"net/smtp"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestDefaultSettings sends with each program as it is when somebody has entered a server, a
// port, a user name and a password, and nothing else. Many of them use STARTTLS wherever it is
// listed, and then refuse a certificate that signs itself, so Waxseal does not list it to
// programs on this computer.
func TestDefaultSettings(t *testing.T) {
	r := startWith(t, "")
	login := func(e endpoint) string {
		return strings.ReplaceAll(sender, "@", "%40") + ":" + e.password + "@" + e.address
	}
	for _, c := range []mailClient{
		{program: "swaks", args: func(e endpoint) []string {
			return []string{"--server", e.host(), "--port", e.port(), "--from", sender, "--to", e.to, "--auth-user", sender, "--auth-password", e.password}
		}},
		{program: "msmtp", args: func(e endpoint) []string { // auth=on only chooses what needs no TLS; this is in its manual
			return []string{"--file=/dev/null", "--host=" + e.host(), "--port=" + e.port(), "--auth=plain", "--user=" + sender, "--from=" + sender,
				"--passwordeval=echo " + e.password, e.to}
		}},
		{program: "curl", args: func(e endpoint) []string {
			return []string{"--silent", "--show-error", "--user", sender + ":" + e.password, "--mail-from", sender, "--mail-rcpt", e.to,
				"--upload-file", e.file(), "smtp://" + e.address}
		}},
		{program: "s-nail", args: func(e endpoint) []string {
			return []string{"-:/", "-Sv15-compat", "-Sfrom=" + sender, "-s", "Hello", "-Smta=smtp://" + login(e), e.to}
		}},
		{program: "git", packages: mailClients[4].packages, parts: mailClients[4].parts, args: func(e endpoint) []string {
			return []string{"-c", "user.name=Me", "-c", "user.email=" + sender, "send-email", "--quiet", "--confirm=never", "--suppress-cc=all",
				"--from=" + sender, "--to=" + e.to, "--smtp-server=" + e.host(), "--smtp-server-port=" + e.port(), "--smtp-user=" + sender,
				"--smtp-pass=" + e.password, e.file()}
		}},
		{program: "neomutt", args: func(e endpoint) []string { // by default it forces TLS on everybody
			return []string{"-n", "-F", "/dev/null", "-e", "set ssl_force_tls=no", "-e", "set smtp_url=smtp://" + strings.ReplaceAll(login(e), ":"+e.password, ""), "-e", "set smtp_pass=" + e.password,
				"-e", "set from=" + sender, "-e", "set record=", "-s", "Hello", e.to}
		}},
		{name: "mailutils", program: "mail.mailutils", packages: "mailutils", args: func(e endpoint) []string {
			return []string{"--no-config", "-n", "-r", sender, "-s", "Hello", "-E", `set sendmail="smtp://` + login(e) + `"`, e.to}
		}},
		{name: "smtplib", program: "python3", args: library("send.py")},
		{name: "nodemailer", program: "node", packages: "nodejs node-nodemailer", parts: `node -e 'require("nodemailer")'`, args: library("send.js")},
		{name: "PHPMailer", program: "php", packages: "php-cli libphp-phpmailer", parts: "test -e /usr/share/php/libphp-phpmailer/autoload.php",
			args: library("send.php")},
		{name: "Ruby net/smtp", program: "ruby", args: library("send.rb")},
		{name: "Perl Net::SMTP", program: "perl", packages: "perl libauthen-sasl-perl", parts: "perl -MAuthen::SASL -e 1", args: library("send.pl")},
	} {
		t.Run(c.String(), func(t *testing.T) {
			c.mustBeThere(t)
			c.file = header + "Hello!\n"
			e := r.endpoint(clear, "")
			e.certificate = ""
			hello(t, r.sent(t, c, e))
		})
	}
	t.Run("Go net/smtp", func(t *testing.T) {
		e := r.endpoint(clear, "")
		if err := smtp.SendMail(e.address, smtp.PlainAuth("", sender, e.password, e.host()), sender, []string{e.to}, []byte(crlf(header+"Hello!\n"))); err != nil {
			t.Fatal(err)
		}
		messages := r.provider.Messages()
		hello(t, messages[len(messages)-1])
	})
}

// hello looks for what was sent.
func hello(t *testing.T, m providertest.Message) {
	t.Helper()
	if m.From != sender || !bytes.Contains(m.Body, []byte("Hello!")) && !bytes.Contains(m.Body, []byte("Subject: Hello")) && !bytes.Contains(m.Body, []byte("test message")) && !bytes.Contains(m.Body, []byte("This is a test mailing")) {
		t.Errorf("from %s came %q", m.From, m.Body)
	}
}

package ui

import (
	"fmt"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// snippet is a piece of a script or a settings file to copy, with an account's values.
// The password is not in it: it says LOCAL_PASSWORD, or takes it from the environment.
type snippet struct {
	program string // a name that is not translated
	lines   string
}

// snippetsFor are the snippets for a choice of the page, nil if it has none.
func snippetsFor(program int, m api.MailSettings, s api.MailServer) []snippet {
	switch program {
	case terminal:
		return readFiles(m)
	case script:
		var list []snippet
		if s.Port != 0 && !s.Protocol.Reads() {
			list = scripts(m.User, s)
		}
		return append(list, readScripts(m.User, m, s.TLS)...)
	case website:
		if plain := find(m.Servers, api.SMTP, false); plain != nil && api.IsLoopback(plain.Host) {
			s = *plain // their checks of certificates are the hardest to satisfy
		}
		return settingsFiles(m.User, s)
	}
	return nil
}

// scripts send one message each, from a shell and from Python.
func scripts(user string, s api.MailServer) []snippet {
	word := shellWord(clean(user))
	tls, class := "", "SMTP"
	if s.TLS {
		tls, class = " --tls-on-connect", "SMTP_SSL"
	}
	return []snippet{
		{"swaks", fmt.Sprintf("swaks --server %s:%d%s --auth PLAIN \\\n  --auth-user %s --auth-password \"$WAXSEAL_PASSWORD\" \\\n  --from %s --to %s",
			bracketed(s.Host), s.Port, tls, word, word, word)},
		{"Python", fmt.Sprintf("import os, smtplib\nfrom email.message import EmailMessage\n\nmessage = EmailMessage()\nmessage[\"From\"] = message[\"To\"] = %[1]q\nmessage[\"Subject\"] = \"Hello\"\nmessage.set_content(\"Sent through Waxseal.\")\n"+
			"with smtplib.%[2]s(%[3]q, %[4]d) as s:\n    s.login(%[1]q, os.environ[\"WAXSEAL_PASSWORD\"])\n    s.send_message(message)", clean(user), class, s.Host, s.Port)},
	}
}

// settingsFiles are the mail settings of programs that run on a server. Sources, read on
// 2026-11-29: wpmailsmtp.com "Securing SMTP Settings With Constants"; Grafana "Configure
// Grafana", [smtp]; Nextcloud "Email", config.php; docs.gitea.com 1.27 "Email setup". Grafana
// only speaks TLS from the first byte on port 465, so it is left out for other such ports.
func settingsFiles(user string, s api.MailServer) []snippet {
	user = clean(user)
	local, domain := user, ""
	if at := strings.LastIndexByte(user, '@'); at >= 0 {
		local, domain = user[:at], user[at+1:]
	}
	ssl, protocol := "", "smtp"
	if s.TLS {
		ssl, protocol = "ssl", "smtps"
	}
	list := []snippet{
		{"WordPress (WP Mail SMTP): wp-config.php", phpLines("define( '%s', %s );",
			"WPMS_ON", true, "WPMS_MAILER", "smtp", "WPMS_MAIL_FROM", user, "WPMS_SMTP_HOST", s.Host, "WPMS_SMTP_PORT", s.Port,
			"WPMS_SSL", ssl, "WPMS_SMTP_AUTOTLS", false, "WPMS_SMTP_AUTH", true, "WPMS_SMTP_USER", user, "WPMS_SMTP_PASS", "LOCAL_PASSWORD")},
		{"Nextcloud: config/config.php", phpLines("'%s' => %s,",
			"mail_smtpmode", "smtp", "mail_smtphost", s.Host, "mail_smtpport", s.Port, "mail_smtpsecure", ssl, "mail_smtpauth", true,
			"mail_smtpname", user, "mail_smtppassword", "LOCAL_PASSWORD", "mail_from_address", local, "mail_domain", domain)},
		{"Gitea: app.ini", fmt.Sprintf("[mailer]\nENABLED = true\nPROTOCOL = %s\nSMTP_ADDR = %s\nSMTP_PORT = %d\nFROM = %s\nUSER = %s\nPASSWD = `LOCAL_PASSWORD`",
			protocol, s.Host, s.Port, iniWord(user), iniWord(user))},
	}
	if !s.TLS || s.Port == 465 {
		list = append(list, snippet{"Grafana: grafana.ini", fmt.Sprintf("[smtp]\nenabled = true\nhost = %s:%d\nuser = \"\"\"%s\"\"\"\npassword = \"\"\"LOCAL_PASSWORD\"\"\"\nfrom_address = %s\nstartTLS_policy = NoStartTLS",
			bracketed(s.Host), s.Port, user, user)})
	}
	return list
}

// phpLines writes pairs of names and values, one a line, in the form given.
func phpLines(form string, pairs ...any) string {
	var lines []string
	for i := 0; i+1 < len(pairs); i += 2 {
		value := fmt.Sprint(pairs[i+1])
		if text, ok := pairs[i+1].(string); ok {
			value = "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
		}
		lines = append(lines, fmt.Sprintf(form, pairs[i], value))
	}
	return strings.Join(lines, "\n")
}

// iniWord quotes a text in which an INI file would see a comment.
func iniWord(s string) string {
	if strings.ContainsAny(s, "#;") {
		return "`" + s + "`"
	}
	return s
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// shellWord quotes a text that a shell would not take as one word.
func shellWord(s string) string {
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._+-") == ""
	if plain && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

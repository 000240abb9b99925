package ui

import (
	"fmt"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"

	"github.com/waxseal/waxseal/proxy/api"
)

// programs shows how to set up common mail programs.
type programs struct {
	w       *window
	root    *fyne.Container
	choice  *segments
	steps   *fyne.Container
	code    *text
	codeBox *fyne.Container

	settings api.MailSettings
	server   api.MailServer
}

const (
	thunderbird = iota
	outlook
	appleMail
	scanner
	script
)

func newPrograms(w *window) *programs {
	p := &programs{w: w, steps: newColumn(8), code: newText("", kind{mono: true, size: "helperText"})}
	p.choice = newSegments(w.kit, []string{"Thunderbird", "Outlook", "Apple Mail", tr("Scanner or printer"), tr("Script")}, func(int) { p.draw() })
	copyCode := w.copyButton(tr("Copy"), "", func() string { return p.code.Text })
	p.codeBox = newColumn(8, newStack(newSheet(colorTrack, colorNone, 8), padded(12, 10, p.code)), newFlow(8, copyCode))
	p.root = newColumn(14, newHeading(tr("Setup steps")), p.choice.root, p.steps, p.codeBox)
	return p
}

func (p *programs) fill(m api.MailSettings, server api.MailServer) {
	p.settings, p.server = m, server
	p.draw()
}

func (p *programs) draw() {
	p.steps.Objects = nil
	for i, s := range programSteps(p.choice.chosen, p.settings, p.server) {
		p.steps.Add(numbered(i+1, s))
	}
	code := ""
	if p.choice.chosen == script {
		code = snippet(p.settings, p.server)
	}
	p.code.set(code)
	show(p.codeBox, code != "")
	p.w.settle()
}

// programSteps are the steps for one mail program, with the account's values except
// the password.
func programSteps(program int, m api.MailSettings, s api.MailServer) []string {
	v := values{"Server": s.Host, "Port": strconv.Itoa(s.Port), "User": clean(m.User), "Security": securityName(s)}
	trust := tr("When it asks about the certificate, trust it: “Settings”, “Certificate” tells you how.")
	var steps []string
	switch program {
	case thunderbird:
		steps = []string{
			tr("Open “Account Settings” and choose “Outgoing Server (SMTP)” at the end of the list. Add a server, or edit the account’s server."),
			tr("Server name {{.Server}}, port {{.Port}}, connection security “{{.Security}}”.", v),
			tr("Authentication method “Normal password”, or “Password, transmitted insecurely” without TLS; the password never leaves this computer. User name {{.User}}.", v),
			tr("Choose this server in the account’s settings. Thunderbird asks for the password when you send your first message."),
		}
	case outlook:
		steps = []string{
			tr("Add the account as “IMAP or POP”, with “Let me set up my account manually”. For an existing account, open “Account settings”, “Server settings”, “Outgoing mail”."),
			tr("Outgoing server {{.Server}}, port {{.Port}}, encryption “{{.Security}}”.", v),
			tr("Choose “My outgoing server requires authentication” with user name {{.User}} and the password shown above.", v),
			tr("Use classic Outlook: the new Outlook sends through Microsoft’s servers and can’t reach this computer."),
		}
	case appleMail:
		steps = []string{
			tr("Open “Mail”, “Settings”, “Accounts”, your account, “Server Settings”. At “Outgoing Mail Account”, choose “Edit SMTP Server List” and add a server."),
			tr("Host name {{.Server}}. Switch off “Automatically manage connection settings”; port {{.Port}}.", v),
			tr("Authentication “Password”, user name {{.User}}, and the password shown above.", v),
		}
	case scanner:
		steps = []string{
			tr("A device reaches Waxseal over the network. Set allow_remote = true in the configuration file, then add this computer’s address in “Settings”, “Local mail server”, “Implicit TLS”."),
			tr("On the device, set the mail server to this computer’s address, the port to Waxseal’s, and the security to SSL/TLS."),
			tr("Turn on SMTP authentication with user name {{.User}} and the password shown above. Use the same address as the sender.", v),
			tr("In this computer’s firewall, allow that port only from your own network."),
		}
	case script:
		return []string{tr("Put the password into the environment variable WAXSEAL_PASSWORD, not into the script.")}
	}
	if s.TLS && program != scanner {
		steps = append(steps, trust)
	}
	return steps
}

// snippet sends one message from a shell and from Python, with the account's
// values; the password comes from the environment.
func snippet(m api.MailSettings, s api.MailServer) string {
	user, host := shellWord(clean(m.User)), s.Host
	tls, class := "", "SMTP"
	if s.TLS {
		tls, class = " --tls-on-connect", "SMTP_SSL"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "swaks --server %s:%d%s --auth PLAIN \\\n  --auth-user %s --auth-password \"$WAXSEAL_PASSWORD\" \\\n  --from %s --to %s\n\n",
		bracketed(host), s.Port, tls, user, user, user)
	fmt.Fprintf(&b, "import os, smtplib\nwith smtplib.%s(%q, %d) as s:\n    s.login(%q, os.environ[\"WAXSEAL_PASSWORD\"])\n    s.send_message(message)",
		class, host, s.Port, clean(m.User))
	return b.String()
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

package ui

import (
	"strconv"

	"fyne.io/fyne/v2"

	"github.com/waxseal/waxseal/proxy/api"
)

// programs shows how to set up common mail programs.
type programs struct {
	w        *window
	root     *fyne.Container
	choice   *segments
	steps    *fyne.Container
	snippets *fyne.Container

	settings access
	server   api.MailServer
}

const (
	thunderbird = iota
	outlook
	appleMail
	scanner
	website
	terminal
	script
)

func newPrograms(w *window) *programs {
	p := &programs{w: w, steps: newColumn(8), snippets: newColumn(14)}
	p.choice = newSegments(w.kit, []string{"Thunderbird", "Outlook", "Apple Mail", tr("Scanner or printer"), tr("Website or server"), tr("Terminal program"), tr("Script")}, func(int) { p.draw() })
	p.root = newColumn(14, newHeading(tr("Setup steps")), p.choice.root, p.steps, p.snippets)
	return p
}

// fill shows the steps for an account's servers. server is the one whose values the page shows.
func (p *programs) fill(a access, server api.MailServer) {
	m := a.MailSettings
	p.settings, p.server = a, server
	if out := outgoing(m, server.TLS); out != nil {
		p.server = *out
	}
	sends, reads := serves(m.Servers, api.SMTP), reading(m, server.TLS) != nil
	p.choice.offer(func(program int) bool {
		return program != scanner && program != website || sends || !reads
	})
	p.draw()
}

// outgoing is the server for sending, if there is one, with the kind of security if that exists.
func outgoing(m api.MailSettings, tls bool) *api.MailServer { return either(m, api.SMTP, tls) }

// reading is the server for reading: IMAP's if there is one, else POP's.
func reading(m api.MailSettings, tls bool) *api.MailServer {
	if imap := either(m, api.IMAP, tls); imap != nil {
		return imap
	}
	return either(m, api.POP, tls)
}

func either(m api.MailSettings, p api.Protocol, tls bool) *api.MailServer {
	if s := find(m.Servers, p, tls); s != nil {
		return s
	}
	return find(m.Servers, p, !tls)
}

func (p *programs) draw() {
	p.steps.Objects = nil
	for i, s := range programSteps(p.choice.chosen, p.settings.MailSettings, p.server) {
		p.steps.Add(numbered(i+1, s))
	}
	if p.choice.chosen == scanner {
		p.steps.Add(newBeside(24, newBody(""), newFlow(8, p.w.kit.button(tr("Open settings"), nil, func() { p.w.show(Page{Name: "settings"}) }))))
	}
	p.snippets.Objects = nil
	for _, s := range snippetsFor(p.choice.chosen, p.settings, p.server.TLS) {
		p.snippets.Add(newSnippet(p.w, s))
	}
	show(p.snippets, len(p.snippets.Objects) > 0)
	p.w.settle()
}

// newSnippet shows lines to copy under the name of the program that they are for.
func newSnippet(w *window, s snippet) fyne.CanvasObject {
	lines := newText(s.lines, kind{mono: true, size: "helperText"})
	return newColumn(6, newLine(4, nil, newText(s.program, kind{bold: true}), w.copyButton("", tr("Copy"), func() string { return s.lines })),
		newBox(lines))
}

// programSteps are the steps for one mail program, with the account's values except
// the password; s is the server for sending. Programs that read are set up for that first. The names are those of Thunderbird 153.8, of Apple's guide "Change
// Outgoing server settings in Mail on Mac", and of classic Outlook's account settings;
// read on 2026-11-29.
func programSteps(program int, m api.MailSettings, s api.MailServer) []string {
	v := values{"Server": s.Host, "Port": strconv.Itoa(s.Port), "User": clean(m.User), "Security": securityName(s)}
	if in := reading(m, s.TLS); in != nil && program <= appleMail {
		return readSteps(program, m, *in)
	}
	var steps []string
	switch program {
	case thunderbird:
		method := tr("Password, transmitted insecurely")
		if s.TLS || !api.IsLoopback(s.Host) {
			method = tr("Normal password")
		}
		v["Method"] = method
		steps = []string{
			tr("Open “Account Settings” and choose “Outgoing Server” at the end of the list. Add a server, or edit the account’s server."),
			tr("Server name {{.Server}}, port {{.Port}}, connection security “{{.Security}}”.", v),
			tr("Authentication method “{{.Method}}”; the password never leaves this computer. User name {{.User}}.", v),
			tr("Choose this server as “Outgoing Server” in the account’s settings. Thunderbird asks for the password when you send your first message."),
		}
	case outlook:
		steps = []string{
			tr("Use classic Outlook: the new Outlook sends through Microsoft’s servers and can’t reach this computer."),
			tr("In Windows’ Control Panel, open “Mail”, “Email Accounts”, your IMAP or POP account, “Change”. Outgoing mail server (SMTP): {{.Server}}.", v),
			tr("Open “More Settings”, “Outgoing Server”: “My outgoing server (SMTP) requires authentication”, “Log on using” {{.User}} and the password shown above.", v),
			tr("“Advanced”: outgoing server (SMTP) {{.Port}}, type of encrypted connection “{{.Security}}”.", v),
		}
	case appleMail:
		steps = []string{
			tr("In Mail, open “Settings”, “Accounts”, your account, “Server Settings”. At “Outgoing Mail Account”, choose “Edit SMTP Server List” and add a server."),
			tr("User name {{.User}}, the password shown above, and host name {{.Server}}.", v),
		}
		if s.TLS {
			steps = append(steps, tr("Switch off “Automatically manage connection settings”. Port {{.Port}}, “Use TLS/SSL” on, authentication “Password”.", v))
		} else {
			steps = append(steps, tr("Switch off “Automatically manage connection settings”. Port {{.Port}}, “Use TLS/SSL” off, authentication “Password”. Switch on “Allow insecure authentication”: the password never leaves this computer.", v))
		}
	case scanner:
		steps = []string{
			tr("A device reaches Waxseal over your network. In “Settings”, “Devices on my network”, switch that on. The server’s address, the ports and what the firewall needs are shown there."),
			tr("On the device, enter that server and port, with SSL/TLS. If it only has STARTTLS, use the other port."),
			tr("Turn on SMTP authentication with user name {{.User}} and the password shown above. Use the same address as the sender.", v),
			tr("If the device has a setting for checking the server’s certificate, switch it off: Waxseal’s certificate only names this computer as “localhost”."),
		}
	case website, terminal:
		return []string{
			tr("For a program on this computer, copy its lines into its settings file. If they say LOCAL_PASSWORD, put the password shown above there."),
			tr("Let nobody but the program read that file."),
			tr("For a program that is not listed, use the values shown above. It may call no security “None” or “Off”; switch off “Auto TLS” or “Use TLS if available”."),
		}
	case script:
		return []string{tr("Put the password into the environment variable WAXSEAL_PASSWORD, not into the script.")}
	}
	if s.TLS && program != scanner {
		steps = append(steps, tr("When it asks about the certificate, trust it: “Settings”, “Certificate” tells you how."))
	}
	return steps
}

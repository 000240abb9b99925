package ui

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// readSteps are the steps to set up a mail program that reads from in and, if the account sends,
// sends too. The names are those of Thunderbird 153.8's Account Hub. Those of Apple Mail and classic
// Outlook were not compared with the programs.
func readSteps(program int, m api.MailSettings, in api.MailServer) []string {
	out := outgoing(m, in.TLS)
	v := values{"Protocol": protocolName(in.Protocol), "Server": in.Host, "Port": strconv.Itoa(in.Port), "Security": securityName(in), "User": clean(m.User)}
	var o values
	if out != nil {
		o = values{"Server": out.Host, "Port": strconv.Itoa(out.Port), "Security": securityName(*out), "User": clean(m.User)}
	}
	var steps []string
	switch program {
	case thunderbird:
		steps = thunderbirdSteps(v, o)
		if !in.TLS && api.IsLoopback(in.Host) {
			steps = append(steps, tr("If Thunderbird warns that the server uses no encryption, accept that: the connection never leaves this computer."))
		}
	case outlook:
		steps = outlookSteps(v, o)
	case appleMail:
		steps = appleSteps(v, o, in, out)
	}
	if out == nil {
		steps = append(steps, tr("This account does not send through Waxseal. Enter the outgoing server that you otherwise use."))
	}
	if in.TLS {
		steps = append(steps, tr("When it asks about the certificate, trust it: “Settings”, “Certificate” tells you how."))
	}
	return steps
}

// protocolName is a protocol as mail programs call it.
func protocolName(p api.Protocol) string {
	if p == api.POP {
		return "POP3"
	}
	return "IMAP"
}

func thunderbirdSteps(in, out values) []string {
	steps := []string{
		tr("Open “Account Settings”, “Add Account”, “Mail Account…”. Enter {{.User}} and choose “Configure Manually”.", in),
		tr("“Incoming server”: protocol {{.Protocol}}, hostname {{.Server}}, port {{.Port}}, connection security “{{.Security}}”, authentication method “Normal password”, username {{.User}}.", in),
	}
	if out != nil {
		steps = append(steps, tr("“Outgoing server”: hostname {{.Server}}, port {{.Port}}, connection security “{{.Security}}”, authentication method “Normal password”, username {{.User}}.", out))
	}
	return append(steps, tr("Enter the password shown above when Thunderbird asks for it."))
}

func outlookSteps(in, out values) []string {
	steps := []string{
		tr("Use classic Outlook: the new Outlook sends through Microsoft’s servers and can’t reach this computer."),
		tr("In Windows’ Control Panel, open “Mail”, “Email Accounts”, “New”, “Manual setup or additional server types”, “POP or IMAP”."),
		tr("Account type {{.Protocol}}, incoming mail server {{.Server}}, user name {{.User}} and the password shown above.", in),
	}
	if out != nil {
		steps = append(steps, tr("Outgoing mail server (SMTP) {{.Server}}. In “More Settings”, “Outgoing Server”, choose “My outgoing server (SMTP) requires authentication” and “Use same settings as my incoming mail server”.", out))
	}
	steps = append(steps, tr("“More Settings”, “Advanced”: incoming server ({{.Protocol}}) {{.Port}}, type of encrypted connection “{{.Security}}”.", in))
	if out != nil {
		steps = append(steps, tr("“Advanced”: outgoing server (SMTP) {{.Port}}, type of encrypted connection “{{.Security}}”.", out))
	}
	return steps
}

func appleSteps(in, out values, server api.MailServer, sender *api.MailServer) []string {
	steps := []string{
		tr("In Mail, choose “Mail”, “Add Account…”, “Other Mail Account…”. Enter {{.User}} and the password shown above.", in),
		tr("Mail then asks for the servers: account type {{.Protocol}}, incoming mail server {{.Server}}, user name {{.User}}.", in),
	}
	places := []string{fmt.Sprintf("%d (%s)", server.Port, in["Protocol"])}
	if sender != nil {
		steps = append(steps, tr("Outgoing mail server {{.Server}}, with the same user name and password.", out))
		places = append(places, fmt.Sprintf("%d (SMTP)", sender.Port))
	}
	all := values{"Ports": strings.Join(places, ", ")}
	if server.TLS {
		return append(steps, tr("In “Settings”, “Accounts”, “Server Settings”, switch off “Automatically manage connection settings” for each server. Ports {{.Ports}}, “Use TLS/SSL” on, authentication “Password”.", all))
	}
	return append(steps, tr("In “Settings”, “Accounts”, “Server Settings”, switch off “Automatically manage connection settings” for each server. Ports {{.Ports}}, “Use TLS/SSL” off, authentication “Password”. Switch on “Allow insecure authentication”: the password never leaves this computer.", all))
}

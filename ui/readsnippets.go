package ui

import (
	"fmt"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
)

// readScripts list what is in the inbox, from Python.
func readScripts(user string, m api.MailSettings, tls bool) (list []snippet) {
	user = clean(user)
	if s := either(m, api.IMAP, tls); s != nil {
		list = append(list, snippet{"Python, IMAP", fmt.Sprintf("import imaplib, os\n\nwith imaplib.%s(%q, %d) as m:\n    m.login(%q, os.environ[\"WAXSEAL_PASSWORD\"])\n    m.select(readonly=True)\n"+
			"    for number in m.search(None, \"UNSEEN\")[1][0].split():\n        print(m.fetch(number, \"(BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])\")[1][0][1].decode())",
			"IMAP4"+word(s.TLS, "_SSL", ""), s.Host, s.Port, user)})
	}
	if s := either(m, api.POP, tls); s != nil {
		list = append(list, snippet{"Python, POP", fmt.Sprintf("import os, poplib\n\nm = poplib.%s(%q, %d)\nm.user(%q)\nm.pass_(os.environ[\"WAXSEAL_PASSWORD\"])\nprint(\"%%d messages, %%d bytes\" %% m.stat())\nm.quit()",
			"POP3"+word(s.TLS, "_SSL", ""), s.Host, s.Port, user)})
	}
	return list
}

// readFiles are the settings of programs that read from a terminal. Without TLS, mbsync 1.4, getmail
// 6.18, fetchmail 6.4 and NeoMutt took them and logged in on 2026-11-29. Where there is a port without TLS on this computer they use it: their checks of certificates are
// the hardest to satisfy.
func readFiles(m api.MailSettings) []snippet {
	user := clean(m.User)
	imap, pop := readServer(m, api.IMAP), readServer(m, api.POP)
	var list []snippet
	if imap != nil {
		list = append(list,
			snippet{"mbsync: ~/.mbsyncrc", fmt.Sprintf("IMAPAccount waxseal\nHost %s\nPort %d\nUser %s\nPass \"LOCAL_PASSWORD\"\nSSLType %s\n\n"+
				"IMAPStore remote\nAccount waxseal\n\nMaildirStore local\nPath ~/Mail/\nInbox ~/Mail/INBOX\nSubFolders Verbatim\n\n"+
				"Channel mail\nFar :remote:\nNear :local:\nPatterns *\nCreate Near\nSyncState *",
				imap.Host, imap.Port, inQuotes(user), word(imap.TLS, "IMAPS", "None"))},
			snippet{"Mutt, NeoMutt: ~/.muttrc", fmt.Sprintf("set folder = \"%s://%s:%d/\"\nset spoolfile = \"+INBOX\"\nset imap_user = %s\nset imap_pass = \"LOCAL_PASSWORD\"\nset ssl_starttls = no\nset ssl_force_tls = %s",
				word(imap.TLS, "imaps", "imap"), bracketed(imap.Host), imap.Port, inQuotes(user), word(imap.TLS, "yes", "no"))})
	}
	for _, s := range []*api.MailServer{imap, pop} {
		if s == nil {
			continue
		}
		name := protocolName(s.Protocol)
		list = append(list,
			snippet{"getmail (" + name + "): ~/.config/getmail/getmailrc", fmt.Sprintf("[retriever]\ntype = Simple%s%sRetriever\nserver = %s\nport = %d\nusername = %s\npassword = LOCAL_PASSWORD\n\n"+
				"[destination]\ntype = Maildir\npath = ~/Mail/\n\n[options]\nread_all = false", name, word(s.TLS, "SSL", ""), s.Host, s.Port, user)},
			snippet{"fetchmail (" + name + "): ~/.fetchmailrc", fmt.Sprintf("poll %s protocol %s port %d\n  user %s password \"LOCAL_PASSWORD\"\n  %s keep",
				s.Host, strings.ToLower(name), s.Port, inQuotes(user), word(s.TLS, "ssl", "sslproto ''"))})
	}
	return list
}

// readServer is the server that programs on a terminal use.
func readServer(m api.MailSettings, p api.Protocol) *api.MailServer {
	if plain := find(m.Servers, p, false); plain != nil && api.IsLoopback(plain.Host) {
		return plain
	}
	return either(m, p, true)
}

// inQuotes puts a text between double quotes, as settings files of these programs want it.
func inQuotes(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func word(holds bool, yes, no string) string {
	if holds {
		return yes
	}
	return no
}

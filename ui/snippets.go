package ui

import (
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	templates "github.com/waxseal/waxseal/ui/programs"
)

// snippet is a piece of a script or a settings file to copy, with an account's values.
// The password is not in it: it says LOCAL_PASSWORD, has a command for it, or takes it from the environment.
type snippet struct {
	program string // a name that is not translated
	lines   string
}

// shown are the programs whose lines a choice of the page shows. `waxseal setup` knows more of them.
var shown = map[int][]string{
	website:  {"wordpress", "nextcloud", "gitea", "grafana"},
	terminal: {"mbsync", "mutt", "aerc", "getmail", "fetchmail", "msmtp", "git"},
	script:   {"swaks", "python", "python-imap", "python-pop"},
}

// access is how mail programs reach Waxseal, and what their settings say about it.
type access struct {
	api.MailSettings
	certificate string // the file of Waxseal's own certificate, "" if there is none
	waxseal     string // how a shell runs Waxseal, "" if by its name
}

// snippetsFor are the snippets for a choice of the page, nil if it has none. Scripts connect as the page
// says, settings files without TLS where they can.
func snippetsFor(program int, a access, tls bool) (list []snippet) {
	m := a.MailSettings
	if program == script {
		m.Servers = chosen(m, tls)
	}
	v, _ := templates.New(m, a.certificate, false)
	v.Waxseal = a.waxseal
	for _, name := range shown[program] {
		p, ok := templates.Find(name)
		lines, err := p.Lines(v)
		if !ok || err != nil { // the account does not do what the program needs
			continue
		}
		title := p.Title
		if paths := p.Files[0].Paths; len(paths) > 0 {
			title += ": " + paths[0]
		}
		list = append(list, snippet{title, strings.TrimSuffix(lines, "\n")})
	}
	return list
}

// chosen are the servers with a kind of security, or with the other one where a protocol has no such.
func chosen(m api.MailSettings, tls bool) (list []api.MailServer) {
	for _, p := range api.Protocols {
		if s := either(m, p, tls); s != nil {
			server := *s
			server.Protocol = p
			list = append(list, server)
		}
	}
	return list
}

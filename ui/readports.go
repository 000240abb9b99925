package ui

import (
	"strings"

	"fyne.io/fyne/v2"

	"github.com/waxseal/waxseal/proxy/api"
)

// readPorts are the settings of where mail programs that read connect, for one protocol. They are
// shown while some account does it, as the ports are only open then.
type readPorts struct {
	protocol   api.Protocol
	root       *fyne.Container
	plain, tls *setting
	is         func(*api.Settings) (plain, tls *[]string)
}

func newReadPorts(s *settings) []readPorts {
	list := []readPorts{
		{protocol: api.IMAP, is: func(p *api.Settings) (plain, tls *[]string) { return &p.ListenIMAP, &p.ListenIMAPTLS }},
		{protocol: api.POP, is: func(p *api.Settings) (plain, tls *[]string) { return &p.ListenPOP, &p.ListenPOPTLS }},
	}
	titles := []string{tr("For reading with IMAP"), tr("For reading with POP")}
	examples := [][2]string{{"127.0.0.1:1143", "127.0.0.1:1993"}, {"127.0.0.1:1110", "127.0.0.1:1995"}}
	for i := range list {
		r := &list[i]
		is := r.is
		r.plain = newSetting(s, tr("Unencrypted or STARTTLS"), "", examples[i][0], checkAddresses,
			func(p *api.Settings, v string) { plain, _ := is(p); *plain = addresses(v) })
		r.tls = newSetting(s, tr("Implicit TLS"), "", examples[i][1], checkAddresses,
			func(p *api.Settings, v string) { _, tls := is(p); *tls = addresses(v) })
		r.plain.follows, r.tls.follows = s.w.portNote(r.protocol), s.w.portNote(r.protocol)
		r.root = newColumn(14, newRule(), newText(titles[i], kind{bold: true}), r.plain.root, r.tls.root)
	}
	return list
}

func (r readPorts) update(p api.Settings) {
	plain, tls := r.is(&p)
	r.plain.update(strings.Join(*plain, ", "))
	r.tls.update(strings.Join(*tls, ", "))
}

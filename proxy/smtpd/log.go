package smtpd

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
)

// Every log line about a session names it: session.log does so for the session's own lines,
// mailbox.BySession for what is logged on its behalf deeper down, and smtpLog for what go-smtp reports.

// peer is a client's address that knows its session: it is all by which go-smtp names a connection.
type peer struct {
	net.Addr
	session string
}

// smtpLog is where go-smtp reports: panics, and clients that broke off, which is their business and not
// an error of ours. The address comes first, then the cause, then a panic's stack.
type smtpLog struct{ log *slog.Logger }

func (l smtpLog) Printf(format string, v ...any) {
	log := l.log
	if len(v) > 1 {
		if p, ok := v[0].(peer); ok {
			log = log.With("session", p.session, "client", p.String())
			switch {
			case len(v) == 3 && strings.HasPrefix(format, "panic"):
				log.Error("panic in a session; it ends, the others continue", "panic", fmt.Sprint(v[1]), "stack", fmt.Sprintf("%s", v[2]))
				return
			case len(v) == 2:
				log.Info("the connection broke", "err", v[1])
				return
			}
		}
	}
	log.Info(strings.TrimSpace(fmt.Sprintf(format, v...)))
}

func (l smtpLog) Println(v ...any) { l.Printf("%s", fmt.Sprintln(v...)) }

// Package smtpd serves mail programs that send: SMTP submission (RFC 6409) with passwords, in
// front of providers that take only OAuth 2.0.
//
// A [session] leases a connection on which the provider accepted the account's token, and passes on
// commands and replies word for word. Nothing is queued: a 250 to the mail program is the provider's
// 250. See [session] for the life of a message, [conn] for the layer between go-smtp and the network,
// and replyTo for what a mail program is told when something fails.
package smtpd

import (
	"cmp"
	"context"
	"net"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/mailbox"
)

// Server serves the clients of a hall that speak SMTP.
type Server struct {
	hall *mailbox.Hall
	smtp *smtp.Server

	// OtherPort names a listener with or without TLS, for advice in the log; key is the setting that
	// would have one.
	OtherPort func(tls bool, key string) string
}

// New makes a server.
func New(hall *mailbox.Hall) *Server {
	srv := &Server{hall: hall}
	srv.smtp = smtp.NewServer(smtp.BackendFunc(srv.newSession))
	srv.smtp.Domain = unnamed
	srv.smtp.EnableSMTPUTF8, srv.smtp.EnableDSN = true, true
	srv.smtp.AllowInsecureAuth = true // conn.needsTLS decides, by the interface
	srv.smtp.MaxLineLength = 0        // conn limits commands, and does not split bodies into lines
	srv.smtp.ErrorLog = smtpLog{hall.Log}
	return srv
}

// unnamed is the name of a server whose configuration has no hostname.
const unnamed = "localhost"

// domain is this server's name in the greeting.
func (srv *Server) domain() string { return cmp.Or(srv.hall.Config().Hostname, unnamed) }

// hello begins the reply to EHLO and HELO, in which the server's name comes first (RFC 5321 section
// 4.1.1.1). Without a name of its own, a server for programs on the same computer does not give one.
func (srv *Server) hello() string {
	if name := srv.hall.Config().Hostname; name != "" {
		return name + " Hello "
	}
	return "Hello "
}

// Serve serves the clients that accept returns, until it returns an error, which Serve returns. l is
// the listener that they come from; Shutdown closes it.
func (srv *Server) Serve(l net.Listener, accept func() (*mailbox.Client, error)) error {
	return srv.smtp.Serve(entrance{l, srv, accept})
}

// Shutdown returns when every session has ended, or with ctx.
func (srv *Server) Shutdown(ctx context.Context) error { return srv.smtp.Shutdown(ctx) }

// entrance is a listener as go-smtp sees it.
type entrance struct {
	net.Listener
	srv    *Server
	accept func() (*mailbox.Client, error)
}

func (e entrance) Accept() (net.Conn, error) {
	client, err := e.accept()
	if err != nil {
		return nil, err
	}
	return newConn(client, e.srv), nil
}

// Package imapd serves IMAP to mail programs that only know a password, from a provider that only takes OAuth.
//
// A session has two parts. Until the login, Waxseal answers itself: greeting, capabilities, TLS and the local
// password. Nothing goes to the provider. Then it logs in there with a token, gives the mail program the
// provider's answer, and from then on passes bytes in both directions and changes none (package splice). An
// observer follows the provider's lines and literals, so that Waxseal can say BYE between two responses.
//
// What each situation is answered with is in answer: AUTHENTICATIONFAILED only where another password helps.
package imapd

import (
	"context"

	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/tcp"
)

// Server serves the mail programs that speak IMAP. All methods may be called by many goroutines.
type Server struct {
	hall      *mailbox.Hall
	connector connector
	spares    *spares
	upstream  tcp.Probes // of the open sessions
}

// New makes a Server.
func New(hall *mailbox.Hall) *Server {
	s := &Server{hall: hall}
	s.spares = newSpares(func(ctx context.Context, b account) (*link, error) { return s.connector.connect(ctx, b, nil) })
	return s
}

// Accounts says which accounts do IMAP, by address. Before its login, a mail program is offered what the
// providers of all of them offer. Connections that are kept for accounts that are no longer the same end.
func (s *Server) Accounts(addresses []string) {
	s.connector.known.Accounts(addresses)
	s.spares.dropRemoved()
}

// Drop closes the connections that are kept for coming logins, as after sleep or a change of network.
func (s *Server) Drop() { s.spares.dropAll() }

// Probe looks whether the open sessions' connections to providers are still there, as after sleep or a change of
// network. Those that are dead end within seven seconds, and their mail programs hear BYE.
func (s *Server) Probe() { s.upstream.Start() }

// Close closes the connections that are kept and waits for what is going on in the background, or for the end
// of ctx. Sessions are not waited for: who called Serve does that.
func (s *Server) Close(ctx context.Context) error {
	s.upstream.Stop()
	return s.spares.close(ctx)
}

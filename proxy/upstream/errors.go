package upstream

import (
	"errors"
	"fmt"
)

var (
	// ErrBusy: every connection the provider allows was busy until the turn's deadline.
	ErrBusy = errors.New("all connections are busy")
	// ErrClosed: the pool was closed.
	ErrClosed = errors.New("the account's connections are closed")
	// ErrNoTLS: the server does not offer STARTTLS; nothing was sent in the clear.
	ErrNoTLS = errors.New("the server does not offer STARTTLS")
	// ErrNotLoopback: mode "none" for a server that is not on this machine.
	ErrNotLoopback = errors.New("plain text is for loopback addresses only")
	// ErrNoOAuth: the server offers neither XOAUTH2 nor OAUTHBEARER.
	ErrNoOAuth = errors.New("the server offers neither XOAUTH2 nor OAUTHBEARER")
	// ErrUTF8: the message needs SMTPUTF8 (RFC 6531) and the server does not offer it.
	ErrUTF8 = errors.New("the server does not offer SMTPUTF8")
	// ErrEnvelope: an address or parameter that cannot be put on a command line;
	// nothing of it was written.
	ErrEnvelope = errors.New("unusable address or parameter")
	// ErrNotASCII is the [ErrEnvelope] of an address that needs SMTPUTF8 in a
	// message that did not ask for it (RFC 6531 section 3.2).
	ErrNotASCII = fmt.Errorf("%w: not ASCII, without SMTPUTF8", ErrEnvelope)
	// ErrBareLineEnd: the body has a dot alone between line ends that are not
	// both CRLF. Servers disagree on whether it ends the message (SMTP
	// smuggling), so DATA cannot carry it.
	ErrBareLineEnd = errors.New("a dot alone on its line, with a bare CR or LF")

	errNoRecipient = errors.New("upstream: Data without an accepted recipient")
	errOver        = errors.New("upstream: the transaction's body was sent")
	errClosed      = errors.New("upstream: the transaction was closed")
	errOutOfTurn   = errors.New("the server spoke out of turn")
	errInjected    = errors.New("the server sent plain text behind its reply to STARTTLS")
)

// ConnError is a connection that failed: it could not be made, it broke, or the
// server said something that is no answer.
type ConnError struct {
	Op   string // what was tried: "connecting", "TLS handshake", "EHLO", "MAIL", ...
	Addr string // host:port
	// Started: the body was on its way. The message was not delivered, since its
	// end was not sent, unless Unknown.
	Started bool
	// Unknown: the whole message was sent and the reply to it was lost; it may
	// have been delivered.
	Unknown bool
	Err     error
}

func (e *ConnError) Error() string { return fmt.Sprintf("%s: %s: %v", e.Addr, e.Op, e.Err) }

// Unwrap gives the cause.
func (e *ConnError) Unwrap() error { return e.Err }

// ReplyError is a server's reply that ended an attempt to connect, or one that
// does not fit its command. It comes inside a [ConnError].
type ReplyError struct{ Reply Reply }

func (e *ReplyError) Error() string { return "the server said " + e.Reply.String() }

// AuthError is a login that the provider refused. A Reply of 4xx is a passing
// refusal.
type AuthError struct {
	Reply  Reply   // the final one, mostly 535
	Report *Report // what the provider said about the token before; nil when nothing
}

func (e *AuthError) Error() string {
	s := "login refused: " + e.Reply.String()
	if e.Report != nil && *e.Report != (Report{}) {
		s += fmt.Sprintf(" (about the token: status %q, schemes %q, scope %q)", e.Report.Status, e.Report.Schemes, e.Report.Scope)
	}
	return s
}

// Report is the JSON that a refused token is answered with, in a 334 challenge
// (RFC 7628 section 3.2.2; Google's XOAUTH2 has the same fields).
type Report struct {
	Status  string `json:"status"`
	Schemes string `json:"schemes,omitempty"`
	Scope   string `json:"scope,omitempty"`
}

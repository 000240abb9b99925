package upstream

import (
	"errors"
	"fmt"

	"github.com/waxseal/waxseal/proxy/dial"
)

var (
	// ErrBusy: every connection that the provider allows was busy until the wait for a turn ended.
	ErrBusy = errors.New("all connections are busy")
	// ErrClosed: the pool was closed.
	ErrClosed = errors.New("the account's connections are closed")
	// ErrHello: [Config.Hello] cannot be the name in EHLO.
	ErrHello = errors.New("unusable name for EHLO")
	// ErrUTF8: an address or the header needs SMTPUTF8 (RFC 6531) and the server does not offer it.
	ErrUTF8 = errors.New("the server does not offer SMTPUTF8")
	// ErrEnvelope: an address or parameter that cannot be put on a command line; nothing of it was
	// written.
	ErrEnvelope = errors.New("unusable address or parameter")
	// ErrNotASCII is the [ErrEnvelope] of an address that needs SMTPUTF8 in a message that did not
	// ask for it (RFC 6531 section 3.2).
	ErrNotASCII = fmt.Errorf("%w: not ASCII, without SMTPUTF8", ErrEnvelope)
	// ErrBareLineEnd: the body has a line with only a dot between line ends that are not both CRLF.
	// Servers disagree on whether it ends the message (SMTP smuggling), so DATA cannot carry it.
	ErrBareLineEnd = errors.New("a line with only a dot, with a bare CR or LF")

	// ErrOutOfTurn: the server said something that nothing was asked for.
	ErrOutOfTurn = errors.New("the server spoke out of turn")

	errNoRecipient = errors.New("upstream: Data without an accepted recipient")
	errOver        = errors.New("upstream: the transaction's body was sent")
	errClosed      = errors.New("upstream: the transaction was closed")
	errBrokeOff    = errors.New("the connection broke in the middle of a reply")
)

// ConnError is a connection that failed: it could not be made, it broke, or what the server said does
// not answer the command.
type ConnError struct {
	Op   string // what was tried: "connecting", "TLS handshake", "EHLO", "MAIL", ...
	Addr string // host:port
	// Started: a part of the body was sent. The message was not delivered, because its end was not
	// sent, unless Unknown.
	Started bool
	// Unknown: the whole message was sent and the reply to it was lost; it may have been delivered.
	Unknown bool
	Err     error // a [*dial.Error] where it could not be made, or its TLS failed
}

func (e *ConnError) Error() string {
	if step, ok := e.Err.(*dial.Error); ok { // which says the same about Op and Addr
		return step.Error()
	}
	return fmt.Sprintf("%s: %s: %v", e.Addr, e.Op, e.Err)
}

// Unwrap gives the cause.
func (e *ConnError) Unwrap() error { return e.Err }

// ReplyError is a server's reply that ended an attempt to connect, or that does not fit its command.
// It comes inside a [ConnError].
type ReplyError struct{ Reply Reply }

func (e *ReplyError) Error() string { return "the server said: " + e.Reply.String() }

// NotSMTPError is an answer that is not an SMTP reply. It comes inside a [ConnError].
type NotSMTPError struct {
	Line string // its first line, at most 80 bytes of it, without control characters
}

func (e *NotSMTPError) Error() string {
	return fmt.Sprintf("the server's reply is malformed: %q", e.Line)
}

// AuthError is a login that the provider refused. A Reply of 4xx is a passing refusal.
type AuthError struct {
	// Reply is the final one, mostly 535. Where the server hung up after its report instead of giving
	// one, it is the 334 with the report's text.
	Reply  Reply
	Report *dial.Report // what the provider said about the token before; nil when nothing
}

func (e *AuthError) Error() string {
	s := "login refused: " + e.Reply.String()
	if e.Report != nil && *e.Report != (dial.Report{}) {
		s += fmt.Sprintf(" (about the token: status %q, schemes %q, scope %q)", e.Report.Status, e.Report.Schemes, e.Report.Scope)
	}
	return s
}

package dial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

var (
	// ErrNoTLS: the server does not offer STARTTLS; nothing was sent in clear text.
	ErrNoTLS = errors.New("the server does not offer STARTTLS")
	// ErrInjected: text after the reply to STARTTLS, which must not be taken for the server's.
	ErrInjected = errors.New("the server sent plain text after its reply to STARTTLS")
	// ErrNotLoopback: mode "none" for a server that is not on this machine.
	ErrNotLoopback = errors.New("plain text is only for loopback addresses")
	// ErrNoOAuth: the server offers neither XOAUTH2 nor OAUTHBEARER.
	ErrNoOAuth = errors.New("the server offers neither XOAUTH2 nor OAUTHBEARER")
)

// The steps of an [Error].
const (
	Connecting = "connecting" // the lookup, TCP, and the HTTP proxy
	Handshake  = "TLS handshake"
	LoggingIn  = "login" // the protocol's own dialogue up to its end
)

// Error is a connection to a server that could not be made.
type Error struct {
	Step string // Connecting, Handshake or LoggingIn
	Addr string // host:port
	Err  error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %v", e.Addr, e.Step, e.Err) }

// Lost is the error of a dialogue that broke before the login was complete. An [*Error] and what only a
// person can change (ErrNoTLS, ErrNotLoopback, ErrNoOAuth) stay as they are.
func Lost(addr string, err error) error {
	if _, already := errors.AsType[*Error](err); already || err == nil {
		return err
	}
	if errors.Is(err, ErrNoTLS) || errors.Is(err, ErrNotLoopback) || errors.Is(err, ErrNoOAuth) {
		return fmt.Errorf("%s: %w", addr, err)
	}
	return &Error{Step: LoggingIn, Addr: addr, Err: err}
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// TimeoutError is the end of a wait of that length. It is a [context.DeadlineExceeded] and an
// [os.ErrDeadlineExceeded].
type TimeoutError time.Duration

// Error implements error.
func (e TimeoutError) Error() string { return fmt.Sprintf("no answer within %v", time.Duration(e)) }

// Timeout implements [net.Error].
func (TimeoutError) Timeout() bool { return true }

// Temporary implements [net.Error].
func (TimeoutError) Temporary() bool { return true }

// Is reports whether target is a deadline's error.
func (TimeoutError) Is(target error) bool {
	return target == context.DeadlineExceeded || target == os.ErrDeadlineExceeded
}

package imapd

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/prelogin"
)

// maxBad is how many commands may be wrong before the connection ends.
const maxBad = 3

// Why Waxseal ends a connection that has not logged in.
var (
	errEvicted  = errors.New("it has to make room for another")
	errStopping = errors.New("a stop has begun")
	errRemoved  = errors.New("the account was removed or changed")
	errTooMany  = errors.New("too many wrong commands")
	errLast     = errors.New("the answer to the login was the last")
)

// dialogue is an IMAP session before the login (RFC 9051's not authenticated state). Nothing of it reaches
// the provider.
type dialogue struct {
	conn      *prelogin.Conn
	needsTLS  bool            // passwords are only taken after TLS
	offersTLS bool            // STARTTLS is listed though it is not needed
	timeout   time.Duration   // for the words about it
	provider  func() []string // what all providers offer
	login     func(name, password string) answer

	bad int // wrong commands so far
}

// run talks until the login has worked, and gives the tag of its command, or until the connection is over. Then
// the error says why, and the program has been told.
func (d *dialogue) run() (tag string, err error) {
	if err = d.conn.Begin(); err == nil {
		d.conn.Say("* OK [CAPABILITY " + d.capabilities() + "] Waxseal ready")
		tag, err = d.commands()
	}
	if words := lastWords(err, d.timeout); words != "" {
		d.conn.Goodbye(bye(words))
	}
	return tag, err
}

// commands answers commands until the login has worked.
func (d *dialogue) commands() (tag string, err error) {
	for {
		cmd, err := readCommand(d.conn)
		if err != nil {
			return "", err
		}
		switch in, err := d.obey(cmd); {
		case err != nil:
			return "", err
		case in:
			return cmd.tag, nil
		case d.bad >= maxBad:
			return "", errTooMany
		}
	}
}

// obey answers one command and reports whether it has logged in.
func (d *dialogue) obey(cmd command) (in bool, err error) {
	if cmd.bad != "" {
		d.wrong(cmd, cmd.bad)
		return false, nil
	}
	switch cmd.name {
	case "CAPABILITY":
		d.conn.Say("* CAPABILITY " + d.capabilities())
		d.ok(cmd, "done")
	case "NOOP":
		d.ok(cmd, "done")
	case "ID": // RFC 2971
		d.conn.Say(`* ID ("name" "Waxseal")`)
		d.ok(cmd, "done")
	case "ENABLE": // RFC 5161; programs that mean it say it again after the login
		d.conn.Say("* ENABLED")
		d.ok(cmd, "nothing is enabled before the login")
	case "STARTTLS":
		return false, d.startTLS(cmd)
	case "LOGIN":
		if len(cmd.words) == 2 {
			return d.try(cmd, cmd.words[0], cmd.words[1])
		}
		d.wrong(cmd, "LOGIN takes a user name and a password")
	case "AUTHENTICATE":
		return d.authenticate(cmd)
	case "LOGOUT":
		d.conn.Say("* BYE Goodbye")
		d.conn.Goodbye(cmd.tag + " OK done")
		return false, io.EOF
	default:
		d.wrong(cmd, "Unknown command, or not before the login")
	}
	return false, nil
}

// authenticate is AUTHENTICATE (RFC 9051 section 6.2.2), with or without an initial response (RFC 4959).
func (d *dialogue) authenticate(cmd command) (in bool, err error) {
	if len(cmd.words) == 0 || len(cmd.words) > 2 {
		d.wrong(cmd, "AUTHENTICATE takes a mechanism and a response")
		return false, nil
	}
	if d.withoutTLS() { // before the password is asked for
		d.conn.Say(cmd.tag + tlsFirst)
		return false, nil
	}
	name, password, err := d.conn.SASL(cmd.words[0], strings.Join(cmd.words[1:], ""))
	switch {
	case err == nil:
		return d.try(cmd, name, password)
	case errors.Is(err, prelogin.ErrCancelled):
		d.conn.Say(cmd.tag + " BAD The login was cancelled")
	case errors.Is(err, prelogin.ErrMechanism):
		d.conn.Say(cmd.tag + " NO [CANNOT] This mechanism is not supported; use PLAIN")
	case errors.Is(err, prelogin.ErrSASL):
		d.wrong(cmd, "That is not a response in base64 with a user name and a password")
	case errors.Is(err, prelogin.ErrIdentity):
		d.conn.Say(cmd.tag + " NO [AUTHORIZATIONFAILED] One account cannot log in as another")
	default:
		return false, err
	}
	return false, nil
}

// try checks a login.
func (d *dialogue) try(cmd command, name, password string) (in bool, err error) {
	if d.withoutTLS() {
		d.conn.Say(cmd.tag + tlsFirst)
		return false, nil
	}
	if err := d.conn.Flush(); err != nil { // a login takes a while
		return false, err
	}
	a := d.login(name, password)
	switch {
	case a.in:
		return true, nil
	case a.last:
		d.conn.Goodbye(a.line)
		return false, errLast
	}
	d.conn.Say(cmd.tag + " " + a.line)
	return false, nil
}

// startTLS begins TLS. What the program has said in clear text is forgotten.
func (d *dialogue) startTLS(cmd command) error {
	if d.conn.Secure() {
		d.wrong(cmd, "TLS is already active")
		return nil
	}
	d.ok(cmd, "begin TLS")
	return d.conn.StartTLS()
}

// withoutTLS reports whether a password could be read off the network.
func (d *dialogue) withoutTLS() bool { return d.needsTLS && !d.conn.Secure() }

const tlsFirst = " NO [PRIVACYREQUIRED] STARTTLS comes first"

// capabilities are what is offered before the login.
func (d *dialogue) capabilities() string {
	words := append([]string{"IMAP4rev1", "SASL-IR", "ID"}, d.provider()...)
	if !d.conn.Secure() && (d.needsTLS || d.offersTLS) {
		words = append(words, "STARTTLS")
	}
	if d.withoutTLS() {
		return strings.Join(append(words, "LOGINDISABLED"), " ")
	}
	return strings.Join(append(words, "AUTH="+prelogin.Mechanisms), " ")
}

func (d *dialogue) ok(cmd command, words string) { d.conn.Say(cmd.tag + " OK " + words) }

// wrong answers a command that should not have been sent.
func (d *dialogue) wrong(cmd command, words string) {
	d.bad++
	tag := cmd.tag
	if tag == "" {
		tag = "*"
	}
	d.conn.Say(tag + " BAD " + words)
}

// lastWords are what the program is told when the connection ends with err; "" for nothing.
func lastWords(err error, timeout time.Duration) string {
	for _, known := range []struct {
		err   error
		words string
	}{
		{errEvicted, "Too many connections; closing one that has not logged in"},
		{errStopping, stoppingWords},
		{errTooMany, "Too many unrecognized commands; closing"},
		{prelogin.ErrSilent, fmt.Sprintf("No login within %v; closing", timeout)},
		{prelogin.ErrLong, "The command is too long; closing"},
		{prelogin.ErrNUL, "The line holds a NUL; closing"},
		{prelogin.ErrTLS, "This port begins without TLS; closing"},
		{prelogin.ErrHTTP, "This port speaks IMAP, not HTTP; closing"},
		{prelogin.ErrSSH, "This port speaks IMAP, not SSH; closing"},
	} {
		if errors.Is(err, known.err) {
			return known.words
		}
	}
	return ""
}

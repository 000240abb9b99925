package popd

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/prelogin"
)

const (
	// maxLine bounds a command, in bytes. RFC 2449 section 4 asks for 255, and a SASL response may
	// be longer (RFC 5034 section 4).
	maxLine = 64 << 10
	// maxBad is how many commands may be wrong before the connection ends.
	maxBad = 3
)

// Why Waxseal ends a connection that has not logged in.
var (
	errEvicted  = errors.New("it has to make room for another")
	errStopping = errors.New("a stop has begun")
	errTooMany  = errors.New("too many wrong commands")
	errPaused   = errors.New("the user has paused it")
	errRemoved  = errors.New("the account was removed or changed")
	errLast     = errors.New("the answer to the login was the last")
)

// dialogue is a POP session before the login: RFC 1939's AUTHORIZATION state. Nothing of it
// reaches the provider.
type dialogue struct {
	conn      *prelogin.Conn
	paused    bool
	needsTLS  bool           // passwords are only taken after TLS
	offersTLS bool           // STLS is offered though it is not needed
	timeout   time.Duration  // for the words about it
	provider  func() learned // what all providers offer
	login     func(name, password string, utf8 bool) answer

	failed answer // of the last AUTH whose password was right
	who    string // its user name

	name  string // what USER said
	named bool
	utf8  bool // UTF8 was asked for (RFC 6856)
	bad   int  // wrong commands so far
}

// run talks until the login has worked, which is nil, or the connection is over. Then the error
// says why, and the program has been told.
func (d *dialogue) run() error {
	err := d.conn.Begin()
	switch {
	case err != nil:
	case d.paused:
		err = errPaused
	default:
		d.conn.Say("+OK Waxseal ready")
		err = d.commands()
	}
	if line := lastLine(err, d.timeout); line != "" {
		d.conn.Goodbye(line)
	}
	return err
}

// commands answers commands until the login has worked.
func (d *dialogue) commands() error {
	for {
		line, err := d.conn.ReadLine()
		if err != nil {
			return err
		}
		switch in, err := d.command(string(line)); {
		case err != nil:
			return err
		case in:
			return nil
		case d.bad >= maxBad:
			return errTooMany
		}
	}
}

// command answers one command and reports whether it has logged in.
func (d *dialogue) command(line string) (in bool, err error) {
	verb, arg, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	name := strings.TrimSpace(arg) // PASS alone may end with a blank
	switch verb = strings.ToUpper(strings.TrimRight(verb, "\t")); verb {
	case "CAPA":
		d.list("+OK Capability list follows", d.capabilities())
	case "USER":
		d.user(name)
	case "PASS":
		return d.pass(arg)
	case "AUTH":
		return d.auth(name)
	case "STLS":
		return false, d.stls()
	case "UTF8":
		d.utf8Command()
	case "NOOP": // only after a login in RFC 1939, but it does no harm
		d.conn.Say("+OK")
	case "QUIT":
		d.conn.Say("+OK Bye")
		d.conn.Flush()
		return false, io.EOF
	case "APOP":
		d.wrong("APOP is not supported; use USER and PASS, or AUTH PLAIN")
	case "STAT", "LIST", "RETR", "DELE", "RSET", "TOP", "UIDL":
		d.wrong("Log in first")
	default:
		d.wrong("Command not recognized")
	}
	return false, nil
}

func (d *dialogue) user(name string) {
	switch {
	case d.withoutTLS():
		d.conn.Say(tlsFirst)
	case name == "":
		d.wrong("USER needs the account's address")
	case name == d.who && d.failed.atProvider:
		// Thunderbird never shows the answer to PASS, and asks for the password. It shows this one. PASS is
		// answered all the same: others send it along.
		d.name, d.named = name, true
		d.conn.Say(d.failed.line)
	default:
		d.name, d.named = name, true
		d.conn.Say("+OK")
	}
}

// pass is PASS, whose argument is everything after one blank (RFC 1939 section 7). Old Outlook logs
// in with an empty password.
func (d *dialogue) pass(password string) (in bool, err error) {
	if !d.named {
		d.wrong("USER comes first")
		return false, nil
	}
	d.named = false
	return d.try(d.name, password)
}

// auth is AUTH (RFC 5034). Without a mechanism it lists them, which some older programs ask for.
func (d *dialogue) auth(arg string) (in bool, err error) {
	mechanism, initial, _ := strings.Cut(arg, " ")
	switch {
	case mechanism == "":
		var list []string
		if !d.withoutTLS() {
			list = []string{prelogin.Mechanisms}
		}
		d.list("+OK Mechanisms follow", list)
		return false, nil
	case d.withoutTLS():
		d.conn.Say(tlsFirst)
		return false, nil
	}
	name, password, err := d.conn.SASL(mechanism, strings.TrimSpace(initial))
	switch {
	case err == nil:
		d.who = name
		return d.try(name, password)
	case errors.Is(err, prelogin.ErrCancelled):
		d.conn.Say("-ERR AUTH cancelled")
	case errors.Is(err, prelogin.ErrMechanism):
		d.wrong("This mechanism is not supported; use AUTH PLAIN")
	case errors.Is(err, prelogin.ErrSASL):
		d.wrong("That is not a response in base64 with a user name and a password")
	case errors.Is(err, prelogin.ErrIdentity):
		d.conn.Say("-ERR [AUTH] One account cannot log in as another")
	default:
		return false, err
	}
	return false, nil
}

func (d *dialogue) try(name, password string) (in bool, err error) {
	if err := d.conn.Flush(); err != nil { // a login takes a while
		return false, err
	}
	a := d.login(name, password, d.utf8)
	switch {
	case a.in:
		return true, nil
	case a.last:
		d.conn.Goodbye(a.line)
		return false, errLast
	}
	d.failed = a
	d.conn.Say(a.line)
	return false, nil
}

// stls begins TLS (RFC 2595 section 4). What the program has said in clear text is forgotten.
func (d *dialogue) stls() error {
	switch {
	case d.conn.Secure():
		d.wrong("TLS is already active")
		return nil
	case d.utf8: // RFC 6856 section 2.1
		d.wrong("STLS must come before UTF8")
		return nil
	}
	d.name, d.named = "", false
	d.conn.Say("+OK Begin TLS")
	return d.conn.StartTLS()
}

// utf8Command is UTF8 (RFC 6856 section 2.1), which is only possible before the login and is said
// again at the provider.
func (d *dialogue) utf8Command() {
	if !d.provider().has("UTF8") {
		d.wrong("UTF8 is not supported by all providers")
		return
	}
	d.utf8 = true
	d.conn.Say("+OK")
}

// withoutTLS reports whether a password could be read off the network.
func (d *dialogue) withoutTLS() bool { return d.needsTLS && !d.conn.Secure() }

const tlsFirst = "-ERR Must issue a STLS command first"

// wrong answers a command that should not have been sent.
func (d *dialogue) wrong(text string) {
	d.bad++
	if d.bad < maxBad { // else the last line follows
		d.conn.Say("-ERR " + text)
	}
}

// list says a multi-line answer.
func (d *dialogue) list(first string, lines []string) {
	d.conn.Say(first)
	for _, line := range lines {
		d.conn.Say(line)
	}
	d.conn.Say(".")
}

// lastLine is what the program is told when the connection ends with err; "" for nothing.
func lastLine(err error, timeout time.Duration) string {
	for _, known := range []struct {
		err  error
		line string
	}{
		{errEvicted, "-ERR [SYS/TEMP] Too many connections; closing one that has not logged in"},
		{errStopping, "-ERR [SYS/TEMP] Waxseal is shutting down; try again later"},
		{errPaused, pausedGreeting},
		{errTooMany, "-ERR Too many wrong commands; closing"},
		{prelogin.ErrSilent, fmt.Sprintf("-ERR No login within %v; closing", timeout)},
		{prelogin.ErrLong, "-ERR The line is too long; closing"},
		{prelogin.ErrNUL, "-ERR The line holds a NUL; closing"},
		{prelogin.ErrTLS, "-ERR This port begins without TLS; closing"},
		{prelogin.ErrHTTP, "-ERR This port speaks POP3, not HTTP; closing"},
		{prelogin.ErrSSH, "-ERR This port speaks POP3, not SSH; closing"},
	} {
		if errors.Is(err, known.err) {
			return known.line
		}
	}
	return ""
}

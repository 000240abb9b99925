package imapd

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/mailbox"
)

const (
	maxBad = 3 // commands that are none, before the connection is closed

	// parting is how long the client has to close after our last words. To close at once would lose them if there
	// is more to read: TCP resets then.
	parting = time.Second
)

// errLeft: the client left, or was sent away.
var errLeft = errors.New("the client has left")

// reception is the dialogue with a mail program before its login.
type reception struct {
	tcp  net.Conn
	conn net.Conn // tcp, or TLS over it
	in   *reader
	tls  *tls.Config
	idle time.Duration // how long the program may be silent

	needsTLS  bool // no login in clear text
	offersTLS bool // STARTTLS is listed; it works where it is not, too
	secure    bool // there is TLS
	implicit  bool // TLS comes from the first byte

	offers func() []string                                  // what all providers offer
	why    func() string                                    // why the program must leave now; "" if it may stay
	login  func(user, password string) (r *mailbox.Refusal) // nil: it is logged in

	bad int
}

// use makes conn what is read and written, and forgets what was read before.
func (s *reception) use(conn net.Conn) {
	s.conn = conn
	s.in = &reader{Reader: bufio.NewReaderSize(conn, 4<<10), ask: func() error { return s.say("+ OK\r\n") }}
}

// run goes on until the mail program has logged in, and gives the tag of the command with which it did.
func (s *reception) run() (tag string, err error) {
	s.use(s.tcp)
	if s.implicit {
		if err := s.expectTLS(); err != nil {
			return "", err
		}
	}
	if err := s.say("* OK [CAPABILITY " + s.capabilities() + "] Waxseal ready\r\n"); err != nil {
		return "", errLeft
	}
	for first := true; ; first = false {
		if err := s.wait(); err != nil {
			return "", err
		}
		if first && s.speaksTLS() {
			return "", s.leave("This port is without TLS; choose no encryption, or the port for TLS")
		}
		cmd, err := s.in.command()
		if err != nil {
			return "", s.broken(err)
		}
		if first && strings.Contains(strings.Join(append([]string{cmd.name}, cmd.words...), " "), "HTTP/") {
			return "", s.leave("This is no web server")
		}
		if done, err := s.obey(cmd); done || err != nil {
			return cmd.tag, err
		}
	}
}

// obey answers a command; done: it was a login, which the provider answers.
func (s *reception) obey(cmd command) (done bool, err error) {
	ok := func(words string) error { return s.say(cmd.tag + " OK " + words + "\r\n") }
	if cmd.bad != "" {
		return false, s.wrong(cmd, cmd.bad)
	}
	switch cmd.name {
	case "CAPABILITY":
		return false, s.say("* CAPABILITY " + s.capabilities() + "\r\n" + cmd.tag + " OK done\r\n")
	case "NOOP":
		return false, ok("done")
	case "ID": // RFC 2971
		return false, s.say("* ID (\"name\" \"Waxseal\")\r\n" + cmd.tag + " OK done\r\n")
	case "ENABLE": // RFC 5161; it comes again after the login
		return false, s.say("* ENABLED\r\n" + cmd.tag + " OK nothing is enabled before the login\r\n")
	case "STARTTLS":
		return false, s.startTLS(cmd)
	case "LOGIN":
		if len(cmd.words) != 2 {
			return false, s.wrong(cmd, "LOGIN takes a user name and a password")
		}
		return s.logIn(cmd.tag, cmd.words[0], cmd.words[1])
	case "AUTHENTICATE":
		return s.authenticate(cmd)
	case "LOGOUT":
		s.say("* BYE Goodbye\r\n" + cmd.tag + " OK done\r\n")
		return false, errLeft
	}
	return false, s.wrong(cmd, "Unknown command, or not before the login")
}

// logIn checks a login.
func (s *reception) logIn(tag, user, password string) (done bool, err error) {
	if s.needsTLS && !s.secure {
		return false, s.say(tag + " NO [PRIVACYREQUIRED] TLS is required before a login from another computer\r\n")
	}
	s.tcp.SetDeadline(time.Time{})
	refused := s.login(user, password)
	if refused == nil {
		return true, nil
	}
	line, last := answer(tag, refused)
	if err := s.say(line); err != nil || !last {
		return false, err
	}
	s.part()
	return false, errLeft
}

// authenticate is AUTHENTICATE with PLAIN, and LOGIN for old programs.
func (s *reception) authenticate(cmd command) (done bool, err error) {
	if len(cmd.words) == 0 || len(cmd.words) > 2 {
		return false, s.wrong(cmd, "AUTHENTICATE takes a mechanism and a response")
	}
	if s.needsTLS && !s.secure { // before the password is asked for
		return s.logIn(cmd.tag, "", "")
	}
	var user, password string
	switch initial := cmd.words[1:]; strings.ToUpper(cmd.words[0]) {
	case "PLAIN":
		var message string
		if message, err = s.response("", initial); err == nil {
			user, password, err = plain(message)
		}
	case "LOGIN":
		if user, err = s.response("VXNlcm5hbWU6", initial); err == nil { // "Username:"
			password, err = s.response("UGFzc3dvcmQ6", nil) // "Password:"
		}
	default:
		return false, s.say(cmd.tag + " NO [CANNOT] Only PLAIN is known\r\n")
	}
	switch {
	case err == errProxied:
		return false, s.say(cmd.tag + " NO [AUTHORIZATIONFAILED] " + err.Error() + "\r\n")
	case err == errCancelled:
		return false, s.say(cmd.tag + " BAD " + err.Error() + "\r\n")
	case err == errNotBase64 || err == errNotPlain:
		return false, s.wrong(cmd, err.Error())
	case err != nil:
		return false, err
	}
	return s.logIn(cmd.tag, user, password)
}

// response is the initial response (RFC 4959), where "=" is an empty one, or the answer to a challenge.
func (s *reception) response(challenge string, initial []string) (string, error) {
	if len(initial) > 0 {
		return decode(initial[0])
	}
	if err := s.say("+ " + challenge + "\r\n"); err != nil {
		return "", errLeft
	}
	if err := s.wait(); err != nil {
		return "", err
	}
	line, err := s.in.line(maxLine)
	if err != nil {
		return "", s.broken(err)
	}
	return decode(line)
}

// startTLS begins TLS. What the client sent in clear text after the command is thrown away with the buffer, so
// that nothing injected before the handshake is taken for a command after it (CVE-2011-0411).
func (s *reception) startTLS(cmd command) error {
	if s.secure || s.tls == nil {
		return s.wrong(cmd, "TLS is already active or not possible")
	}
	if err := s.say(cmd.tag + " OK begin TLS\r\n"); err != nil {
		return errLeft
	}
	return s.handshake(s.tcp)
}

func (s *reception) handshake(raw net.Conn) error {
	if err := s.wait(); err != nil {
		return err
	}
	t := tls.Server(raw, s.tls)
	if err := t.Handshake(); err != nil {
		return errors.Join(errLeft, err)
	}
	s.secure = true
	s.use(t)
	return nil
}

// speaksTLS reports whether the first byte is that of a TLS handshake.
func (s *reception) speaksTLS() bool {
	b, err := s.in.Peek(1)
	return err == nil && (b[0] == 0x16 || b[0] >= 0x80)
}

// tlsHello is how long a client of the port for TLS may take before its first byte. It speaks first; one that
// waits for a greeting wants no TLS.
const tlsHello = 5 * time.Second

// expectTLS does the handshake on the port for TLS.
func (s *reception) expectTLS() error {
	if err := s.wait(); err != nil {
		return err
	}
	s.tcp.SetReadDeadline(time.Now().Add(min(s.idle, tlsHello)))
	if why := s.why(); why != "" {
		return s.leave(why)
	}
	_, err := s.in.Peek(1)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return errLeft
	}
	if err != nil || !s.speaksTLS() {
		return s.leave("This port is for TLS; choose SSL/TLS as encryption, or the port without")
	}
	first, _ := s.in.Peek(s.in.Buffered())
	return s.handshake(&replayed{s.tcp, first})
}

// replayed is a connection of which first has been read already.
type replayed struct {
	net.Conn
	first []byte
}

func (r *replayed) Read(p []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(p, r.first)
		if r.first = r.first[n:]; len(r.first) == 0 {
			r.first = nil
		}
		return n, nil
	}
	return r.Conn.Read(p)
}

// NetConn is the connection below.
func (r *replayed) NetConn() net.Conn { return r.Conn }

// capabilities are what is offered before the login.
func (s *reception) capabilities() string {
	words := append([]string{"IMAP4rev1", "SASL-IR", "ID"}, s.offers()...)
	if s.offersTLS && !s.secure && s.tls != nil {
		words = append(words, "STARTTLS")
	}
	if s.needsTLS && !s.secure {
		return strings.Join(append(words, "LOGINDISABLED"), " ")
	}
	return strings.Join(append(words, "AUTH=PLAIN"), " ")
}

// wrong answers what cannot be understood; the third time it is the last.
func (s *reception) wrong(cmd command, words string) error {
	tag := cmd.tag
	if tag == "" {
		tag = "*"
	}
	if err := s.say(tag + " BAD " + words + "\r\n"); err != nil {
		return err
	}
	if s.bad++; s.bad >= maxBad {
		return s.leave("Too many unrecognized commands; closing")
	}
	return nil
}

// wait begins the time for the next thing to be heard. The deadline comes first: who wants the program to leave
// sets its reason and then a deadline of its own.
func (s *reception) wait() error {
	s.tcp.SetDeadline(time.Now().Add(s.idle))
	if why := s.why(); why != "" {
		return s.leave(why)
	}
	return nil
}

// nudge makes a read that waits look whether the program has to leave.
func (s *reception) nudge() { s.tcp.SetReadDeadline(time.Unix(1, 0)) }

// broken ends the dialogue after an error of reading.
func (s *reception) broken(err error) error {
	switch why := s.why(); {
	case err == errTooLong:
		return s.leave("The command is too long")
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return errLeft
	case why != "":
		return s.leave(why)
	}
	return s.leave("You have been silent for too long")
}

// leave says BYE.
func (s *reception) leave(words string) error {
	s.tcp.SetWriteDeadline(time.Now().Add(parting))
	s.say(bye(words))
	s.part()
	return errLeft
}

// part closes our side, and waits a moment for the client to close its own.
func (s *reception) part() {
	if half, ok := s.conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil || s.why() != "" {
		return
	}
	s.tcp.SetReadDeadline(time.Now().Add(parting))
	io.Copy(io.Discard, struct{ io.Reader }{s.conn})
}

func (s *reception) say(text string) error {
	if _, err := io.WriteString(s.conn, text); err != nil {
		return errLeft
	}
	return nil
}

// pipelined is what was read beyond the login.
func (s *reception) pipelined() []byte {
	b, _ := s.in.Peek(s.in.Buffered())
	return b
}

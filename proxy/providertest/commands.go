package providertest

import (
	"errors"
	"strconv"
	"strings"
)

const (
	commandLine = 2048  // octets: the 512 of RFC 5321 section 4.5.3.1.4, and what extensions add
	authLine    = 512   // octets of an AUTH command: no extension adds to them, and real servers refuse more
	saslLine    = 12288 // octets of a later SASL response (RFC 4954 section 4)
)

// command reads one command and replies to it.
func (s *session) command() error {
	raw, err := s.line(commandLine, s.p.opts.Lax)
	switch {
	case errors.Is(err, errLongLine):
		return s.mistake(500, "5.5.2 Line too long")
	case errors.Is(err, errBareLF):
		return s.mistake(500, "5.5.2 Line must end with CRLF")
	case err != nil:
		return err
	}
	s.count.commands.Add(1)
	s.act = Action{}
	for _, c := range raw {
		if c < ' ' || c == 0x7f {
			return s.mistake(500, "5.5.2 Control character in command")
		}
	}
	line := string(raw)
	verb, arg, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	if s.outOfStep(verb) {
		s.discard()
		s.reply(554, "5.5.0 Error: SMTP protocol synchronization")
		return s.linger()
	}
	return s.dispatch(verb, arg, line)
}

// outOfStep reports whether a client sent more although it had to wait for this command's reply:
// always without PIPELINING, and with it after the commands that end a group (RFC 2920 section 3.1,
// RFC 4954 section 4). STARTTLS is not among them, because what follows it is thrown away.
func (s *session) outOfStep(verb string) bool {
	if len(s.buffered()) == 0 {
		return false
	}
	switch verb {
	case "EHLO", "HELO", "AUTH", "DATA":
		return true
	case "STARTTLS", "BDAT":
		return false
	}
	return s.p.opts.NoPipelining
}

func (s *session) dispatch(verb, arg, line string) error {
	switch verb {
	case "EHLO", "HELO":
		return s.hello(verb, arg, line)
	case "STARTTLS":
		return s.upgrade(arg, line)
	case "AUTH":
		return s.auth(arg, line)
	case "MAIL":
		return s.mail(arg, line)
	case "RCPT":
		return s.rcpt(arg, line)
	case "DATA":
		return s.data(arg, line)
	case "BDAT":
		return s.bdat(arg, line)
	case "RSET":
		if skip, err := s.step(StepRset, line, 0); skip || err != nil {
			return err
		}
		s.reset()
		return s.reply(250, "2.0.0 Flushed - gsmtp")
	case "NOOP":
		if skip, err := s.step(StepNoop, line, 0); skip || err != nil {
			return err
		}
		return s.reply(250, "2.0.0 OK - gsmtp")
	case "QUIT":
		if skip, err := s.step(StepQuit, line, 0); skip || err != nil {
			return err
		}
		s.reply(221, "2.0.0 Closing connection - gsmtp")
		return errEnd
	case "VRFY":
		return s.reply(252, "2.1.5 Cannot verify the address; send mail to find out")
	case "HELP":
		return s.reply(214, "2.0.0 See RFC 5321")
	}
	return s.mistake(502, "5.5.1 Unrecognized command")
}

// hello replies to EHLO and HELO, which also end a transaction (RFC 5321 section 4.1.4).
func (s *session) hello(verb, arg, line string) error {
	if skip, err := s.step(StepEHLO, line, 0); skip || err != nil {
		return err
	}
	if !validHost(arg) {
		return s.mistake(501, "5.5.4 "+verb+" needs a domain or an address in brackets")
	}
	s.reset()
	s.greeted, s.extended = true, verb == "EHLO"
	if !s.extended {
		return s.reply(250, "mx.provider.test at your service")
	}
	return s.reply(250, s.p.ehlo[s.door])
}

// ehloText returns the whole EHLO reply.
func (o Options) ehloText(d door) string {
	lines := []string{"mx.provider.test at your service", "SIZE " + strconv.FormatInt(o.MaxSize, 10)}
	add := func(offered bool, keyword string) {
		if offered {
			lines = append(lines, keyword)
		}
	}
	add(!o.No8BitMIME, "8BITMIME")
	add(d == doorSTARTTLS, "STARTTLS")
	add(d != doorSTARTTLS, "AUTH "+strings.Join(o.Mechanisms, " "))
	add(true, "ENHANCEDSTATUSCODES")
	add(!o.NoPipelining, "PIPELINING")
	add(!o.NoChunking, "CHUNKING")
	add(!o.NoDSN, "DSN")
	add(!o.NoUTF8, "SMTPUTF8")
	return strings.Join(lines, "\n")
}

// upgrade replies to STARTTLS. It throws away what was sent in clear text after the command, so that nobody
// can put commands in front of the encrypted ones, and forgets everything it knew (RFC 3207 section
// 4.2).
func (s *session) upgrade(arg, line string) error {
	if skip, err := s.step(StepSTARTTLS, line, 0); skip || err != nil {
		return err
	}
	switch {
	case s.door == doorTLS:
		return s.mistake(503, "5.5.1 TLS is already active")
	case s.door == doorOpen:
		return s.mistake(502, "5.5.1 Unrecognized command")
	case arg != "":
		return s.mistake(501, "5.5.4 STARTTLS takes no argument")
	}
	s.reply(220, "2.0.0 Ready to start TLS")
	if err := s.flush(); err != nil {
		return err
	}
	s.discard()
	s.reset()
	s.greeted, s.extended = false, false
	return s.handshake()
}

// reset ends the transaction if there is one.
func (s *session) reset() {
	k := s.tx.sink
	s.tx = transaction{sink: k}
}

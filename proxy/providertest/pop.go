package providertest

import (
	"errors"
	"strings"
)

const popLine = 255 // octets of a command, with CRLF (RFC 2449 section 4)

// popSession is one POP3 connection (RFC 1939).
type popSession struct {
	*peer
	box     *box // locked while the session is logged in
	letters []*letter
	deleted map[*letter]bool
}

func (s *popSession) timeout() { s.text("-ERR [SYS/TEMP] Autologout; idle for too long") }

// dialogue runs a connection: TLS if it comes first, the greeting, the commands.
func (s *popSession) dialogue() error {
	defer s.unlock()
	if s.door == doorTLS {
		if err := s.handshake(); err != nil {
			return err
		}
	}
	skip, err := s.step(StepGreeting, "", 0)
	if err != nil {
		return err
	}
	if skip && strings.HasPrefix(string(s.out), "-ERR") {
		return errEnd
	}
	if !skip {
		s.ok("pop.provider.test ready")
	}
	for {
		if err := s.command(); err != nil {
			return err
		}
	}
}

func (s *popSession) handshake() error {
	if skip, err := s.step(StepTLS, "", 0); err != nil {
		return err
	} else if skip {
		return errEnd
	}
	return s.startTLS()
}

// step calls the hook. It returns skip if the command has got its response and must have no effect.
func (s *popSession) step(name, line string, n int64) (skip bool, err error) {
	s.act = Action{}
	hook := s.p.faults.Load().POP
	if hook == nil {
		return false, nil
	}
	act, err := s.hook(hook, name, line, n)
	if err == nil {
		err = s.suffer(act)
	}
	if err != nil {
		return true, err
	}
	s.out = append(s.out, act.Untagged...)
	switch {
	case act.Raw != "":
		s.out = append(s.out, act.Raw...)
	case act.Text != "" && !strings.HasPrefix(act.Text, "+OK"):
		s.text(act.Text)
	default:
		s.act = act
		return false, nil
	}
	if act.Close {
		return true, s.linger()
	}
	return true, nil
}

// ok sends a positive response, or the one that a hook wants in its place.
func (s *popSession) ok(text string) error {
	text = "+OK " + text
	if s.act.Text != "" {
		text = s.act.Text
	}
	s.text(text)
	return nil
}

func (s *popSession) no(text string) error {
	s.text("-ERR " + text)
	return nil
}

// bad answers a command that nobody should send. A client that sends too many is disconnected.
func (s *popSession) bad(text string) error {
	s.no(text)
	if s.mistakes++; s.mistakes > 20 {
		return s.linger()
	}
	return nil
}

// command reads one command and responds to it.
func (s *popSession) command() error {
	b, err := s.line(popLine, s.p.opts.Lax)
	if errors.Is(err, errLongLine) || errors.Is(err, errBareLF) {
		return s.bad("Line is too long or does not end in CRLF")
	}
	if err != nil {
		return err
	}
	s.count.commands.Add(1)
	s.message++
	line := string(b)
	verb, arg, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	if verb == "PASS" || verb == "APOP" || verb == "AUTH" {
		line = verb
	}
	if skip, err := s.step(StepCommand, line, 0); skip || err != nil {
		return err
	}
	err = s.dispatch(verb, arg)
	if err == nil && s.act.Close {
		return s.linger()
	}
	return err
}

func (s *popSession) dispatch(verb, arg string) error {
	switch verb {
	case "CAPA":
		s.capabilities()
		return nil
	case "STLS":
		return s.upgrade(arg)
	case "QUIT":
		return s.quit()
	}
	if s.box == nil {
		return s.beforeLogin(verb, arg)
	}
	return s.transaction(verb, arg)
}

// capabilities responds to CAPA (RFC 2449).
func (s *popSession) capabilities() {
	s.ok("Capabilities follow")
	for _, line := range []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"} {
		s.text(line)
	}
	if s.door == doorSTARTTLS {
		s.text("STLS")
	} else {
		s.text("SASL " + strings.Join(s.p.opts.Mechanisms, " "))
	}
	s.text(".")
}

// upgrade responds to STLS (RFC 2595 section 4).
func (s *popSession) upgrade(arg string) error {
	if skip, err := s.step(StepSTARTTLS, "", 0); skip || err != nil {
		return err
	}
	if s.door != doorSTARTTLS || arg != "" {
		return s.bad("STLS is not possible here")
	}
	s.ok("Begin TLS negotiation now")
	if err := s.flush(); err != nil {
		return err
	}
	s.discard()
	return s.handshake()
}

// beforeLogin responds to the commands that only work before the login.
func (s *popSession) beforeLogin(verb, arg string) error {
	switch {
	case verb == "AUTH" && s.door != doorSTARTTLS:
		return s.auth(arg)
	case verb == "USER" && s.door != doorSTARTTLS:
		return s.ok("Send PASS")
	case verb == "PASS":
		s.mechanism = "PASS"
		s.no("[AUTH] Passwords are not accepted here: use OAuth 2.0")
		return s.refused()
	}
	return s.bad("Log in first")
}

// quit responds to QUIT, which removes what DELE has marked.
func (s *popSession) quit() error {
	if s.box != nil {
		s.p.mailroom.mu.Lock()
		s.p.mailroom.remove(s.box.folders[inbox], func(l *letter) bool { return s.deleted[l] })
		s.box.locked = false // before the client has read the response
		s.p.mailroom.mu.Unlock()
		s.box = nil
	}
	s.ok("Goodbye")
	return errEnd
}

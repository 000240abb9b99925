package providertest

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"
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

// auth responds to AUTH, with an initial response or without (RFC 5034).
func (s *popSession) auth(arg string) error {
	mechanism, initial, hasInitial := strings.Cut(arg, " ")
	s.mechanism = strings.ToUpper(mechanism)
	if arg == "" { // what programs asked before there was CAPA
		s.ok("")
		for _, m := range s.p.opts.Mechanisms {
			s.text(m)
		}
		s.text(".")
		return nil
	}
	if !slices.Contains(s.p.opts.Mechanisms, s.mechanism) {
		return s.bad("Unsupported authentication mechanism")
	}
	if !hasInitial {
		s.text("+ ")
		b, err := s.line(saslLine, s.p.opts.Lax)
		if err != nil {
			return err
		}
		initial = string(b)
	}
	response, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return s.bad("Authentication cancelled, or not base64")
	}
	user, token, ok := parseBearer(s.mechanism, string(response))
	if !ok {
		return s.bad("Cannot decode " + s.mechanism + " response")
	}
	return s.check(user, token)
}

// check accepts or refuses a token, and locks the mailbox.
func (s *popSession) check(user, token string) error {
	if skip, err := s.step(StepAuth, user, 0); err != nil {
		return err
	} else if skip {
		return s.refused()
	}
	if _, status := s.p.admit(POP, user, token); status != "" {
		s.text("+ " + base64.StdEncoding.EncodeToString([]byte(s.p.report(POP, status))))
		if _, err := s.line(saslLine, s.p.opts.Lax); err != nil {
			return err
		}
		s.no("[AUTH] Invalid credentials")
		return s.refused()
	}
	box := s.p.mailroom.open(user)
	if why := s.lock(box); why != "" {
		return s.no(why)
	}
	s.peer.login(user, 0)
	return s.ok("Logged in")
}

// lock takes the mailbox for this session, or says why it cannot (RFC 1939 section 4, RFC 2449 section 8).
func (s *popSession) lock(b *box) (why string) {
	s.p.mailroom.mu.Lock()
	defer s.p.mailroom.mu.Unlock()
	switch {
	case b.locked:
		return "[IN-USE] The mailbox is in use by another session"
	case time.Since(b.loggedIn) < s.p.opts.LoginDelay:
		return "[LOGIN-DELAY] Too soon after the last login"
	}
	s.box, b.locked, b.loggedIn = b, true, time.Now()
	s.letters, s.deleted = slices.Clone(b.folders[inbox].letters), map[*letter]bool{}
	return ""
}

// unlock gives the mailbox back.
func (s *popSession) unlock() {
	if s.box == nil {
		return
	}
	s.p.mailroom.mu.Lock()
	s.box.locked = false
	s.p.mailroom.mu.Unlock()
}

// refused counts a refused login. The third one ends the connection.
func (s *popSession) refused() error {
	if s.refuseLogin() {
		return s.linger()
	}
	return nil
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

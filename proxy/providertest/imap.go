package providertest

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	imapLine     = 64 << 10 // octets of a command line
	loginLiteral = 8 << 10  // octets of a literal before the login
)

// imapSession is one IMAP connection (RFC 3501).
type imapSession struct {
	*peer
	tag     string
	expires *time.Timer // ends the session with its token

	box      *box
	folder   *folder // the selected one, nil if none is
	readOnly bool
	view     []seen // the folder's letters as the client knows them
}

// seen is a letter as the client knows it.
type seen struct {
	*letter
	rev int
}

func (s *imapSession) timeout() { s.text("* BYE Autologout; idle for too long") }

// dialogue runs a connection: TLS if it comes first, the greeting, the commands.
func (s *imapSession) dialogue() error {
	defer func() {
		if s.expires != nil {
			s.expires.Stop()
		}
	}()
	if s.door == doorTLS {
		if err := s.handshake(); err != nil {
			return err
		}
	}
	if err := s.greet(); err != nil {
		return err
	}
	for {
		if err := s.command(); err != nil {
			return err
		}
	}
}

func (s *imapSession) handshake() error {
	if skip, err := s.step(StepTLS, "", 0); err != nil {
		return err
	} else if skip {
		return errEnd
	}
	return s.startTLS()
}

// step calls the hook. It returns skip if the command has got its response and must have no effect. An
// OK of the hook's is kept in act.
func (s *imapSession) step(name, line string, n int64) (skip bool, err error) {
	s.act = Action{}
	hook := s.p.faults.Load().IMAP
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
	case act.Text != "" && !strings.HasPrefix(act.Text, "OK") && name != StepGreeting:
		s.text(s.tag + " " + act.Text)
	default:
		s.act = act
		return false, nil
	}
	if act.Close {
		return true, s.linger()
	}
	return true, nil
}

// greet sends the greeting.
func (s *imapSession) greet() error {
	skip, err := s.step(StepGreeting, "", 0)
	if skip || err != nil {
		return err
	}
	text := "OK " + strings.Replace(s.p.opts.IMAP.Greeting, "%s", s.capabilities(), 1)
	if s.act.Text != "" {
		text = s.act.Text
	}
	s.text("* " + text)
	if s.act.Close || strings.HasPrefix(text, "BYE") {
		return errEnd
	}
	return nil
}

// capabilities are what the server announces in the present state.
func (s *imapSession) capabilities() string {
	m := &s.p.opts.IMAP
	switch {
	case s.account != "":
		return strings.Join(m.After, " ")
	case s.door != doorSTARTTLS:
		return strings.Join(m.Before, " ")
	}
	clear := slices.DeleteFunc(slices.Clone(m.Before), func(c string) bool { return strings.HasPrefix(c, "AUTH=") })
	return strings.Join(append(clear, "STARTTLS", "LOGINDISABLED"), " ")
}

// answer sends the tagged response, or the one that a hook wants in place of an OK.
func (s *imapSession) answer(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if s.act.Text != "" && strings.HasPrefix(text, "OK") {
		text = s.act.Text
	}
	s.text(s.tag + " " + text)
	return nil
}

// bad answers a command that nobody should send. A client that sends too many is disconnected.
func (s *imapSession) bad(text string) error {
	if s.mistakes++; s.mistakes > 20 {
		s.text("* BYE Too many bad commands")
		return s.linger()
	}
	s.text(cmp.Or(s.tag, "*") + " BAD " + text) // RFC 3501 section 7.1.3: without a tag it is untagged
	return nil
}

// command reads one command and responds to it.
func (s *imapSession) command() error {
	s.tag, s.act = "", Action{}
	raw, err := s.read()
	if errors.Is(err, errLongLine) || errors.Is(err, errBareLF) {
		return s.bad("Line is too long or does not end in CRLF")
	}
	if err != nil || s.tag != "" { // the tag is set if a literal was refused
		return err
	}
	s.count.commands.Add(1)
	s.message++
	c := &scanner{s: raw}
	tag := c.run(func(b byte) bool { return atomChar(b) && b != '+' })
	c.space()
	verb := c.word()
	if c.bad {
		return s.bad("A command is expected")
	}
	s.tag = tag
	line, _, _ := strings.Cut(raw, "\r\n")
	if verb == "AUTHENTICATE" || verb == "LOGIN" {
		line = tag + " " + verb
	}
	if skip, err := s.step(StepCommand, line, 0); skip || err != nil {
		return err
	}
	err = s.dispatch(verb, c)
	if err == nil && s.act.Close {
		return s.linger()
	}
	return err
}

// read reads a command with its literals.
func (s *imapSession) read() (string, error) {
	var all strings.Builder
	for {
		b, err := s.line(imapLine, s.p.opts.Lax)
		if err != nil {
			return "", err
		}
		all.Write(b)
		n, wait, ok := literalSize(string(b))
		if !ok {
			return all.String(), nil
		}
		limit := s.p.opts.MaxSize
		if s.account == "" {
			limit = loginLiteral
		}
		if int64(n) > limit {
			s.tag, _, _ = strings.Cut(all.String(), " ")
			if !wait { // the octets are on their way
				s.text("* BYE Literal is too large")
				return "", s.linger()
			}
			return "", s.answer("NO [TOOBIG] Literal is too large")
		}
		if wait {
			s.text("+ Ready for literal data")
		}
		body, err := s.octets(n)
		if err != nil {
			return "", err
		}
		all.WriteString("\r\n")
		all.Write(body)
	}
}

// plus asks for more of a SASL exchange.
func (s *imapSession) plus(text string) {
	if text == "" && s.p.opts.IMAP.BarePlus {
		s.text("+")
		return
	}
	s.text("+ " + text)
}

// authenticate responds to AUTHENTICATE (RFC 3501 section 6.2.2, RFC 4959).
func (s *imapSession) authenticate(c *scanner) error {
	c.space()
	s.mechanism = c.word()
	initial, hasInitial := "", c.skip(" ")
	if hasInitial {
		initial = c.run(func(b byte) bool { return b > ' ' && b < 0x7f })
	}
	switch {
	case !c.done():
		return s.bad("Syntax error")
	case s.door == doorSTARTTLS:
		return s.answer("NO [PRIVACYREQUIRED] STARTTLS first")
	case !slices.Contains(s.p.opts.Mechanisms, s.mechanism):
		return s.answer("NO [CANNOT] Unsupported authentication mechanism")
	case hasInitial && !slices.Contains(s.p.opts.IMAP.Before, "SASL-IR"):
		return s.bad("Initial responses are not supported")
	}
	if !hasInitial {
		s.plus("")
		b, err := s.line(imapLine, s.p.opts.Lax)
		if err != nil {
			return err
		}
		initial = string(b)
	}
	if initial == "*" {
		return s.bad("Authentication cancelled")
	}
	response, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return s.bad("Cannot decode base64")
	}
	user, token, ok := parseBearer(s.mechanism, string(response))
	if !ok {
		return s.bad("Cannot decode " + s.mechanism + " response")
	}
	return s.check(user, token)
}

// check accepts or refuses a token.
func (s *imapSession) check(user, token string) error {
	if skip, err := s.step(StepAuth, user, 0); err != nil {
		return err
	} else if skip {
		return s.refused()
	}
	m := &s.p.opts.IMAP
	expires, status := s.p.admit(IMAP, user, token)
	if status != "" {
		if !m.NoChallenge {
			if err := s.challenge(s.p.report(IMAP, status)); err != nil {
				return err
			}
		}
		s.text(s.tag + " " + m.Refused)
		return s.refused()
	}
	if !s.login(user, s.p.opts.MaxIMAP) {
		return s.answer("%s", m.Limit)
	}
	s.box = s.p.mailroom.open(user)
	if end := m.TokenEnd; end != nil {
		s.expires = time.AfterFunc(time.Until(expires), func() { s.interrupt(*end) })
	}
	for _, line := range m.Welcome {
		s.text(line)
	}
	return s.answer("OK %s", m.LoggedIn)
}

// challenge sends the error report and reads what the client has to say to it.
func (s *imapSession) challenge(report string) error {
	s.plus(base64.StdEncoding.EncodeToString([]byte(report)))
	b, err := s.line(imapLine, s.p.opts.Lax)
	if err != nil {
		return err
	}
	want := "" // XOAUTH2: an empty line
	if s.mechanism == "OAUTHBEARER" {
		want = "AQ==" // a single ^A (RFC 7628 section 3.2.3)
	}
	if string(b) != want {
		s.text(s.tag + " BAD Wrong answer to the error report")
		s.count.authFailures.Add(1)
		return s.linger()
	}
	return nil
}

// refused counts a refused login. The third one ends the connection.
func (s *imapSession) refused() error {
	if s.refuseLogin() {
		s.text("* BYE Too many refused logins")
		return s.linger()
	}
	return nil
}

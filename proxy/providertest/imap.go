package providertest

import (
	"cmp"
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

	compressed bool // by COMPRESS

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
		if !wait && !s.allowsPlus(n) {
			s.text("* BAD Literals without waiting are not supported")
			return "", s.linger()
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

// allowsPlus reports whether the client may send a literal of n octets without waiting (RFC 7888).
func (s *imapSession) allowsPlus(n int) bool {
	announced := s.p.opts.IMAP.Before
	if s.account != "" {
		announced = s.p.opts.IMAP.After
	}
	return slices.Contains(announced, "LITERAL+") || slices.Contains(announced, "LITERAL-") && n <= 4096
}

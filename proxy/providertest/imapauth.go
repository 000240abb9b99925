package providertest

import (
	"encoding/base64"
	"slices"
	"time"
)

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

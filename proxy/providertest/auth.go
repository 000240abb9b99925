package providertest

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
)

// auth replies to AUTH, with an initial response or without (RFC 4954 section 4).
func (s *session) auth(arg, line string) error {
	mechanism, initial, hasInitial := strings.Cut(arg, " ")
	s.mechanism = strings.ToUpper(mechanism)
	switch {
	case len(line)+2 > authLine:
		return s.mistake(500, "5.5.6 Authentication exchange line is too long")
	case s.door == doorSTARTTLS:
		return s.mistake(530, "5.7.0 Must issue a STARTTLS command first")
	case !s.extended:
		return s.mistake(503, "5.5.1 EHLO first")
	case s.account != "":
		return s.mistake(503, "5.5.1 Already authenticated")
	case !slices.Contains(s.p.opts.Mechanisms, s.mechanism):
		return s.mistake(504, "5.5.4 Unrecognized authentication type")
	}
	if !hasInitial {
		if err := s.reply(334, ""); err != nil {
			return err
		}
		var err error
		if initial, err = s.saslResponse(); err != nil {
			return err
		}
	} else if initial == "=" {
		initial = "" // an empty initial response, not a missing one
	}
	if initial == "*" {
		return s.mistake(501, "5.7.0 Authentication cancelled")
	}
	response, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return s.mistake(501, "5.5.2 Cannot decode base64")
	}
	user, token, ok := parseBearer(s.mechanism, string(response))
	if !ok {
		return s.mistake(501, "5.5.2 Cannot decode "+s.mechanism+" response")
	}
	return s.check(user, token)
}

// saslResponse reads a line of the SASL exchange.
func (s *session) saslResponse() (string, error) {
	b, err := s.line(saslLine, s.p.opts.Lax)
	if errors.Is(err, errLongLine) || errors.Is(err, errBareLF) {
		s.reply(500, "5.5.6 Authentication exchange line is too long or does not end with CRLF")
		return "", errEnd
	}
	return string(b), err
}

// check accepts or refuses a token. A refused token is reported in a challenge first; only after
// the client has answered that does it get 535.
func (s *session) check(user, token string) error {
	skip, err := s.step(StepAuth, user, 0)
	if err != nil {
		return err
	}
	if skip {
		return s.refused()
	}
	if s.act.Code == 334 {
		text := s.act.Text
		s.act = Action{}
		return s.challenge(text)
	}
	_, status := s.p.admit(SMTP, user, token)
	switch {
	case status == wrongUser:
		// Exchange replies without a challenge, and another login helps, not another token.
		s.reply(535, "5.7.3 Authentication unsuccessful")
		return s.refused()
	case status != "":
		return s.challenge(s.p.report(SMTP, status))
	case !s.login(user, s.p.opts.MaxConnections):
		return s.reply(432, "4.3.2 Concurrent connections limit exceeded for this account")
	}
	return s.reply(235, "2.7.0 Accepted")
}

// challenge sends the report and, once the client has answered it in the way of its mechanism, the
// final reply.
func (s *session) challenge(text string) error {
	s.reply(334, base64.StdEncoding.EncodeToString([]byte(text)))
	answer, err := s.saslResponse()
	if err != nil {
		return err
	}
	want := "" // XOAUTH2: an empty line
	if s.mechanism == "OAUTHBEARER" {
		want = "AQ==" // a single ^A (RFC 7628 section 3.2.3)
	}
	switch answer {
	case want:
		s.reply(535, "5.7.8 Username and Password not accepted. For more information, go to\n"+
			"5.7.8  https://provider.test/support/bad-credentials - gsmtp")
	case "*":
		s.reply(501, "5.7.0 Authentication cancelled")
	default:
		s.reply(501, "5.5.2 Wrong answer to the error report")
	}
	return s.refused()
}

// refused counts a refused login. The third one ends the connection.
func (s *session) refused() error {
	if s.refuseLogin() {
		return s.reply(421, "4.7.0 Too many refused logins, closing connection")
	}
	return nil
}

package providertest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// report is the server's challenge after a refused token (RFC 7628 section 3.2.2; the same in
// XOAUTH2).
type report struct {
	Status  string `json:"status"`
	Schemes string `json:"schemes"`
	Scope   string `json:"scope"`
}

const defaultScope = "https://mail.provider.test/"

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

// parseBearer parses both forms: "user=U^Aauth=Bearer T^A^A" and, for OAUTHBEARER (RFC 7628 section
// 3.1), "n,a=U,^Ahost=H^Aport=P^Aauth=Bearer T^A^A" with the pairs in any order.
func parseBearer(mechanism, response string) (user, token string, ok bool) {
	body, ended := strings.CutSuffix(response, "\x01\x01")
	head, rest, found := strings.Cut(body, "\x01")
	if !ended || !found {
		return "", "", false
	}
	if mechanism == "XOAUTH2" {
		user, ok = strings.CutPrefix(head, "user=")
	} else {
		user, ok = parseGS2(head)
	}
	seen := map[string]bool{}
	for _, pair := range strings.Split(rest, "\x01") {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" || seen[key] {
			return "", "", false
		}
		seen[key] = true
		if key == "auth" {
			scheme, t, _ := strings.Cut(value, " ")
			if !strings.EqualFold(scheme, "Bearer") {
				return "", "", false
			}
			token = t
		}
		if _, err := strconv.ParseUint(value, 10, 16); key == "port" && err != nil {
			return "", "", false
		}
	}
	return user, token, ok && user != "" && token != ""
}

// parseGS2 reads "n,a=U," with the escapes =2C and =3D (RFC 5801 section 4).
func parseGS2(head string) (user string, ok bool) {
	user, ok = strings.CutPrefix(head, "n,a=")
	if !ok {
		return "", false
	}
	user, ok = strings.CutSuffix(user, ",")
	if !ok || strings.Contains(user, ",") {
		return "", false
	}
	plain := strings.NewReplacer("=2C", ",", "=3D", "=")
	if strings.Contains(strings.NewReplacer("=2C", "", "=3D", "").Replace(user), "=") {
		return "", false
	}
	return plain.Replace(user), true
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
	owner := s.p.grants.owner(token)
	switch {
	case owner == nil:
		text, _ := json.Marshal(report{Status: "invalid_token", Schemes: "bearer", Scope: defaultScope})
		return s.challenge(string(text))
	case !owner.speaksFor(user):
		// Exchange replies without a challenge, and another login helps, not another token.
		s.reply(535, "5.7.3 Authentication unsuccessful")
		return s.refused()
	case !s.login(user):
		return s.reply(432, "4.3.2 Concurrent connections limit exceeded for this account")
	}
	s.p.count.auths.Add(1)
	s.p.log.Debug("logged in", "conn", s.id, "account", user, "mechanism", s.mechanism)
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
	s.p.count.authFailures.Add(1)
	s.p.log.Debug("login refused", "conn", s.id, "mechanism", s.mechanism)
	if s.failures++; s.failures >= 3 {
		return s.reply(421, "4.7.0 Too many refused logins, closing connection")
	}
	return nil
}

package prelogin

import (
	"encoding/base64"
	"errors"
	"strings"
)

// Why a SASL exchange gave no user name and password.
var (
	ErrMechanism = errors.New("the mechanism is not known")
	ErrCancelled = errors.New("the program cancelled the exchange")
	ErrSASL      = errors.New("the response is not base64 or not in the mechanism's form")
	ErrIdentity  = errors.New("the program asks to act as another user")
)

// Mechanisms are those that are offered. LOGIN is accepted too, for old programs.
const Mechanisms = "PLAIN"

// SASL reads a user name and password by PLAIN (RFC 4616) or LOGIN (draft-murchison-sasl-login),
// as the program sent them. Challenges and responses are the same in IMAP (RFC 9051 section
// 6.2.2) and POP (RFC 5034 section 4): "+ " and base64. initial is the initial response, "" if
// there was none, "=" for an empty one. Other errors are those of ReadLine.
func (c *Conn) SASL(mechanism, initial string) (username, password string, err error) {
	switch strings.ToUpper(mechanism) {
	case "PLAIN":
		response, err := c.response("", initial)
		if err != nil {
			return "", "", err
		}
		return plain(response)
	case "LOGIN":
		if username, err = c.response("Username:", initial); err != nil {
			return "", "", err
		}
		password, err = c.response("Password:", "")
		return username, password, err
	}
	return "", "", ErrMechanism
}

// response is the decoded answer to a challenge, or the initial response, which needs none.
func (c *Conn) response(challenge, initial string) (string, error) {
	if initial == "=" {
		return "", nil
	}
	line := initial
	if line == "" {
		c.Say("+ " + base64.StdEncoding.EncodeToString([]byte(challenge)))
		b, err := c.ReadLine()
		if err != nil {
			return "", err
		}
		line = strings.TrimRight(string(b), " \t")
	}
	if line == "*" {
		return "", ErrCancelled
	}
	response, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		return "", ErrSASL
	}
	return string(response), nil
}

// plain takes a PLAIN response apart. Some programs fill in the identity to act as; it must be
// the user.
func plain(response string) (username, password string, err error) {
	parts := strings.Split(response, "\x00")
	switch {
	case len(parts) != 3:
		return "", "", ErrSASL
	case parts[0] != "" && !strings.EqualFold(parts[0], parts[1]):
		return "", "", ErrIdentity
	}
	return parts[1], parts[2], nil
}

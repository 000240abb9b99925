package imapd

import (
	"encoding/base64"
	"errors"
	"strings"
)

var (
	errCancelled = errors.New("the login was cancelled")
	errNotBase64 = errors.New("the response is not base64")
	errNotPlain  = errors.New("the response is not of the form of PLAIN")
	errProxied   = errors.New("logging in for somebody else is not possible")
)

// decode reads a SASL response (RFC 9051 section 6.2.2): "*" cancels.
func decode(response string) (string, error) {
	if response == "*" {
		return "", errCancelled
	}
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(response, "="))
	if err != nil {
		return "", errNotBase64
	}
	return string(b), nil
}

// plain reads the message of PLAIN (RFC 4616). Some programs, mutt and mbsync among them, name the user as
// the one to act for, too.
func plain(message string) (user, password string, err error) {
	parts := strings.Split(message, "\x00")
	switch {
	case len(parts) != 3:
		return "", "", errNotPlain
	case parts[0] != "" && !strings.EqualFold(parts[0], parts[1]):
		return "", "", errProxied
	}
	return parts[1], parts[2], nil
}

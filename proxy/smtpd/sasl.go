package smtpd

import (
	"errors"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/envelope"
)

// ownWords keeps a mechanism's own errors from the client: go-smtp would send their text, with a
// code that asks it to try again.
type ownWords struct{ sasl.Server }

func (o ownWords) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = o.Server.Next(response)
	var ours *smtp.SMTPError
	if err != nil && !errors.As(err, &ours) {
		err = errSyntax
	}
	return challenge, done, err
}

// loginServer is the server side of LOGIN, which go-sasl has only as a client
// (draft-murchison-sasl-login): old programs know nothing else.
type loginServer struct {
	authenticate func(username, password string) error
	step         int
	username     string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.step++
	if l.step == 1 && response == nil {
		return []byte("Username:"), false, nil
	}
	if l.username == "" {
		if len(response) == 0 {
			return nil, false, errSyntax
		}
		l.username = boundedName(string(response))
		return []byte("Password:"), false, nil
	}
	return nil, true, l.authenticate(l.username, string(response))
}

// boundedName is a user name, cut off where it is longer than any account's.
func boundedName(name string) string {
	if len(name) <= envelope.MaxAddress {
		return name
	}
	return strings.Clone(name[:envelope.MaxAddress+1])
}

// errSyntax answers an AUTH exchange that is not one.
var errSyntax = &smtp.SMTPError{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 5, 2}, Message: "That is not a user name"}

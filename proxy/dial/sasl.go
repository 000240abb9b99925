package dial

import (
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/waxseal/waxseal/proxy/foreign"
)

// The SASL mechanisms that take an access token.
const (
	XOAUTH2     = "XOAUTH2"     // developers.google.com/gmail/imap/xoauth2-protocol
	OAUTHBEARER = "OAUTHBEARER" // RFC 7628
)

const bearer = "auth=Bearer " // before the token, in both

// Mechanism chooses among those offered, in any case; "" is none. XOAUTH2 comes first although OAUTHBEARER is the standard:
// Google and Microsoft document it and nearly all clients use it, so it is the better-tested
// path of the server.
func Mechanism(offered []string) string {
	for _, m := range []string{XOAUTH2, OAUTHBEARER} {
		if slices.ContainsFunc(offered, func(o string) bool { return strings.EqualFold(o, m) }) {
			return m
		}
	}
	return ""
}

// InitialResponse is the login and the token in the mechanism's form, in base64. addr is the server's
// host:port. Its errors do not hold the token.
func InitialResponse(mech, login, addr, token string) (string, error) {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if strings.ContainsFunc(login, control) || strings.ContainsFunc(token, control) {
		return "", fmt.Errorf("login of %q: a control character in the login or the token", login)
	}
	var s string
	if mech == OAUTHBEARER { // RFC 7628 section 3.1
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return "", fmt.Errorf("login of %q: %w", login, err)
		}
		identity := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(login)
		s = "n,a=" + identity + ",\x01host=" + host + "\x01port=" + port + "\x01" + bearer + token + "\x01\x01"
	} else { // developers.google.com/gmail/imap/xoauth2-protocol
		s = "user=" + login + "\x01" + bearer + token + "\x01\x01"
	}
	return base64.StdEncoding.EncodeToString([]byte(s)), nil
}

// Acknowledgement is the answer to the report on a refused token: an empty line, or ^A in base64 (RFC
// 7628 section 3.2.3).
func Acknowledgement(mech string) string {
	if mech == OAUTHBEARER {
		return "AQ=="
	}
	return ""
}

// Cleaner takes a token out of what a server says, in whatever encoding. What stands before the token in our
// response helps to find one that was cut off after a few letters.
func Cleaner(token string) *foreign.Cleaner { return foreign.New(token, bearer+token) }

package envelope

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// longestAddress is how long an address can be, in bytes: 64 for the local part, the "@" and 255 for
// the domain (RFC 5321 section 4.5.3.1). Nothing longer is looked up, folded or remembered. Of the
// parts only the domain is held to its own limit: local parts longer than 64 bytes are in use for
// bounces and for replies to tickets.
const (
	MaxAddress   = 64 + 1 + MaxDomain
	MaxDomain    = 255
	longestLabel = 63
)

// postmaster is the one mailbox that may stand without a domain (RFC 5321 section 4.1.1.3).
const postmaster = "postmaster"

// cutPath takes the path of a MAIL or RCPT command (RFC 5321 section 4.1.2) off the front of s. It
// returns the mailbox byte for byte, without its brackets and without a source route, which is to be
// ignored (appendix C), and what follows the path. "<>" is the mailbox "".
//
// What programs in the field get wrong is tolerated where it can mean one thing only: blanks before
// the path, missing brackets, dots in odd places of a local part. Everything else that is not a
// mailbox is an error, whose text continues "The address ": half of a wrong address may be somebody's.
func cutPath(s string) (mailbox, rest string, err error) {
	s = strings.TrimLeft(s, " \t")
	inner, bracket := strings.CutPrefix(s, "<")
	if bracket && strings.HasPrefix(inner, ">") {
		return "", inner[1:], followed(inner[1:])
	}
	if bracket && strings.HasPrefix(inner, "@") {
		if inner, err = cutRoute(inner); err != nil {
			return "", "", err
		}
	}
	n, err := mailboxLen(inner)
	if err != nil {
		return "", "", err
	}
	mailbox, rest = inner[:n], inner[n:]
	switch {
	case bracket && strings.HasPrefix(rest, ">"):
		rest = rest[1:]
		err = followed(rest)
	case bracket || rest != "" && !isBlank(rest[0]):
		err = unexpected(rest)
	}
	if n > MaxAddress {
		err = errTooLong
	}
	return mailbox, rest, err
}

var (
	errNoAddress  = errors.New("is missing")
	errNoLocal    = errors.New("has nothing before the @")
	errNoDomain   = errors.New("has no domain")
	errTooLong    = errors.New("is longer than an address can be")
	errBadRoute   = errors.New("has a malformed source route")
	errBadQuotes  = errors.New("has a quoted part that is malformed or does not end")
	errBadLiteral = errors.New("has a malformed address literal")
	errOneAddress = errors.New("is followed by another; each command takes one")
	errControl    = errors.New("holds a control character")
)

// unexpected says what is wrong with an address that stops at rest.
func unexpected(rest string) error {
	if rest == "" {
		return errors.New("has no closing >")
	}
	switch c := rest[0]; {
	case c == ',', c == ';', c == '<':
		return errOneAddress
	case c == '@':
		return errors.New("has more than one @")
	case isBlank(c):
		return errors.New("holds a blank")
	case c == '>':
		return errors.New("has no opening <")
	case c < ' ', c == 0x7f:
		return errControl
	default:
		return fmt.Errorf("is malformed at %q", c)
	}
}

// followed judges what follows a path: blanks and parameters, or parameters without the blank, as
// some devices send them.
func followed(rest string) error {
	if rest == "" || isBlank(rest[0]) || isAlnum(rest[0]) {
		return nil
	}
	return unexpected(rest)
}

// cutRoute takes a source route off the front of a path: At-domain *( "," At-domain ) ":".
func cutRoute(s string) (rest string, err error) {
	for {
		if !strings.HasPrefix(s, "@") {
			return "", errBadRoute
		}
		n, err := domainLen(s[1:])
		if err != nil {
			return "", errBadRoute
		}
		s = s[1+n:]
		switch {
		case strings.HasPrefix(s, ":"):
			return s[1:], nil
		case !strings.HasPrefix(s, ","):
			return "", errBadRoute
		}
		s = s[1:]
	}
}

// mailboxLen is the length of the mailbox at the front of s: a local part, "@" and a domain or an
// address literal, or postmaster alone.
func mailboxLen(s string) (int, error) {
	n, err := localLen(s)
	switch {
	case err != nil:
		return 0, err
	case n == 0 && (s == "" || s[0] == '>'):
		return 0, errNoAddress
	case n == 0 && s[0] == '@':
		return 0, errNoLocal
	case n == 0:
		return 0, unexpected(s)
	case n == len(s) || s[n] != '@':
		if strings.EqualFold(s[:n], postmaster) {
			return n, nil
		}
		if n < len(s) && s[n] != '>' {
			return 0, unexpected(s[n:])
		}
		return 0, errNoDomain
	}
	m, err := domainLen(s[n+1:])
	return n + 1 + m, err
}

// localLen is the length of the local part at the front of s: a quoted string, or atoms and dots.
// iLO ends one in a dot and docomo has two in a row, so dots may stand anywhere.
func localLen(s string) (int, error) {
	if strings.HasPrefix(s, `"`) {
		return quotedLen(s)
	}
	n := 0
	for n < len(s) && (isAtext(s[n]) || s[n] == '.') {
		n++
	}
	return n, nil
}

// quotedLen is the length of the quoted string at the front of s.
func quotedLen(s string) (int, error) {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			i++
			if i == len(s) || s[i] < ' ' || s[i] >= 0x7f {
				return 0, errBadQuotes
			}
		case c < ' ', c == 0x7f:
			return 0, errControl
		}
	}
	return 0, errBadQuotes
}

// domainLen is the length of the domain or address literal at the front of s. Underscores are not
// in the grammar and are in the names of many networks.
func domainLen(s string) (int, error) {
	if strings.HasPrefix(s, "[") {
		return literalLen(s)
	}
	n := 0
	for n < len(s) && (isAlnum(s[n]) || s[n] >= utf8.RuneSelf || strings.IndexByte("-_.", s[n]) >= 0) {
		n++
	}
	if n == 0 {
		if s == "" || s[0] == '>' || isBlank(s[0]) {
			return 0, errNoDomain
		}
		return 0, unexpected(s)
	}
	if n > MaxDomain {
		return 0, errTooLong
	}
	for label := range strings.SplitSeq(s[:n], ".") {
		switch {
		case label == "":
			return 0, errors.New("has a dot too many in its domain")
		case label[0] == '-', label[len(label)-1] == '-':
			return 0, errors.New("has a part of its domain that begins or ends with a hyphen")
		case len(label) > longestLabel && strings.IndexFunc(label, func(r rune) bool { return r >= 0x80 }) < 0:
			return 0, errors.New("has a part of its domain that is too long")
		}
	}
	return n, nil
}

// literalLen is the length of the address literal at the front of s (RFC 5321 section 4.1.3): an
// IPv4 address, "IPv6:" and an address, or another tag and text.
func literalLen(s string) (int, error) {
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return 0, errBadLiteral
	}
	text := s[1:end]
	tag, content, tagged := strings.Cut(text, ":")
	switch {
	case !tagged:
		if ip, err := netip.ParseAddr(text); err != nil || !ip.Is4() {
			return 0, errBadLiteral
		}
	case strings.EqualFold(tag, "IPv6"):
		if ip, err := netip.ParseAddr(content); err != nil || !ip.Is6() || ip.Zone() != "" {
			return 0, errBadLiteral
		}
	case tag == "" || content == "" || strings.HasSuffix(tag, "-") || strings.ContainsFunc(tag, func(r rune) bool { return r >= utf8.RuneSelf || !isAlnum(byte(r)) && r != '-' }):
		return 0, errBadLiteral
	case strings.ContainsFunc(content, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`<>()[]",;\@`, r) }):
		return 0, errBadLiteral
	}
	return end + 1, nil
}

// isAtext reports whether a byte may stand in an atom (RFC 5322 section 3.2.3, RFC 6531 section 3.3).
func isAtext(c byte) bool {
	return isAlnum(c) || c >= utf8.RuneSelf || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/waxseal/waxseal/proxy/dial"
)

// maxDomain bounds the domains that Fold converts, in bytes: the time that punycode
// takes grows with the square of a label's length. No domain of RFC 5321 section
// 4.5.3.1.2 (255 octets in ASCII) is longer than this in UTF-8.
const maxDomain = 1024

// Fold returns the form of an address by which addresses are compared: without
// spaces around it, in lower case (providers ignore case in the local part,
// whatever RFC 5321 section 2.4 allows), in Unicode normalization form C, and with
// its domain in the ASCII form of RFC 5891. Use it as a map key, but never send
// mail to it.
func Fold(address string) string {
	address = strings.ToLower(strings.TrimSpace(address))
	if isASCII(address) {
		return address
	}
	// Lower-casing can undo the composition, and composing can produce upper case
	// (U+0345), so both happen twice.
	address = norm.NFC.String(strings.ToLower(norm.NFC.String(address)))
	i := strings.LastIndexByte(address, '@')
	if i < 0 || len(address)-i > maxDomain {
		return address
	}
	if domain, err := idna.Lookup.ToASCII(address[i+1:]); err == nil {
		return address[:i+1] + domain
	}
	return address
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// CheckAddress returns an error if a text cannot be an account's email address. The
// error's text continues a sentence that starts with the address. It is stricter
// than RFC 5321: nobody's account has a quoted local part.
func CheckAddress(address string) error {
	local, domain, ok := CutDomain(address)
	switch {
	case strings.TrimSpace(address) == "":
		return errors.New("is empty")
	case !utf8.ValidString(address):
		return errors.New("is not UTF-8")
	case strings.ContainsFunc(address, isSpaceOrControl):
		return errors.New("contains a space or a control character")
	case !ok || local == "" || strings.ContainsAny(address, `<>,;:"()\`):
		return errors.New("is not an email address like me@example.com")
	case len(local) > 64 || len(address) > 254: // RFC 5321 section 4.5.3.1
		return errors.New("is longer than an email address can be")
	case !dial.ValidHost(domain):
		return fmt.Errorf("has a domain that is not valid (%q)", domain)
	}
	return nil
}

// CutDomain splits an address at its last @ and reports whether it has one.
func CutDomain(address string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address, "", false
	}
	return address[:i], address[i+1:], true
}

func isSpaceOrControl(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError
}

// splitHostPort splits and checks a host:port. Port 0 is only for listeners, which
// then use any free port.
func splitHostPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port", address)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q does not have a port between 0 and 65535", address)
	}
	if host != "" && !dial.ValidHost(host) {
		return "", 0, fmt.Errorf("%q does not have a valid host", address)
	}
	return host, int(n), nil
}

// HostOf returns the host:port of a URL, with the scheme's default port if the URL
// names none, and "" if it has no host.
func HostOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return ""
	}
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "http" {
		return net.JoinHostPort(u.Hostname(), "80")
	}
	return net.JoinHostPort(u.Hostname(), "443")
}

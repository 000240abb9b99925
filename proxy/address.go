package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Fold is an address in the one form in which addresses are compared: no space around it, lower case
// (providers do not distinguish case in the local part, whatever RFC 5321 section 2.4 allows),
// composed, and its domain in the ASCII form of RFC 5891. Use it as a map key, never to send to.
//
// What is too long for an address is not given to IDNA, whose cost is quadratic.
func Fold(address string) string {
	address = strings.ToLower(strings.TrimSpace(address))
	if isASCII(address) {
		return address
	}
	// Lowering can decompose and composing can raise (U+0345), hence twice.
	address = norm.NFC.String(strings.ToLower(norm.NFC.String(address)))
	i := strings.LastIndexByte(address, '@')
	if i < 0 || len(address) > longestAddress {
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

// checkAddress says why a text cannot be an account's mail address. It is stricter than RFC 5321: no
// account has a quoted local part.
func checkAddress(address string) error {
	local, domain, ok := cutDomain(address)
	switch {
	case strings.TrimSpace(address) == "":
		return errors.New("is empty")
	case !utf8.ValidString(address):
		return errors.New("is not UTF-8")
	case strings.ContainsFunc(address, unprintable):
		return errors.New("holds a space or a control character")
	case !ok || local == "" || strings.ContainsAny(address, `<>,;:"()\`):
		return errors.New("is not a mail address like me@example.com")
	case len(local) > 64 || len(address) > 254: // RFC 5321 section 4.5.3.1
		return errors.New("is longer than a mail address can be")
	case !validHost(domain):
		return fmt.Errorf("has %q after the @, which is not a domain name", domain)
	}
	return nil
}

func cutDomain(address string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address, "", false
	}
	return address[:i], address[i+1:], true
}

func unprintable(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError
}

// validHost reports whether a host is an IP address or looks like a name.
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if host == "" || len(host) > 253 || strings.HasPrefix(host, ".") || strings.Contains(host, "..") {
		return false
	}
	for _, r := range host {
		letter := r == '-' || r == '.' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
		if !letter {
			return false
		}
	}
	return true
}

// splitHostPort splits and checks a host:port; port 0 is for listeners, which then take a free one.
func splitHostPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port", address)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q has no port between 0 and 65535", address)
	}
	if host != "" && !validHost(host) {
		return "", 0, fmt.Errorf("the host of %q is not an IP address or a name", address)
	}
	return host, int(n), nil
}

// loopback reports whether a host can only be this machine.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

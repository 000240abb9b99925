package upstream

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// quotePath is an address as it goes between "<" and ">" (RFC 5321 section 4.1.2). The server side hands
// addresses over without their quotes ("a b"@x arrives as a b@x), so a local part that cannot stand
// without them is quoted again. One that can is left as it is, even where a strict reader would quote
// it: dots in odd places are in use (a..b@docomo.ne.jp), and without quotes.
//
// An address that could end the command early or smuggle a parameter in is refused.
func quotePath(address string, allowUTF8 bool) (string, error) {
	if address == "" {
		return "", nil // the null sender
	}
	if err := checkText(address, allowUTF8); err != nil {
		return "", err
	}
	local, domain := address, ""
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		local, domain = address[:at], address[at:]
	}
	if strings.ContainsAny(domain, "<>()\",;\\ ") {
		return "", fmt.Errorf("%w: the domain of %+q", ErrEnvelope, address)
	}
	if local != "" && !strings.ContainsAny(local, "()<>[]:;\\,\"@ ") || isQuoted(local) {
		return address, nil
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"` + domain, nil
}

// isQuoted reports whether a local part is a quoted string (RFC 5321 section 4.1.2) as it stands: it
// goes up byte for byte.
func isQuoted(local string) bool {
	inner, ok := strings.CutPrefix(local, `"`)
	for ok && inner != "" && inner[0] != '"' {
		if inner[0] == '\\' {
			inner = inner[1:]
		}
		if inner != "" {
			inner = inner[1:]
		}
	}
	return ok && inner == `"`
}

func checkText(address string, allowUTF8 bool) error {
	for i := range len(address) {
		switch c := address[i]; {
		case c < ' ' || c == 0x7f:
			return fmt.Errorf("%w: a control character in %+q", ErrEnvelope, address)
		case c >= utf8.RuneSelf && !allowUTF8:
			return ErrNotASCII
		}
	}
	if !utf8.ValidString(address) {
		return fmt.Errorf("%w: %+q is not UTF-8", ErrEnvelope, address)
	}
	return nil
}

const upperHex = "0123456789ABCDEF"

// xtext encodes a parameter's value (RFC 3461 section 4): printable ASCII stands for itself, except "+"
// and "=".
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(rune(c)) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'+', upperHex[c>>4], upperHex[c&15]})
		}
	}
	return b.String()
}

// unitext encodes an internationalised address (RFC 6533 section 3): as utf-8-addr-unitext in an SMTPUTF8
// message, as utf-8-addr-xtext elsewhere.
func unitext(s string, allowUTF8 bool) string {
	var b strings.Builder
	for _, r := range s {
		if (plain(r) && r != '\\') || (r >= utf8.RuneSelf && allowUTF8) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x{%02X}`, r)
		}
	}
	return b.String()
}

func plain(r rune) bool { return r > ' ' && r <= '~' && r != '+' && r != '=' }

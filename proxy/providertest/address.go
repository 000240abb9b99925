package providertest

import (
	"net"
	"strings"
	"unicode/utf8"
)

// fold returns the form in which all spellings of an account are equal.
func fold(account string) string { return strings.ToLower(strings.TrimSpace(account)) }

// parsePath reads "FROM:<path> params" (keyword "FROM:") or "TO:<path> params" (RFC 5321 section
// 4.1.2). There must be no space before the path, as in the RFC and at Gmail. The path is returned
// without its brackets.
func parsePath(keyword, arg string) (path, params string, ok bool) {
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", "", false
	}
	arg = arg[len(keyword):]
	if !strings.HasPrefix(arg, "<") {
		return "", "", false
	}
	quoted := false
	for i := 1; i < len(arg); i++ {
		switch c := arg[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '<' && !quoted:
			return "", "", false
		case c == '>' && !quoted:
			path, params = arg[1:i], arg[i+1:]
			if params == "" {
				return path, "", true
			}
			params, ok = strings.CutPrefix(params, " ")
			return path, params, ok && params != ""
		}
	}
	return "", "", false
}

// validAddress reports whether a is local-part@domain as in RFC 5321 section 4.1.2, within its size
// limits; RFC 6531 for non-ASCII.
func validAddress(a string) bool {
	at := strings.LastIndexByte(a, '@')
	if at < 1 || at > 64 || len(a) > 254 || !utf8.ValidString(a) {
		return false
	}
	local := a[:at]
	if local[0] == '"' {
		return validQuoted(local) && validHost(a[at+1:])
	}
	for _, atom := range strings.Split(local, ".") {
		if atom == "" || strings.ContainsAny(atom, " \"(),:;<>@[\\]") {
			return false
		}
	}
	return validHost(a[at+1:])
}

// validQuoted reports whether q is a quoted string: no quote inside except after a backslash, and a
// quote at the end.
func validQuoted(q string) bool {
	for i := 1; i < len(q); i++ {
		switch q[i] {
		case '\\':
			i++
		case '"':
			return i == len(q)-1
		}
	}
	return false
}

// validHost reports whether h is a domain or an address literal.
func validHost(h string) bool {
	if lit, ok := strings.CutPrefix(h, "["); ok {
		lit, ok = strings.CutSuffix(lit, "]")
		return ok && net.ParseIP(strings.TrimPrefix(lit, "IPv6:")) != nil
	}
	if len(h) > 253 {
		return false
	}
	for _, label := range strings.Split(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
			if !letter && c != '-' && c != '_' && c < 0x80 {
				return false
			}
		}
	}
	return true
}

// ascii reports whether s needs no SMTPUTF8.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// validXtext reports whether s is in the encoding of RFC 3461 section 4: printable ASCII, with +
// and = written as +2B and +3D.
func validXtext(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < '!' || c > '~' || c == '=':
			return false
		case c == '+':
			if i+2 >= len(s) || !upperHex(s[i+1]) || !upperHex(s[i+2]) {
				return false
			}
			i += 2
		}
	}
	return s != ""
}

func upperHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' }

package foreign

// longestWord is the length up to which a word is shown whatever it looks like.
const longestWord = 20

// hideOpaque hides the parts of the original text where a view has a word that looks like a token.
func hideOpaque(v *view, hidden []bool) {
	for start := 0; start < len(v.text); {
		if id := uuidLength(v.text[start:]); id > 0 {
			start += id
			continue
		}
		end := start
		for end < len(v.text) && ofToken(v.text[end]) {
			end++
			if v.text[end-1] == '/' && uuidLength(v.text[end:]) > 0 {
				break
			}
		}
		if opaque(v.text[start:end]) {
			for end < len(v.text) && v.text[end] == '=' { // the padding of base64
				end++
			}
			v.over(start, end).mark(hidden)
		}
		start = max(end, start+1)
	}
}

// ofToken reports whether c is among the characters that words of a token are made of: base64 of
// both alphabets, and those that Microsoft's and Yahoo's have besides. A dot is not: it separates
// the words of host names, and those of a token are long enough by themselves.
func ofToken(c byte) bool {
	switch c {
	case '~', '!', '*', '$':
		return true
	}
	return base64Value(c) >= 0
}

// opaque reports whether a word looks like a token. A person's words, class names and identifiers
// of several words seldom change between lower case, upper case and digits; random letters do so
// at every second one.
func opaque(word []byte) bool {
	if len(word) <= longestWord {
		return false
	}
	var letters, digits, upper, lower, hex, changes, groups int
	var last byte // the class of the last letter or digit
	for _, c := range word {
		var class byte
		switch {
		case '0' <= c && c <= '9':
			class = '0'
			digits++
			if last != '0' {
				groups++
			}
		case 'A' <= c && c <= 'Z':
			class = 'A'
			upper++
		case 'a' <= c && c <= 'z':
			class = 'a'
			lower++
		default:
			continue
		}
		if hexValue(c) >= 0 {
			hex++
		}
		if last != 0 && class != last {
			changes++
		}
		last = class
	}
	letters = upper + lower
	n := letters + digits
	switch {
	case n < longestWord*3/4: // mostly signs: a line that somebody drew
		return false
	case hex == n && digits > 0:
		return true
	case digits == 0:
		return 5*changes >= 2*n
	case 7*changes >= 2*n:
		return true
	case lower == 0: // base32 has no lower case and few digits
		return groups >= 2
	case upper == 0:
		return groups >= 4
	}
	return false
}

// uuidLength is the length of the UUID that s begins with, or 0. UUIDs name tenants, programs and
// requests, and are asked for by people who help.
func uuidLength(s []byte) int {
	const length = 36
	if len(s) < length || len(s) > length && ofToken(s[length]) && s[length] != '/' {
		return 0
	}
	for i, c := range s[:length] {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (c == '-') || !hyphen && hexValue(c) < 0 {
			return 0
		}
	}
	return length
}

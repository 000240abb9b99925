package foreign

import (
	"bytes"
	"html"
	"strconv"
)

// view is a text, or what an encoded part of it means. origin gives for each byte the part of the
// original text that it comes from.
type view struct {
	text   []byte
	origin []span
}

type span struct{ from, to int32 }

// reset empties the view and makes room for length bytes.
func (v *view) reset(length int) {
	if cap(v.text) < length {
		v.text, v.origin = make([]byte, 0, length), make([]span, 0, length)
	}
	v.text, v.origin = v.text[:0], v.origin[:0]
}

func (v *view) add(b byte, s span) {
	v.text = append(v.text, b)
	v.origin = append(v.origin, s)
}

// over is the part of the original text that the bytes from start to end come from.
func (v *view) over(start, end int) span {
	return span{v.origin[start].from, v.origin[end-1].to}
}

func (s span) mark(hidden []bool) {
	for i := s.from; i < s.to; i++ {
		hidden[i] = true
	}
}

// viewOf is a text as it is.
func viewOf(text string) *view {
	v := &view{}
	v.reset(len(text))
	for i := range len(text) {
		v.add(text[i], span{int32(i), int32(i + 1)})
	}
	return v
}

// unescape undoes one layer of escapes: of URLs, HTML, JSON and C strings. It gives nil where there
// are none.
func (v *view) unescape() *view {
	if !bytes.ContainsAny(v.text, `%&\`) {
		return nil
	}
	out := &view{}
	out.reset(len(v.text))
	changed := false
	for i := 0; i < len(v.text); {
		means, n := unescapeOne(v.text[i:min(len(v.text), i+maxEscape)])
		if n == 0 {
			out.add(v.text[i], v.origin[i])
			i++
			continue
		}
		for _, b := range []byte(means) {
			out.add(b, v.over(i, i+n))
		}
		i += n
		changed = true
	}
	if !changed {
		return nil
	}
	return out
}

// maxEscape is more bytes than any escape has.
const maxEscape = 32

// unescapeOne reads the escape that s begins with. n is its length, or 0 if there is none.
func unescapeOne(s []byte) (means string, n int) {
	switch s[0] {
	case '%':
		return number(s, 1, 2)
	case '&':
		end := bytes.IndexByte(s, ';')
		if end < 0 {
			return "", 0
		}
		entity := string(s[:end+1])
		if means = html.UnescapeString(entity); means == entity {
			return "", 0
		}
		return means, len(entity)
	case '\\':
		if len(s) < 2 {
			return "", 0
		}
		switch s[1] {
		case 'u':
			return number(s, 2, 4)
		case 'x':
			return number(s, 2, 2)
		case 'n', 'r', 't':
			return " ", 2
		case '\\', '/', '"', '\'':
			return string(s[1]), 2
		}
	}
	return "", 0
}

// number reads the hexadecimal digits from start on. Two of them are a byte, four a character.
func number(s []byte, start, digits int) (means string, n int) {
	end := start + digits
	if len(s) < end {
		return "", 0
	}
	u, err := strconv.ParseUint(string(s[start:end]), 16, 32)
	switch {
	case err != nil:
		return "", 0
	case digits == 2:
		return string([]byte{byte(u)}), end
	}
	return string(rune(u)), end
}

// gap is the byte in a decoded view that stands for what was not in the encoding.
const gap = 0xff

// encoding is one that makes text of bytes.
type encoding struct {
	bits  int // of each character
	value func(byte) int
}

var (
	base64Encoding = encoding{6, base64Value}
	hexEncoding    = encoding{4, hexValue}
)

// decode writes to out what the text means in an encoding, when it is read from the character at
// skip on in each run of the encoding's characters. Spaces count for nothing: long lines are
// wrapped.
func (v *view) decode(out *view, e encoding, skip int) {
	out.reset(len(v.text)*e.bits/8 + 1)
	acc, have, left, start := 0, 0, skip, 0
	for i, c := range v.text {
		if c == ' ' {
			continue
		}
		n := e.value(c)
		switch {
		case n == ignored:
			continue
		case n < 0:
			acc, have, left = 0, 0, skip
			if l := len(out.text); l > 0 && out.text[l-1] != gap {
				out.add(gap, v.origin[i])
			}
			continue
		case left > 0:
			left--
			continue
		}
		if have == 0 {
			start = i
		}
		acc, have = (acc<<e.bits|n)&0xffff, have+e.bits
		if have >= 8 {
			have -= 8
			out.add(byte(acc>>have), v.over(start, i+1))
			start = i
		}
	}
}

const (
	foreign = -1 // a character that is not of the encoding
	ignored = -2 // one that may stand between those that are
)

// base64Value reads both alphabets of RFC 4648.
func base64Value(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	}
	return foreign
}

// hexValue takes the bytes of a dump too, which have colons or hyphens between them.
func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	case c == ':' || c == '-':
		return ignored
	}
	return foreign
}

package imapd

import (
	"bytes"
	"strconv"
)

// maxDigits bounds the length of a literal's announcement: 63 bits (RFC 9051 section 9), braces and "+".
const maxDigits = 22

// atEnd reads the announcement of a literal ("{5}", of RFC 3516 "~{5}") at the end of a line, of which the last
// bytes are enough. Not where endsInText.
func atEnd(tail []byte) (size int64, ok bool) {
	tail = bytes.TrimSuffix(bytes.TrimSuffix(tail, []byte("\n")), []byte("\r"))
	if !bytes.HasSuffix(tail, []byte("}")) {
		return 0, false
	}
	tail = tail[max(0, len(tail)-maxDigits-1) : len(tail)-1]
	i := bytes.LastIndexByte(tail, '{')
	if i < 0 {
		return 0, false
	}
	digits := bytes.TrimSuffix(tail[i+1:], []byte("+"))
	n, err := strconv.ParseUint(string(digits), 10, 63)
	return int64(n), err == nil // ParseUint takes no sign
}

// endsInText reports whether the first line of a response, of which the first bytes are enough, is a status
// response or a request to go on. They end in text for people, which may look like an announcement without
// being one; a code that is not over, in brackets, may hold one.
func endsInText(head []byte) bool {
	if len(head) > 0 && head[0] == '+' {
		return true
	}
	_, rest, _ := bytes.Cut(head, []byte(" "))
	word, text, _ := bytes.Cut(rest, []byte(" "))
	switch string(bytes.ToUpper(word)) {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		return !bytes.HasPrefix(text, []byte("[")) || bytes.IndexByte(text, ']') >= 0
	}
	return false
}

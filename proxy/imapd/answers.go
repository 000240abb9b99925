package imapd

import (
	"fmt"
	"strings"

	"github.com/waxseal/waxseal/proxy/mailbox"
)

// maxWords bounds the words of an answer, in bytes.
const maxWords = 1000

// answer says a refused login to a mail program; last: the connection is closed after it.
//
// AUTHENTICATIONFAILED (RFC 5530) is for wrong passwords alone: mail programs ask for another one then, and a
// person would type the provider's password. Of UNAVAILABLE, Thunderbird shows the words.
func answer(tag string, r *mailbox.Refusal) (line string, last bool) {
	words := oneLine(r.Words)
	switch r.Kind {
	case mailbox.WrongPassword:
		return tag + " NO [AUTHENTICATIONFAILED] " + words + "\r\n", false
	case mailbox.LockedOut:
		return bye(words), true
	}
	return tag + " NO [UNAVAILABLE] " + words + "\r\n", false
}

// bye is the untagged BYE.
func bye(words string) string { return "* BYE " + oneLine(words) + "\r\n" }

// Busy is what a mail program hears that is turned away because the limit of connections is reached.
func Busy(limit int) []byte {
	return []byte(bye(fmt.Sprintf("Waxseal already has %d connections, its limit; try again later", limit)))
}

// oneLine is text that can stand at the end of a response line: printable ASCII.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, text)
	if text = strings.TrimSpace(text); text == "" {
		return "-"
	}
	return text[:min(len(text), maxWords)]
}

package imapd

import (
	"strings"

	"github.com/waxseal/waxseal/proxy/mailbox"
)

// maxWords bounds the words of an answer, in bytes.
const maxWords = 1000

// answer is the answer to a login.
type answer struct {
	in   bool   // it worked, and the provider's own words go down
	line string // else this, behind the tag
	last bool   // there is no tag before it, and the connection ends
}

// refused puts a refusal into IMAP's form. AUTHENTICATIONFAILED (RFC 5530) is for wrong passwords alone: mail programs
// ask for another one then, and a person would type the provider's. Of UNAVAILABLE, Thunderbird shows the words.
func refused(r *mailbox.Refusal) answer {
	words := oneLine(r.Words())
	switch r.Kind {
	case mailbox.WrongPassword:
		return answer{line: "NO [AUTHENTICATIONFAILED] " + words}
	case mailbox.LockedOut:
		return answer{line: bye(words), last: true}
	}
	return answer{line: "NO [UNAVAILABLE] " + words}
}

// bye is the untagged BYE, without its line end.
func bye(words string) string { return "* BYE " + oneLine(words) }

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

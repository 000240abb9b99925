package popd

import (
	"errors"
	"strings"

	"github.com/waxseal/waxseal/proxy/mailbox"
)

const pausedGreeting = "-ERR [SYS/TEMP] Waxseal is paused. Resume it from its icon or its window"

// maxAnswer is the longest status line, its end included (RFC 2449 section 4).
const maxAnswer = 512

// answer is the answer to a login.
type answer struct {
	in   bool   // it worked, and the provider's own words have gone down
	line string // else this
	last bool   // and the connection ends

	atProvider bool // the local password is right; what failed is the rest
}

// refused puts a refusal into POP's form: [AUTH] where another password helps, and else a code that
// says whether to come back (RFC 3206). cause is what the provider's login failed with, or nil.
func refused(r *mailbox.Refusal, cause error) (line string, last bool) {
	code := ""
	switch r.Kind {
	case mailbox.WrongPassword, mailbox.LockedOut:
		code = "AUTH"
	case mailbox.TooMany:
		code = inUse
	case mailbox.Lasting:
		code = sysPerm
	default:
		code = sysTemp
	}
	var said *mailbox.ServerError
	if code == sysTemp && errors.As(cause, &said) && (said.Code == inUse || said.Code == loginDelay) {
		code = said.Code
	}
	return short("-ERR [" + code + "] " + r.Words()), r.Kind == mailbox.LockedOut
}

// told is the answer to a login that failed, which is listed.
func told(r *mailbox.Refusal, cause error) answer {
	line, last := refused(r, cause)
	r.Told(line)
	return answer{line: line, last: last}
}

// The response codes of RFC 2449 section 8 and RFC 3206 that tell something else than a password.
const (
	inUse      = "IN-USE"
	loginDelay = "LOGIN-DELAY"
	sysTemp    = "SYS/TEMP"
	sysPerm    = "SYS/PERM"
)

// short is a status line that is not too long, cut between two words.
func short(line string) string {
	const room = maxAnswer - len("\r\n")
	if len(line) <= room {
		return line
	}
	line = line[:room-len("...")]
	if i := strings.LastIndexByte(line, ' '); i > room/2 {
		line = line[:i]
	}
	return line + "..."
}

package api

import "slices"

// Protocol is what a mail program speaks, and what an account does.
type Protocol string

const (
	SMTP Protocol = "smtp" // sends mail (RFC 5321, RFC 6409)
	IMAP Protocol = "imap" // reads mail (RFC 9051, RFC 3501)
	POP  Protocol = "pop"  // reads mail (RFC 1939)
)

// Protocols are all protocols, sending first.
var Protocols = []Protocol{SMTP, IMAP, POP}

// Reads reports whether the protocol is for reading mail.
func (p Protocol) Reads() bool { return p == IMAP || p == POP }

// Label is the protocol's name for people, by itself.
func (p Protocol) Label() Text {
	switch p {
	case SMTP:
		return Say("SMTP")
	case IMAP:
		return Say("IMAP")
	case POP:
		return Say("POP")
	}
	return Say("{{.Protocol}}", "Protocol", string(p))
}

// Does returns what the account does; an account that says nothing sends and no more, so
// that an update widens nobody's consent.
func (a Account) Does() []Protocol {
	if len(a.Protocols) == 0 {
		return []Protocol{SMTP}
	}
	return a.Protocols
}

// Uses reports whether the account does p.
func (a Account) Uses(p Protocol) bool { return slices.Contains(a.Does(), p) }

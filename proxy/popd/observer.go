package popd

import (
	"bytes"
	"strings"
	"sync"
)

const (
	// maxAhead is how many commands a program may send before their answers; after that the
	// observer gives up.
	maxAhead = 1 << 14
	// maxSaid bounds what is kept of a provider's last words, in bytes.
	maxSaid = 512
)

// observer follows a session after its login, so that it is known where it may be ended without
// harm: behind a status line, or behind the end of a multi-line answer (RFC 1939 section 3). Which
// answers have more than one line depends on the commands. It changes nothing. What it does not
// understand makes it blind for good: then any place is as good as another, or a stop would wait for a program
// that does nothing.
//
// Up and Down may be called by two goroutines.
type observer struct {
	mu    sync.Mutex // guards what follows
	blind bool
	up    command // the one that the program is sending
	ahead []kind  // sent, and not answered
	quit  bool    // QUIT was sent
	multi bool    // a multi-line answer has begun
	match int     // of it: how much of its end has come
	line  []byte  // the start of the status line that is coming
	said  string  // a -ERR that answers nothing: the provider's last words
}

// kind is how a command is answered.
type kind byte

const (
	single  kind = iota // by a status line
	multi               // by more lines, if it is +OK
	unknown             // by nobody knows what, if it is +OK
)

// Up follows what the program sends.
func (o *observer) Up(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(p) > 0 && !o.blind {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			o.up.add(p)
			return
		}
		o.up.add(p[:i])
		p = p[i+1:]
		o.quit = o.quit || o.up.is("QUIT")
		if o.ahead = append(o.ahead, o.up.kind()); len(o.ahead) > maxAhead {
			o.blind = true
		}
		o.up = command{}
	}
}

// Down follows what the provider sends. It returns how much of p lies before the last boundary, which is
// the end of an answer; -1 if p holds none.
func (o *observer) Down(p []byte) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	boundary := -1
	for rest := p; len(rest) > 0 && !o.blind; {
		if o.multi {
			rest = o.body(rest)
		} else {
			rest = o.statusPart(rest)
		}
		if !o.multi && len(o.line) == 0 {
			boundary = len(p) - len(rest)
		}
	}
	if o.blind {
		return len(p)
	}
	return boundary
}

// Ended is how the session looks at its end: whether the program has said QUIT, and the provider's
// last words if they were a -ERR that nobody had asked for.
func (o *observer) Ended() (quit bool, said string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.quit, o.said
}

// statusPart takes bytes of a status line, and returns what is behind its end.
func (o *observer) statusPart(p []byte) []byte {
	line, rest, whole := bytes.Cut(p, []byte("\n"))
	o.line = append(o.line, line[:min(len(line), maxSaid-len(o.line))]...)
	if !whole {
		return nil
	}
	o.status(string(bytes.TrimRight(o.line, "\r")))
	o.line = o.line[:0]
	return rest
}

// status takes a status line.
func (o *observer) status(line string) {
	ok := strings.HasPrefix(line, "+OK")
	switch {
	case !ok && !strings.HasPrefix(line, "-ERR"):
		o.blind = true
		return
	case len(o.ahead) == 0 && ok:
		o.blind = true
		return
	case len(o.ahead) == 0: // an announcement, such as that of the session's end
		o.said = line
		return
	}
	k := o.ahead[0]
	if o.ahead = o.ahead[1:]; len(o.ahead) == 0 {
		o.ahead = nil
	}
	switch {
	case ok && k == unknown:
		o.blind = true
	case ok && k == multi:
		o.multi, o.match = true, len("\r\n")
	}
}

// end is that of a multi-line answer. Its first line may be the end already, after the CRLF of the
// status line.
const end = "\r\n.\r\n"

// body takes bytes of a multi-line answer, and returns what is behind its end.
func (o *observer) body(p []byte) []byte {
	for len(p) > 0 {
		if o.match == 0 {
			i := bytes.IndexByte(p, '\r')
			if i < 0 {
				return nil
			}
			p, o.match = p[i+1:], 1
			continue
		}
		switch b := p[0]; {
		case b == end[o.match]:
			if o.match++; o.match == len(end) {
				o.multi, o.match = false, 0
				return p[1:]
			}
		case b == '\r':
			o.match = 1
		default:
			o.match = 0
		}
		p = p[1:]
	}
	return nil
}

// command is as much of a command as tells how it is answered: its verb, and whether there is more.
type command struct {
	verb [len("RETR")]byte
	n    int  // of verb; one more than it holds where the verb is longer
	arg  bool // there is an argument
	past bool // the verb has ended
}

// add takes a part of the command's line.
func (c *command) add(p []byte) {
	for _, b := range p {
		blank := b == ' ' || b == '\t' || b == '\r'
		switch {
		case blank:
			c.past = c.past || c.n > 0
		case c.past:
			c.arg = true
			return
		case c.n < len(c.verb):
			c.verb[c.n] = b &^ 0x20 // upper case
			c.n++
		default:
			c.n = len(c.verb) + 1
		}
	}
}

func (c *command) is(verb string) bool {
	return c.n <= len(c.verb) && string(c.verb[:c.n]) == verb
}

// kind is how the command is answered (RFC 1939 section 5 and 7, RFC 2449 section 5).
func (c *command) kind() kind {
	if c.n > len(c.verb) {
		return unknown
	}
	switch string(c.verb[:c.n]) {
	case "RETR", "TOP", "CAPA":
		return multi
	case "LIST", "UIDL":
		if c.arg {
			return single
		}
		return multi
	case "STAT", "DELE", "NOOP", "RSET", "QUIT":
		return single
	}
	return unknown
}

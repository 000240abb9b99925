package imapd

import (
	"bytes"
	"strings"
	"sync/atomic"
)

const (
	headSize = 256 // what is kept of a line's beginning, in bytes
	tailSize = 32  // and of its end: more than a literal's announcement
)

// observer follows what a provider says after the login: lines and literals, nothing more. So it knows the
// boundaries, where another response may stand. After COMPRESS (RFC 4978) it knows nothing any more: nothing can
// be said then, and any place is as good as another to end.
//
// said and asked may be called by two goroutines.
type observer struct {
	bye          func(words string) // the provider said BYE; called at most once
	notConnected func()             // Exchange has no mailbox for the user; may be called again

	literal  int64  // bytes that are left of one
	midway   bool   // a response has begun
	head     []byte // of the response's first line
	tail     []byte // of the line, as far as it came in earlier pieces
	later    bool   // the line is not the response's first
	blind    bool
	saidBye  bool
	asking   []byte // the line that the mail program has begun
	overlong bool   // it is longer than what is kept

	compress  atomic.Pointer[string] // the tag of a COMPRESS command
	loggedOut atomic.Bool            // the mail program said LOGOUT
}

// said sees bytes of the provider. It returns how many of them lie before the last boundary, -1 if there is
// none. What is compressed may end with any piece, or a stop would wait for a program that only idles.
func (o *observer) said(p []byte) (boundary int) {
	boundary = -1
	for i := 0; i < len(p); {
		if o.blind {
			break
		}
		if o.literal > 0 {
			n := int(min(o.literal, int64(len(p)-i)))
			o.literal -= int64(n)
			i += n
			continue
		}
		o.midway = true
		end := bytes.IndexByte(p[i:], '\n')
		if end < 0 {
			o.keep(p[i:])
			break
		}
		o.keep(p[i : i+end+1])
		i += end + 1
		if o.endLine() {
			boundary = i
		}
	}
	if o.blind {
		return len(p)
	}
	return boundary
}

// keep adds to the line.
func (o *observer) keep(p []byte) {
	if !o.later && len(o.head) < headSize {
		o.head = append(o.head, p[:min(len(p), headSize-len(o.head))]...)
	}
	if len(p) >= tailSize {
		o.tail = append(o.tail[:0], p[len(p)-tailSize:]...)
		return
	}
	if o.tail = append(o.tail, p...); len(o.tail) > tailSize {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-tailSize:]...)
	}
}

// endLine looks at a line that has ended, and reports whether the response has, too.
func (o *observer) endLine() bool {
	size, ok := atEnd(o.tail)
	if ok && (o.later || !endsInText(o.head)) {
		o.literal, o.later, o.tail = size, true, o.tail[:0]
		return false
	}
	o.look()
	o.head, o.tail, o.later, o.midway = o.head[:0], o.tail[:0], false, false
	return true
}

// look looks at the first line of a response that has ended.
func (o *observer) look() {
	tag, rest, _ := bytes.Cut(o.head, []byte(" "))
	if len(rest) < 2 || bytes.IndexByte([]byte("OoNnBb"), rest[0]) < 0 { // most are FETCH
		return
	}
	status, text, _ := strings.Cut(strings.TrimRight(string(rest), "\r\n"), " ")
	status = strings.ToUpper(status)
	switch untagged := string(tag) == "*"; {
	case untagged && status == "BYE" && !o.saidBye:
		o.saidBye = true
		o.bye(text)
	case !untagged && status == "OK":
		if asked := o.compress.Load(); asked != nil && *asked == string(tag) {
			o.blind = true
		}
	case !untagged && status == "BAD" && notConnected(text):
		o.notConnected()
	}
}

// asked sees bytes of the mail program. It looks for two commands, on any line: a literal may be refused and not
// come, so that its bytes are not counted. A line of a message that looks like one does no harm: for
// COMPRESS there must be an OK with its tag.
func (o *observer) asked(p []byte) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		part := p
		if end > 0 {
			part = p[:end]
		}
		if p = p[len(part):]; len(o.asking)+len(part) > headSize {
			o.overlong = true
		}
		if !o.overlong {
			o.asking = append(o.asking, part...)
		}
		if end == 0 {
			return
		}
		if !o.overlong {
			o.command(string(o.asking))
		}
		o.asking, o.overlong = o.asking[:0], false
	}
}

func (o *observer) command(line string) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return
	}
	switch strings.ToUpper(words[1]) {
	case "COMPRESS":
		o.compress.Store(&words[0])
	case "LOGOUT":
		o.loggedOut.Store(len(words) == 2)
	}
}

package providertest

import (
	"strconv"
	"strings"
)

// scanner reads the arguments of an IMAP command (RFC 3501 section 9). After the first thing that is not
// as expected, bad is set and everything else that is read is empty.
type scanner struct {
	s   string // the command as it came, with its literals
	bad bool
}

// fail sets bad.
func (c *scanner) fail() { c.bad, c.s = true, "" }

// done reports whether everything has been read and was as expected.
func (c *scanner) done() bool { return !c.bad && c.s == "" }

// peek reports whether prefix comes next. It ignores case.
func (c *scanner) peek(prefix string) bool {
	return len(c.s) >= len(prefix) && strings.EqualFold(c.s[:len(prefix)], prefix)
}

// skip reads prefix if it comes next.
func (c *scanner) skip(prefix string) bool {
	if !c.peek(prefix) {
		return false
	}
	c.s = c.s[len(prefix):]
	return true
}

// expect reads prefix, which must come next.
func (c *scanner) expect(prefix string) {
	if !c.skip(prefix) {
		c.fail()
	}
}

func (c *scanner) space() { c.expect(" ") }

// run reads the characters that are good, of which there must be one.
func (c *scanner) run(good func(byte) bool) string {
	n := 0
	for n < len(c.s) && good(c.s[n]) {
		n++
	}
	if n == 0 {
		c.fail()
	}
	word := c.s[:n]
	c.s = c.s[n:]
	return word
}

func atomChar(b byte) bool {
	return b > ' ' && b < 0x7f && !strings.ContainsRune("(){%*\"\\]", rune(b))
}

// word reads an atom and returns it in upper case.
func (c *scanner) word() string { return strings.ToUpper(c.run(atomChar)) }

// number reads a number.
func (c *scanner) number() uint32 {
	n, err := strconv.ParseUint(c.run(func(b byte) bool { return b >= '0' && b <= '9' }), 10, 32)
	if err != nil {
		c.fail()
	}
	return uint32(n)
}

// text reads an astring, or a list-mailbox with its wildcards: an atom, a quoted string or a literal.
func (c *scanner) text() string {
	switch {
	case c.peek(`"`):
		return c.quoted()
	case c.peek("{"):
		return c.literal()
	}
	return c.run(func(b byte) bool { return atomChar(b) || strings.ContainsRune("%*]", rune(b)) || b >= 0x80 })
}

func (c *scanner) quoted() string {
	var b strings.Builder
	for i := 1; i < len(c.s); i++ {
		switch ch := c.s[i]; {
		case ch == '"':
			c.s = c.s[i+1:]
			return b.String()
		case ch == '\\' && i+1 < len(c.s):
			i++
			b.WriteByte(c.s[i])
		default:
			b.WriteByte(ch)
		}
	}
	c.fail()
	return ""
}

func (c *scanner) literal() string {
	head, rest, _ := strings.Cut(c.s, "\r\n")
	n, _, ok := literalSize(head)
	if !ok || n > len(rest) {
		c.fail()
		return ""
	}
	c.s = rest[n:]
	return rest[:n]
}

// literalSize reads the "{n}" or "{n+}" at the end of a line (RFC 7888). With wait, the client waits for
// a continuation.
func literalSize(line string) (n int, wait, ok bool) {
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return 0, false, false
	}
	digits, plus := strings.CutSuffix(line[open+1:len(line)-1], "+")
	size, err := strconv.ParseUint(digits, 10, 31)
	return int(size), !plus, err == nil
}

// mailbox reads the name of a folder. INBOX has no case (RFC 3501 section 5.1).
func (c *scanner) mailbox() string {
	name := c.text()
	if strings.EqualFold(name, inbox) {
		return inbox
	}
	return name
}

// list reads what is between parentheses, separated by spaces.
func (c *scanner) list(item func()) {
	c.expect("(")
	for !c.bad && !c.skip(")") {
		item()
		if !c.peek(")") {
			c.space()
		}
	}
}

// flags reads flags, in parentheses or not.
func (c *scanner) flags() (flags []string) {
	flag := func() {
		slash := ""
		if c.skip(`\`) {
			slash = `\`
		}
		flags = append(flags, slash+c.run(atomChar))
	}
	if c.peek("(") {
		c.list(flag)
		return flags
	}
	for flag(); c.skip(" "); {
		flag()
	}
	return flags
}

// set is a sequence set. In a bound, 0 stands for "*".
type set [][2]uint32

// set reads a sequence set.
func (c *scanner) set() (s set) {
	bound := func() uint32 {
		if c.skip("*") {
			return 0
		}
		n := c.number()
		if n == 0 {
			c.fail()
		}
		return n
	}
	for first := true; first || c.skip(","); first = false {
		from := bound()
		to := from
		if c.skip(":") {
			to = bound()
		}
		s = append(s, [2]uint32{from, to})
	}
	return s
}

// contains reports whether n is in the set, where "*" is last.
func (s set) contains(n, last uint32) bool {
	for _, r := range s {
		from, to := r[0], r[1]
		if from == 0 {
			from = last
		}
		if to == 0 {
			to = last
		}
		if n >= min(from, to) && n <= max(from, to) {
			return true
		}
	}
	return false
}

// quote writes a string as an nstring: NIL if it is empty, quoted if it can be, else a literal.
func quote(s string) string {
	if s == "" {
		return "NIL"
	}
	return quoteAlways(s)
}

// quoteAlways is quote for where an empty string is not NIL.
func quoteAlways(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return "{" + strconv.Itoa(len(s)) + "}\r\n" + s
		}
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

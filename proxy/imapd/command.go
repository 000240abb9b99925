package imapd

import (
	"bytes"
	"cmp"
	"errors"
	"strconv"
	"strings"

	"github.com/waxseal/waxseal/proxy/prelogin"
)

// Limits before the login, in bytes.
const (
	maxLine    = 64 << 10 // a command, with its literals
	maxLiteral = 8 << 10
	maxTag     = 100
)

// command is what a mail program said before its login.
type command struct {
	tag   string // "" if it has none that may be said back
	name  string // in upper case
	words []string
	bad   string // why it cannot be understood; "" if it can
}

// source is where commands come from: a [prelogin.Conn].
type source interface {
	ReadLine() ([]byte, error)
	ReadN(n int) ([]byte, error)
	Say(line string)
}

// readCommand reads one command with its literals. A literal that is waited for ("{5}") is only asked for in a
// command that may have one.
func readCommand(c source) (command, error) {
	line, err := c.ReadLine()
	if err != nil {
		return command{}, err
	}
	cmd, rest := begin(string(line))
	for left := maxLine - len(line); ; {
		text, size, waits, literal := cutLiteral(rest)
		if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			cmd.bad = "Control characters are not allowed"
		}
		cmd.add(text)
		switch {
		case !literal:
			return cmd, nil
		case waits && (cmd.bad != "" || cmd.name != "LOGIN" && cmd.name != "ID"):
			cmd.bad = cmp.Or(cmd.bad, "Unknown command, or not before the login")
			return cmd, nil
		case waits && (size > maxLiteral || size > left):
			cmd.bad = "The literal is too long"
			return cmd, nil
		case size > maxLiteral || size > left:
			return cmd, prelogin.ErrLong // it comes unasked
		}
		if waits {
			c.Say("+ OK")
		}
		word, err := c.ReadN(size)
		if err != nil {
			return cmd, err
		}
		if cmd.words = append(cmd.words, string(word)); bytes.IndexByte(word, 0) >= 0 {
			cmd.bad = "NUL is not allowed"
		}
		if line, err = c.ReadLine(); err != nil {
			return cmd, err
		}
		rest = string(line)
		if left -= size + len(rest); left < 0 {
			return cmd, prelogin.ErrLong
		}
		if cmd.name == "LOGIN" && rest != "" && rest[0] != ' ' {
			cmd.bad = "A blank must follow a literal"
		}
	}
}

// begin splits off tag and name.
func begin(line string) (cmd command, rest string) {
	tag, rest, _ := strings.Cut(line, " ")
	name, rest, _ := strings.Cut(rest, " ")
	if !isTag(tag) {
		return command{bad: "A command begins with a tag"}, rest
	}
	cmd = command{tag: tag, name: strings.ToUpper(name)}
	if name == "" {
		cmd.bad = "A command has a name"
	}
	return cmd, rest
}

// isTag is RFC 9051's tag: ASTRING-CHARs without "+".
func isTag(s string) bool {
	return s != "" && len(s) <= maxTag && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`(){%*"\+`, c)
	})
}

// cutLiteral takes the announcement of a literal ("{5}", or "{5+}" of RFC 7888) off the end of a line.
func cutLiteral(line string) (text string, size int, waits, ok bool) {
	i := strings.LastIndexByte(line, '{')
	if i < 0 || !strings.HasSuffix(line, "}") || i > 0 && line[i-1] != ' ' && line[i-1] != '(' {
		return line, 0, false, false
	}
	digits, plus := strings.CutSuffix(line[i+1:len(line)-1], "+")
	n, err := strconv.ParseUint(digits, 10, 63)
	switch {
	case errors.Is(err, strconv.ErrRange):
		n = 1 << 40
	case err != nil || digits[0] == '+':
		return line, 0, false, false
	}
	return line[:i], int(min(n, 1<<30)), !plus, true
}

// add adds the words of text: quoted ones, and others as they are, so that a name or password with an "@" or
// a bracket passes.
func (c *command) add(text string) {
	for {
		text = strings.TrimLeft(text, " ")
		if text == "" {
			return
		}
		var word string
		if text[0] != '"' {
			word, text, _ = strings.Cut(text, " ")
			c.words = append(c.words, word)
			continue
		}
		var ok bool
		if word, text, ok = quoted(text[1:]); !ok || text != "" && text[0] != ' ' {
			if c.name == "LOGIN" {
				c.bad = "A quoted string does not end"
			}
			return
		}
		c.words = append(c.words, word)
	}
}

// quoted reads a quoted string behind its first quote.
func quoted(s string) (word, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

package programs

import (
	"fmt"
	"strings"
)

// A block is what Waxseal adds to a program's file: lines between two comments, at the end. Taking it
// out again leaves the file byte for byte as it was, whatever somebody has changed around it since.
type block struct {
	comment, program, user string
}

// joined is at the end of the first comment if the file before it did not end with a line end.
const joined = " (the line above had no end)"

func (b block) head() string {
	return b.comment + " >>> " + b.user + mark + b.program + " " + b.user + " --undo\" removes these lines"
}

func (b block) foot() string {
	return fmt.Sprintf("%s <<< %s through Waxseal (%s)\n", b.comment, b.user, b.program)
}

// mark is in the first line of every block.
const mark = " through Waxseal; \"waxseal setup "

// HasBlock reports whether a file has lines of Waxseal, for whichever account.
func HasBlock(text string) bool { return strings.Contains(text, mark) }

// Without returns a file's text without the program's block for a user, and whether there was one.
func (p Program) Without(text, user string) (string, bool) {
	b := block{p.Comment, p.Name, user}
	start := strings.Index(text, b.head())
	if start < 0 || start > 0 && text[start-1] != '\n' {
		return text, false
	}
	end := strings.Index(text[start:], b.foot())
	if end < 0 { // somebody has cut it short; what is left is theirs
		return text, false
	}
	end += start + len(b.foot())
	rest := text[end:]
	if strings.HasPrefix(text[start+len(b.head()):], joined) {
		next, after, _ := strings.Cut(rest, "\n")
		switch {
		case rest == "":
			start--
		case strings.Contains(next, mark): // lines for another account: the line end is theirs now
			rest = next + joined + "\n" + after
		}
	}
	return text[:start] + rest, true
}

// With returns a file's text with the lines for a user, in place of those that were there before.
func (p Program) With(text, user, lines string) string {
	b := block{p.Comment, p.Name, user}
	text, _ = p.Without(text, user)
	head := b.head()
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
		head += joined
	}
	return text + head + "\n" + lines + b.foot()
}

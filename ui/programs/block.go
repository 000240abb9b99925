package programs

import (
	"fmt"
	"strings"
)

// A block is what Waxseal adds to a program's file: lines between two comments, at the end, in place of
// lines that it makes comments if the program takes no setting twice. Taking it out again leaves the file byte for byte as it was, whatever somebody has changed around it since.
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
	return b.uncovered(text[:start] + rest), true
}

// With returns a file's text with the lines for a user, in place of those that were there before.
func (p Program) With(text, user, lines string) string {
	b := block{p.Comment, p.Name, user}
	text, _ = p.Without(text, user)
	text = p.covered(b, text, lines)
	head := b.head()
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
		head += joined
	}
	return text + head + "\n" + lines + b.foot()
}

// cover is in front of each line of the file that the block takes the place of.
func (b block) cover() string { return b.comment + " replaced for " + b.user + ": " }

// covered makes comments of the lines that set what the block's lines set, with their continuations.
func (p Program) covered(b block, text, lines string) string {
	if p.Once == nil {
		return text
	}
	sets := func(line string) string {
		if m := p.Once.FindStringSubmatch(line); m != nil {
			return m[1]
		}
		return ""
	}
	ours := map[string]bool{}
	for line := range strings.Lines(lines) {
		ours[sets(line)] = true
	}
	delete(ours, "")
	var out strings.Builder
	covering := false
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			covering = ours[sets(line)]
		}
		if covering {
			out.WriteString(b.cover())
		}
		out.WriteString(line)
	}
	return out.String()
}

// uncovered gives back the lines of the file that the block took the place of.
func (b block) uncovered(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimPrefix(line, b.cover()))
	}
	return out.String()
}

package proxy

import (
	"fmt"
	"strings"
)

// swapBlocks puts new text in the place of the index-th [[account]] tables; ""
// cuts one out. Comments above a header stay: they may be about what follows.
func swapBlocks(text string, swaps map[int]string) string {
	if len(swaps) == 0 {
		return text
	}
	blocks := blocksOf([]byte(text))
	var out strings.Builder
	done := 0
	for i, b := range blocks {
		new, ok := swaps[b.index]
		if b.table != "account" || !ok {
			continue
		}
		next := len(text)
		if i+1 < len(blocks) {
			next = blocks[i+1].header
		}
		end := b.header + contentEnd(text[b.header:next])
		if new == "" {
			end += tailEnd(text[end:next], next == len(text))
		}
		out.WriteString(text[done:b.header])
		out.WriteString(new)
		done = end
	}
	out.WriteString(text[done:])
	return out.String()
}

// contentEnd is where a block's last line ends that is neither empty nor a
// comment. The end of a multi-line string can look like a comment; editConfig
// notices when that goes wrong.
func contentEnd(block string) int {
	end, at := 0, 0
	for line := range strings.Lines(block) {
		at += len(line)
		if !isComment(line) && !isEmpty(line) {
			end = at
		}
	}
	return end
}

// tailEnd is how much of what follows a cut block goes with it: comments that
// stand right below it, unless they stand right above the next header, and the
// empty lines after that.
func tailEnd(tail string, last bool) int {
	comments, empties := 0, 0
	for line := range strings.Lines(tail) {
		switch {
		case isEmpty(line):
			empties += len(line)
		case empties == 0:
			comments += len(line)
		default:
			return comments + empties
		}
	}
	if empties == 0 && !last {
		return 0
	}
	return comments + empties
}

// setTop gives a key above all tables a value. A key that is not there comes
// behind the others, or behind the comment that opens the file.
func setTop(text, key, value string) string {
	blocks := blocksOf([]byte(text))
	if at, ok := blocks[0].keys[key]; ok {
		line, rest, _ := strings.Cut(text[at:], "\n")
		tail := ""
		if strings.HasSuffix(line, "\r") {
			tail = "\r"
		}
		if i := strings.IndexByte(line, '#'); i >= 0 {
			tail = " " + line[i:]
		}
		if len(line) < len(text[at:]) {
			tail += "\n"
		}
		return text[:at] + key + " = " + value + tail + rest
	}
	top := text
	if len(blocks) > 1 {
		top = text[:blocks[1].header]
	}
	line := key + " = " + value + "\n"
	at := contentEnd(top)
	if at == 0 && text != "" {
		line += "\n"
		if i := strings.Index(top, "\n\n"); i >= 0 {
			at = i + 2
		}
	}
	if at > 0 && text[at-1] != '\n' {
		line = "\n" + line
	}
	return text[:at] + line + text[at:]
}

func isEmpty(line string) bool   { return strings.TrimSpace(line) == "" }
func isComment(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "#") }

// appendBlocks adds accounts behind the text, an empty line before each.
func appendBlocks(text string, add []Account) string {
	var out strings.Builder
	out.WriteString(text)
	if text != "" && !strings.HasSuffix(text, "\n") && len(add) > 0 {
		out.WriteByte('\n')
	}
	for i, a := range add {
		if i > 0 || !isEmpty(text) && !strings.HasSuffix(text, "\n\n") && !strings.HasSuffix(text, "\n\r\n") {
			out.WriteByte('\n')
		}
		out.WriteString(accountBlock(a))
	}
	return out.String()
}

// accountBlock is an account as a person would write it.
func accountBlock(a Account) string {
	var out strings.Builder
	out.WriteString("[[account]]\n")
	for _, f := range []struct{ key, value string }{
		{"address", a.Address}, {"provider", a.Provider}, {"login", a.Login},
		{"client_id", a.ClientID}, {"token_url", a.TokenURL}, {"smtp", a.SMTP},
	} {
		if f.value != "" {
			fmt.Fprintf(&out, "%s = %s\n", f.key, quote(f.value))
		}
	}
	if a.MaxConnections != 0 {
		fmt.Fprintf(&out, "max_connections = %d\n", a.MaxConnections)
	}
	return out.String()
}

// quote writes a TOML basic string. strconv.Quote would write \x and \a, which
// TOML does not have.
func quote(s string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&out, `\u%04X`, r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

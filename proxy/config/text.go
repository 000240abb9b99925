package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/waxseal/waxseal/proxy/api"
)

// replaceAccounts replaces the [[account]] tables with these indexes by a new text; ""
// removes one. Comments above a header stay, since they may be about what follows.
func replaceAccounts(text string, replacements map[int]string) string {
	return replaceTables(text, "account", replacements)
}

// replaceTables is replaceAccounts for the tables of any name.
func replaceTables(text, table string, replacements map[int]string) string {
	if len(replacements) == 0 {
		return text
	}
	blocks := blocksOf([]byte(text))
	var out strings.Builder
	done := 0
	for i, b := range blocks {
		new, ok := replacements[b.index]
		if b.table != table || !ok {
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

// contentEnd returns where the last line of a block ends that is neither empty nor a
// comment. The end of a multi-line string can look like a comment; editConfig notices if
// that goes wrong.
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

// tailEnd returns how much of the text after a removed block is removed with it: the
// comments right below it, unless they are also right above the next header, and the empty
// lines after them.
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

func isEmpty(line string) bool   { return strings.TrimSpace(line) == "" }
func isComment(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "#") }

// appendBlocks adds tables to the end of the text, with an empty line before each.
func appendBlocks(text string, add []string) string {
	var out strings.Builder
	out.WriteString(text)
	if text != "" && !strings.HasSuffix(text, "\n") && len(add) > 0 {
		out.WriteByte('\n')
	}
	for i, block := range add {
		if i > 0 || !isEmpty(text) && !strings.HasSuffix(text, "\n\n") && !strings.HasSuffix(text, "\n\r\n") {
			out.WriteByte('\n')
		}
		out.WriteString(block)
	}
	return out.String()
}

// accountBlock returns an account as a person would write it.
func accountBlock(a api.Account) string {
	var out strings.Builder
	out.WriteString("[[account]]\n")
	for _, f := range []struct{ key, value string }{
		{"address", a.Address}, {"provider", a.Provider}, {"login", a.Login},
		{"client_id", a.ClientID}, {"tenant", a.Tenant}, {"token_url", a.TokenURL}, {"smtp", a.SMTP}, {"imap", a.IMAP}, {"pop", a.POP},
	} {
		if f.value != "" {
			fmt.Fprintf(&out, "%s = %s\n", f.key, quote(f.value))
		}
	}
	if len(a.Protocols) > 0 {
		list := make([]string, len(a.Protocols))
		for i, p := range a.Protocols {
			list[i] = string(p)
		}
		fmt.Fprintf(&out, "protocols = %s\n", quoteList(list))
	}
	if a.MaxConnections != 0 {
		fmt.Fprintf(&out, "max_connections = %d\n", a.MaxConnections)
	}
	for _, l := range []sendingLimit{{"max_per_minute", a.MaxPerMinute}, {"max_messages_per_day", a.MaxMessages}, {"max_recipients_per_day", a.MaxRecipients}} {
		if l.value != nil {
			fmt.Fprintf(&out, "%s = %d\n", l.key, *l.value)
		}
	}
	return out.String()
}

// providerBlock returns a provider as a person would write it.
func providerBlock(p Provider) string {
	var out strings.Builder
	out.WriteString("[[provider]]\n")
	v := reflect.ValueOf(p)
	for f := range v.Type().Fields() {
		switch value := v.FieldByIndex(f.Index).Interface().(type) {
		case string:
			if value != "" {
				fmt.Fprintf(&out, "%s = %s\n", keyOf(f), quote(value))
			}
		case int:
			if value != 0 {
				fmt.Fprintf(&out, "%s = %d\n", keyOf(f), value)
			}
		case *int:
			if value != nil {
				fmt.Fprintf(&out, "%s = %d\n", keyOf(f), *value)
			}
		case []string:
			if value != nil {
				fmt.Fprintf(&out, "%s = %s\n", keyOf(f), quoteList(value))
			}
		case map[string]string:
			var pairs []string
			for _, k := range slices.Sorted(maps.Keys(value)) {
				pairs = append(pairs, quote(k)+" = "+quote(value[k]))
			}
			if value != nil {
				fmt.Fprintf(&out, "%s = { %s }\n", keyOf(f), strings.Join(pairs, ", "))
			}
		}
	}
	return out.String()
}

// setKey changes the value of a key at the top of the file. Its place and the comment after
// it stay as they are. A new key is added after the others.
func setKey(text, key, value string) string {
	start, end := -1, 0 // the start of the key, and the end of the last key
	top := blocksOf([]byte(text))[0]
	for name, at := range top.keys {
		if name == key {
			start = at
		}
		end = max(end, at+expressionEnd(text[at:]))
	}
	if start >= 0 {
		from, to := valueOf(text[start:])
		return text[:start+from] + value + text[start+to:]
	}
	line := key + " = " + value + "\n"
	if end > 0 {
		if !strings.HasSuffix(text[:end], "\n") {
			line = "\n" + line
		}
		return text[:end] + line + text[end:]
	}
	// Comments at the start of the file stay first if an empty line follows them.
	head := headEnd(text)
	if head < len(text) {
		line += "\n"
	}
	return text[:head] + line + text[head:]
}

// expressionEnd returns where the line ends that completes the key and value with which a
// text starts: the first line end up to which the text is valid TOML.
func expressionEnd(text string) int {
	end := 0
	for line := range strings.Lines(text) {
		end += len(line)
		if _, err := decoded(text[:end]); err == nil {
			break
		}
	}
	return end
}

// valueOf returns where the value is of the key with which a text starts.
func valueOf(text string) (from, to int) {
	end := expressionEnd(text)
	from = strings.IndexByte(text, '=') + 1
	from += len(text[from:end]) - len(strings.TrimLeft(text[from:end], " \t"))
	whole, _ := decoded(text[:end])
	for to = from + 1; to < end; to++ { // the shortest text with the same meaning excludes the comment
		if v, err := decoded(text[:to]); err == nil && reflect.DeepEqual(v, whole) {
			break
		}
	}
	return from, to
}

func decoded(text string) (v map[string]any, err error) {
	err = toml.Unmarshal([]byte(text), &v)
	return v, err
}

// headEnd returns where the comments at the start of a file end, including the empty line
// after them. It returns 0 if they belong to what follows.
func headEnd(text string) int {
	end, comments := 0, false
	for line := range strings.Lines(text) {
		switch {
		case isComment(line):
			comments = true
		case isEmpty(line) && comments:
			return end + len(line)
		case !isEmpty(line):
			return 0
		}
		end += len(line)
	}
	return end
}

// quoteList returns a TOML array on one line.
func quoteList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// quote returns a TOML basic string. strconv.Quote would use \x and \a, which TOML does not
// have.
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

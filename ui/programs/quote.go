package programs

import (
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"net/url"
	"strings"
	"text/template"
)

// quoting are the functions of the templates: those named after where a text goes, and cannot.
var quoting = template.FuncMap{
	"shell":  shellWord,
	"double": inQuotes,
	"php":    inSingleQuotes,
	"ini":    iniWord,
	"json":   func(s string) string { return fmt.Sprintf("%q", s) }, // also of Python, YAML and JavaScript
	"url":    func(s string) string { return strings.ReplaceAll(url.PathEscape(s), "@", "%40") },
	"power":  func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" },
	"xml":    xmlText,
	"uuid":   uuid,
	"words":  words,

	"cannot": func(why string) (string, error) { return "", unfit(why) },
}

// unfit says why a program cannot be set up with an account's servers.
type unfit string

func (u unfit) Error() string { return string(u) }

// shellWord quotes a text that a shell would not take as one word.
func shellWord(s string) string {
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._+-/") == ""
	if plain && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Shell makes a shell command of a program and its arguments.
func Shell(args ...string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = shellWord(a)
	}
	return strings.Join(quoted, " ")
}

// inQuotes puts a text between double quotes.
func inQuotes(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func inSingleQuotes(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// iniWord quotes a text in which an INI file would see a comment.
func iniWord(s string) string {
	if strings.ContainsAny(s, "#;") {
		return "`" + s + "`"
	}
	return s
}

func xmlText(s string) (string, error) {
	var out strings.Builder
	err := xml.EscapeText(&out, []byte(s))
	return out.String(), err
}

// uuid is the same for the same text, so that a profile that is installed again replaces the old one
// (RFC 9562 section 5.8).
func uuid(s string) string {
	sum := sha256.Sum256([]byte(s))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// words splits a shell command that Shell made into a list of quoted texts, as Python writes it.
func words(command string) string {
	var list []string
	for rest := command; rest != ""; {
		var word strings.Builder
		for rest != "" && rest[0] != ' ' {
			switch rest[0] {
			case '\'':
				inner, after, _ := strings.Cut(rest[1:], "'")
				word.WriteString(inner)
				rest = after
			case '\\':
				word.WriteString(rest[1:2])
				rest = rest[2:]
			default:
				word.WriteByte(rest[0])
				rest = rest[1:]
			}
		}
		list = append(list, fmt.Sprintf("%q", word.String()))
		rest = strings.TrimLeft(rest, " ")
	}
	return "(" + strings.Join(list, ", ") + ")"
}

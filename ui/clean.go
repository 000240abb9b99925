package ui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/waxseal/waxseal/ui/speech"
)

// longest is the maximum number of characters shown of a foreign text.
const longest = 600

// clean makes a text harmless that comes from a provider, a mail program or an
// address. It removes control characters and those that change the writing direction,
// because they could make the text read as something else.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.Is(unicode.Bidi_Control, r), unicode.Is(unicode.Variation_Selector, r), unicode.Is(unicode.Cf, r):
			return -1
		case unicode.IsControl(r), unicode.IsSpace(r):
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > longest {
		s = string([]rune(s)[:longest-1]) + "…"
	}
	return s
}

// quoted is a cleaned text of somebody else's, in quotation marks.
func quoted(s string) string {
	return tr("“{{.Text}}”", values{"Text": clean(s)})
}

// sentence makes a fragment a sentence.
func sentence(s string) string {
	s = clean(s)
	if s == "" {
		return ""
	}
	// An address, a command or a name like iCloud at the beginning stays as it is.
	if word, _, _ := strings.Cut(s, " "); !strings.ContainsAny(word, "@`.:/_") && !strings.ContainsFunc(word, unicode.IsUpper) {
		s = speech.Capital(s)
	}
	if !strings.ContainsRune(".!?…”\"`", lastRune(s)) {
		s += "."
	}
	return s
}

func lastRune(s string) rune {
	r, _ := utf8.DecodeLastRuneInString(s)
	return r
}

// Package foreign makes the words of somebody else fit to be shown: a mail server's reply, the
// description in a token endpoint's answer, what an HTTP proxy says.
//
// Such words go into logs, replies to mail programs, terminals and windows. They may repeat what
// they were sent, in any encoding: a server that answers an unknown command often quotes it, and
// for AUTH that quotes the access token. They may also hold control characters that a terminal or
// a mail program obeys. [Clean] takes both out:
//
//	foreign.Clean(`500 5.5.1 Unrecognized: "AUTH XOAUTH2 dXNlcj1tZUBl..."`, token)
//
// Cleaning takes time in proportion to the text, whatever the text is.
package foreign

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// mask stands in the place of what was taken out.
const mask = "***"

// Clean makes text one line of valid, printable UTF-8 that holds none of the secrets, and no other
// word that looks like a token; see [Cleaner.Clean].
func Clean(text string, secrets ...string) string { return New(secrets...).Clean(text) }

// Cleaner cleans the words that are heard in one exchange. It may be used by many goroutines.
type Cleaner struct {
	secrets []string
	prepare sync.Once
	index   *index
}

// New makes a Cleaner that knows the secrets of an exchange. Empty ones are ignored.
func New(secrets ...string) *Cleaner { return &Cleaner{secrets: secrets} }

// Clean makes text one line of valid, printable UTF-8. It takes out
//   - the secrets, and any 20 bytes in a row of one: as they are, in upper or lower case, broken by
//     spaces, escaped for a URL, HTML or JSON (in part or several times over), in base64 at any
//     alignment, as in HTTP Basic and in a SASL response, or in hexadecimal;
//   - opaque words: runs of more than 20 letters and digits that no person would write.
func (c *Cleaner) Clean(text string) string { return c.clean(text, true) }

// Hide is Clean without the last part. It is for words that name things with long identifiers, such
// as a mail server's queue ID after it accepted a message.
func (c *Cleaner) Hide(text string) string { return c.clean(text, false) }

func (c *Cleaner) clean(text string, opaque bool) string {
	text = oneLine(text)
	c.prepare.Do(func() { c.index = newIndex(c.secrets) })
	hidden := make([]bool, len(text))
	last := c.index.findAll(text, hidden)
	if opaque {
		hideOpaque(last, hidden)
	}
	return withMasks(text, hidden)
}

// withMasks is text with a mask in the place of each run of hidden bytes. A character is hidden
// whole.
func withMasks(text string, hidden []bool) string {
	var b strings.Builder
	masked := false
	for i, r := range text {
		hide := false
		for _, h := range hidden[i : i+utf8.RuneLen(r)] {
			hide = hide || h
		}
		switch {
		case !hide:
			b.WriteRune(r)
		case !masked:
			b.WriteString(mask)
		}
		masked = hide
	}
	return b.String()
}

// oneLine makes text one line of valid UTF-8. Line breaks become spaces, NEL (U+0085) and the
// Unicode separators among them. Other control characters and the invisible ones that format text,
// such as those that turn its direction, are left out.
func oneLine(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\r\n", " ")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r):
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}

// Printable is text that is safe to show and to pass on: valid UTF-8, without control
// characters, and without those that make text read in another order than it is written.
func Printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r >= ' ' && r < 0x7f:
			return r
		case unicode.IsControl(r), unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp):
			return '?'
		}
		return r
	}, string(text))
}

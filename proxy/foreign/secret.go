package foreign

import (
	"slices"
	"strings"
)

// Holds reports whether [Cleaner.Hide] would take something out of text.
func (c *Cleaner) Holds(text string) bool {
	text = oneLine(text)
	c.prepare.Do(func() { c.index = newIndex(c.secrets) })
	hidden := make([]bool, len(text))
	c.index.findAll(text, hidden)
	return slices.Contains(hidden, true)
}

// Secret is a secret to look for in words that come with every message: that takes a hundredth of the
// time of a [Cleaner] and no memory.
type Secret struct {
	text  string
	part  int            // how many bytes are looked for at a time
	pairs [1 << 6]uint64 // a bit for each pair of bytes in text: most words have one that it has not
}

// NewSecret prepares to look for a secret.
func NewSecret(text string) *Secret {
	s := &Secret{text: text, part: min(len(text), window/2)}
	for i := range len(text) - 1 {
		word, bit := pair(text[i], text[i+1])
		s.pairs[word] |= bit
	}
	return s
}

func pair(a, b byte) (word int, bit uint64) {
	n := (int(a)*67 + int(b)) & 0xfff
	return n >> 6, 1 << (n & 63)
}

// MayBeIn reports whether text may repeat a part of the secret as it is, or in base64 as in a SASL
// response: that is how servers quote a command. Where the two have a few bytes in common by chance it
// says so too; a Cleaner knows better.
func (s *Secret) MayBeIn(text string) bool {
	if s.text == "" {
		return false
	}
	for i := 0; i+s.part <= len(text); i += s.step() {
		if s.has(text[i : i+s.part]) {
			return true
		}
	}
	for start := 0; start < len(text); start++ {
		end := start
		for end < len(text) && base64Value(text[end]) >= 0 {
			end++
		}
		for skip := 0; skip < 4 && 3*(end-start-skip)/4 >= s.part; skip++ {
			if s.mayBeInBase64(text[start+skip : end]) {
				return true
			}
		}
		start = end
	}
	return false
}

// step is how far apart parts may be looked for, so that any window of the secret holds one of them.
func (s *Secret) step() int {
	if s.part < window/2 { // it is the whole secret
		return 1
	}
	return s.part
}

func (s *Secret) has(part string) bool {
	for i := range len(part) - 1 {
		if word, bit := pair(part[i], part[i+1]); s.pairs[word]&bit == 0 {
			return false
		}
	}
	return strings.Contains(s.text, part)
}

func (s *Secret) mayBeInBase64(word string) bool {
	var part [window / 2]byte
	acc, bits, n := 0, 0, 0
	for i := range len(word) {
		acc, bits = (acc<<6|base64Value(word[i]))&0xffff, bits+6
		if bits < 8 {
			continue
		}
		bits -= 8
		part[n] = byte(acc >> bits)
		if n++; n < s.part {
			continue
		}
		if s.has(string(part[:n])) {
			return true
		}
		copy(part[:], part[s.step():n])
		n -= s.step()
	}
	return false
}

package foreign

import (
	"bytes"
	"slices"
)

const (
	// window is how many bytes in a row of a folded secret are too many to show. That hides each part
	// of 20, of which a few may be spaces or plus signs.
	window = 16
	// layers is how many layers of escapes are undone.
	layers = 4
	// minDecoded is the length from which on a secret is looked for in what base64 and hexadecimal
	// mean: a shorter one would be found by chance.
	minDecoded = 4
)

// index finds secrets. They are kept folded.
type index struct {
	short [][]byte            // those of less than a window
	long  map[string]struct{} // every window of the others
}

func newIndex(secrets []string) *index {
	x := &index{long: map[string]struct{}{}}
	for _, s := range secrets {
		var folded view
		v := viewOf(oneLine(s))
		// A text is searched with its escapes and without, and a secret may have some of its own.
		for range layers + 1 {
			v.fold(&folded)
			x.add(bytes.Clone(folded.text))
			if v = v.unescape(); v == nil {
				break
			}
		}
	}
	return x
}

func (x *index) add(secret []byte) {
	if len(secret) < window {
		if len(secret) > 0 && !slices.ContainsFunc(x.short, func(s []byte) bool { return bytes.Equal(s, secret) }) {
			x.short = append(x.short, secret)
		}
		return
	}
	for i := range len(secret) - window + 1 {
		x.long[string(secret[i:i+window])] = struct{}{}
	}
}

func (x *index) empty() bool { return len(x.short) == 0 && len(x.long) == 0 }

// search is one text being searched.
type search struct {
	*index
	decoded, folded view // kept to be used again
}

// findAll hides the secrets in text, in every encoding. It gives the text without its escapes.
func (x *index) findAll(text string, hidden []bool) *view {
	s := search{index: x}
	encoded := make([]bool, len(text))
	v := viewOf(text)
	for layer := 0; ; layer++ {
		if !x.empty() {
			s.find(v, 1, hidden)
			for skip := range 4 {
				s.findDecoded(v, base64Encoding, skip, encoded)
			}
			for skip := range 2 {
				s.findDecoded(v, hexEncoding, skip, encoded)
			}
		}
		next := v.unescape()
		if next == nil || layer == layers {
			break
		}
		v = next
	}
	widen(text, encoded, hidden)
	return v
}

// findDecoded looks into what an encoding means, which may be escaped in turn: RFC 6749 section
// 2.3.1 has it so for HTTP Basic.
func (s *search) findDecoded(v *view, e encoding, skip int, encoded []bool) {
	v.decode(&s.decoded, e, skip)
	s.find(&s.decoded, minDecoded, encoded)
	if inner := s.decoded.unescape(); inner != nil {
		s.find(inner, minDecoded, encoded)
	}
}

// find hides the parts of the original text where a view has a secret of least bytes or more.
func (s *search) find(v *view, least int, hidden []bool) {
	v.fold(&s.folded)
	v = &s.folded
	for _, secret := range s.short {
		if len(secret) < least {
			continue
		}
		for at := 0; ; at++ {
			i := bytes.Index(v.text[at:], secret)
			if i < 0 {
				break
			}
			at += i
			v.over(at, at+len(secret)).mark(hidden)
		}
	}
	if len(s.long) == 0 {
		return
	}
	for i := range len(v.text) - window + 1 {
		if _, ok := s.long[string(v.text[i:i+window])]; ok {
			v.over(i, i+window).mark(hidden)
		}
	}
}

// fold writes to out the view in the one spelling that secrets are compared in: letters in lower
// case; no spaces, nor the plus signs that a form has instead.
func (v *view) fold(out *view) {
	out.reset(len(v.text))
	for i, c := range v.text {
		switch {
		case c == ' ' || c == '+':
			continue
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		}
		out.add(c, v.origin[i])
	}
}

// widen hides each word of which a part was an encoded secret: the rest of it is what stood around
// the secret, or the end of it.
func widen(text string, encoded, hidden []bool) {
	for start := 0; start < len(text); {
		end, found := start, false
		for end < len(text) && (base64Value(text[end]) >= 0 || text[end] == '=' || text[end] == '%') {
			found = found || encoded[end]
			end++
		}
		for k := start; k < end; k++ {
			hidden[k] = hidden[k] || found
		}
		if end == start {
			hidden[start] = hidden[start] || encoded[start]
			end++
		}
		start = end
	}
}

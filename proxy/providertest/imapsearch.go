package providertest

import (
	"net/mail"
	"strconv"
	"strings"
	"time"
)

// criterion decides whether a letter is found.
type criterion func(seq int, l *seen) bool

// search responds to SEARCH (RFC 3501 section 6.4.4). Strings are compared as bytes, without case.
func (s *imapSession) search(c *scanner, uids bool) error {
	c.space()
	if c.skip("CHARSET ") {
		if name := strings.ToUpper(c.text()); name != "UTF-8" && name != "US-ASCII" {
			return s.answer("NO [BADCHARSET (UTF-8 US-ASCII)] Unknown charset")
		}
		c.space()
	}
	found := s.criteria(c, "")
	if !c.done() {
		return s.bad("Syntax error")
	}
	out := "* SEARCH"
	for i := range s.view {
		l := &s.view[i]
		if !found(i+1, l) {
			continue
		}
		n := i + 1
		if uids {
			n = int(l.uid)
		}
		out += " " + strconv.Itoa(n)
	}
	s.text(out)
	s.news(uids)
	return s.answer("OK SEARCH completed")
}

// criteria reads search keys up to the end, or up to ")", all of which must be met.
func (s *imapSession) criteria(c *scanner, end string) criterion {
	var all []criterion
	for first := true; !c.bad; first = false {
		if end == "" && c.s == "" && !first || end != "" && c.skip(end) {
			break
		}
		if !first {
			c.space()
		}
		all = append(all, s.criterion(c))
	}
	return func(seq int, l *seen) bool {
		for _, f := range all {
			if !f(seq, l) {
				return false
			}
		}
		return true
	}
}

func not(f criterion) criterion { return func(seq int, l *seen) bool { return !f(seq, l) } }

// criterion reads one search key.
func (s *imapSession) criterion(c *scanner) criterion {
	if c.skip("(") {
		return s.criteria(c, ")")
	}
	if c.s != "" && (c.s[0] >= '0' && c.s[0] <= '9' || c.s[0] == '*') {
		return s.numbered(c.set(), false)
	}
	key := c.word()
	switch key {
	case "ALL", "OLD":
		return func(int, *seen) bool { return true }
	case "NEW", "RECENT":
		return func(int, *seen) bool { return false } // nothing is recent
	case "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN":
		return flagged(`\` + key)
	case "UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "UNSEEN":
		return not(flagged(`\` + key[2:]))
	case "NOT":
		c.space()
		return not(s.criterion(c))
	case "OR":
		c.space()
		a := s.criterion(c)
		c.space()
		b := s.criterion(c)
		return func(seq int, l *seen) bool { return a(seq, l) || b(seq, l) }
	}
	c.space()
	switch key {
	case "UID":
		return s.numbered(c.set(), true)
	case "KEYWORD":
		return flagged(c.text())
	case "UNKEYWORD":
		return not(flagged(c.text()))
	case "LARGER", "SMALLER":
		n := int(c.number())
		return func(_ int, l *seen) bool {
			return key == "LARGER" && len(l.body) > n || key == "SMALLER" && len(l.body) < n
		}
	case "BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE":
		return dated(c, key)
	}
	return written(c, key)
}

// numbered finds the letters of a set.
func (s *imapSession) numbered(numbers set, uids bool) criterion {
	return func(seq int, l *seen) bool {
		if last := s.view[len(s.view)-1]; uids {
			return numbers.contains(l.uid, last.uid)
		}
		return numbers.contains(uint32(seq), uint32(len(s.view)))
	}
}

func flagged(flag string) criterion { return func(_ int, l *seen) bool { return l.has(flag) } }

// dated finds letters by their date, or by that of their header, without time and zone.
func dated(c *scanner, key string) criterion {
	day, err := time.Parse("_2-Jan-2006", c.text())
	if err != nil {
		c.fail()
	}
	how, sent := strings.CutPrefix(key, "SENT")
	return func(_ int, l *seen) bool {
		t := l.date
		if sent {
			if t, err = mail.ParseDate(parsePart(l.body).get("Date")); err != nil {
				return false
			}
		}
		t = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		switch how {
		case "BEFORE":
			return t.Before(day)
		case "SINCE":
			return !t.Before(day)
		}
		return t.Equal(day)
	}
}

// written finds letters by what is written in them.
func written(c *scanner, key string) criterion {
	field := key
	if key == "HEADER" {
		field = c.text()
		c.space()
	}
	want := strings.ToLower(c.text())
	in := func(s string) bool { return strings.Contains(strings.ToLower(s), want) }
	switch key {
	case "TEXT":
		return func(_ int, l *seen) bool { return in(string(l.body)) }
	case "BODY":
		return func(_ int, l *seen) bool { return in(string(parsePart(l.body).body)) }
	case "HEADER", "BCC", "CC", "FROM", "SUBJECT", "TO":
		return func(_ int, l *seen) bool {
			p := parsePart(l.body)
			return len(p.someFields([]string{field}, true)) > 2 && in(p.get(field))
		}
	}
	c.fail()
	return nil
}
